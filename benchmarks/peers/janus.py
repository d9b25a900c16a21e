"""Debian's Janus with its videoroom, started for one run: `python -m benchmarks.peers.janus`.

Only the videoroom and the WebSocket transport are loaded, logging is off, ICE is lite as the
relay's is. Everything else is as Debian configures it.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.serving import say_ready, until_told
from benchmarks.websocket import connect

START_SECONDS = 20.0


def where_installed() -> tuple[str, Path] | None:
    """Return Janus's program and the folder of its libraries; `None` where it is not installed."""
    program = shutil.which("janus")
    libraries = next(Path("/usr/lib").glob("*/janus"), None)
    return None if program is None or libraries is None else (program, libraries)


def usual_peer() -> str:
    """Return the peer of a scenario that can have Janus and is told of none."""
    return "none" if where_installed() is None else "janus"


def configuration(folder: Path, port: int) -> list[str]:
    """Write a configuration into `folder`; returns the command line.

    Raises:
        FileNotFoundError: Janus is not installed.
    """
    found = where_installed()
    if found is None:
        raise FileNotFoundError("Janus is not installed (Debian and Ubuntu: apt install janus).")
    program, libraries = found
    parts = {"plugins": "libjanus_videoroom.so", "transports": "libjanus_websockets.so"}
    for kind, name in parts.items():
        (folder / kind).mkdir()
        (folder / kind / name).symlink_to(libraries / kind / name)
    for kind in ("events", "loggers"):
        (folder / kind).mkdir()
    (folder / "janus.jcfg").write_text(
        f"""
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{folder}/plugins"
  transports_folder = "{folder}/transports"
  events_folder = "{folder}/events"
  loggers_folder = "{folder}/loggers"
  debug_level = 1
}}
nat: {{ ice_lite = true }}
media: {{ rtp_port_range = "20000-40000" }}
""",
        encoding="utf-8",
    )
    (folder / "janus.transport.websockets.jcfg").write_text(
        f'general: {{ ws = true\n ws_port = {port}\n ws_ip = "127.0.0.1"\n wss = false }}\n'
        "admin: { admin_ws = false }\n",
        encoding="utf-8",
    )
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n", encoding="utf-8")
    return [program, "--configs-folder", str(folder), "--config", str(folder / "janus.jcfg")]


async def until_it_answers(port: int) -> None:
    """Wait until Janus takes WebSockets.

    Raises:
        TimeoutError: it does not.
    """
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                probe = await connect(f"ws://127.0.0.1:{port}/", subprotocol="janus-protocol")
            except OSError:
                await asyncio.sleep(0.1)
                continue
            probe.close()
            return


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sb-janus-") as folder:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            *configuration(Path(folder), port), stdout=sys.stderr
        )
        try:
            await until_it_answers(port)
            say_ready(address=f"ws://127.0.0.1:{port}/", pid=process.pid)
            await until_told()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                await process.wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except FileNotFoundError as error:
        say_ready(error=str(error))
    except KeyboardInterrupt:
        sys.exit(0)
