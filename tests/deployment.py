"""A real deployment for tests: the demo command in its own process, on free ports."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import httpx
import psutil

from tests.patience import PATIENCE
from tests.ports import media_ports

ROOT = Path(__file__).resolve().parents[1]
START_S = 90.0 * PATIENCE
STOP_S = 30.0 * PATIENCE


class Deployment:
    """`switchboard demo` with a data folder of its own. Use it as a context manager.

    Leaving it stops the command by SIGINT, as Ctrl-C does, and checks that it ended well.
    `by_make` starts it by the command of the README, so that make and everything below it get the
    signal, as in a terminal.
    """

    def __init__(
        self,
        data: Path,
        *,
        standbys: int = 2,
        policy: dict[str, object] | None = None,
        webhook: str | None = None,
        by_make: bool = False,
    ) -> None:
        self.data = data
        self.policy = policy or {}
        """Of the sessions from the next start on."""
        self._options = [
            *("--gateway-port", "0"),
            *("--host-port", "0"),
            *("--data-dir", str(data)),
            *("--standbys", str(standbys)),
        ]
        if webhook is not None:
            self._options += ["--webhook", webhook]
        self._by_make = by_make
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: list[str] = []
        self._found = threading.Event()
        self.host = ""
        self.gateway = ""

    def __enter__(self) -> Deployment:
        self.start()
        return self

    def start(self) -> None:
        """Start it (again) and wait until it says where it is."""
        self.host = ""
        self._lines.clear()
        self._found.clear()
        self._process = subprocess.Popen(
            self._command(),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._found.wait(START_S)
        if not self.host:
            self.kill()
            raise AssertionError("The demo did not start:\n" + "\n".join(self._lines))
        config = httpx.get(f"{self.host}/demo-config.json", trust_env=False, timeout=START_S)
        self.gateway = config.raise_for_status().json()["gateway"]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status = self.stop()
        if kind is None:
            assert status == 0, f"The demo ended with {status}:\n" + "\n".join(self._lines[-30:])

    def _command(self) -> list[str]:
        options = list(self._options)
        for name, value in self.policy.items():
            options += ["--policy", f"{name}={json.dumps(value)}"]
        if self._by_make:
            return ["make", "--no-print-directory", "demo", f"ARGS={shlex.join(options)}"]
        return [str(Path(sys.executable).with_name("switchboard")), "demo", *options]

    @property
    def alive(self) -> bool:
        """Whether the command runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The command's process id."""
        assert self._process is not None
        return self._process.pid

    def processes(self, actor: str) -> list[psutil.Process]:
        """The processes of one kind of Ray actor, such as `SessionHost`."""
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            try:
                if actor in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def media_ports(self) -> dict[int, psutil.Process]:
        """The media ports that are open, each with the session actor that has it."""
        return media_ports(self.processes("SessionHost"))

    def holders(self) -> list[psutil.Process]:
        """The session actors that hold a session: those with a media port."""
        return list(set(self.media_ports().values()))

    @property
    def folder(self) -> Path:
        """The temporary folder that its Ray lives in, from Ray's command lines."""
        children = psutil.Process(self.pid).children(recursive=True)
        words = [word for process in children for word in process.cmdline()]
        named = next(word for word in words if word.startswith("--temp-dir="))
        return Path(named.removeprefix("--temp-dir="))

    @property
    def api_key(self) -> str:
        """The API key of the demo's account."""
        return (self.data / "api-key").read_text().strip()

    @property
    def output(self) -> str:
        """What the command has printed."""
        return "\n".join(self._lines)

    def stop(self) -> int:
        """Stop it as Ctrl-C does; returns its status. Harmless when it does not run."""
        if self._process is None:
            return 0
        started: list[psutil.Process] = []
        if self._process.poll() is None:
            if self._by_make:
                started = psutil.Process(self.pid).children(recursive=True)
                os.killpg(self.pid, signal.SIGINT)
            else:
                self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(STOP_S)
            if self._by_make:
                # make ends itself by the signal, or well when the demo was quicker than it.
                _, left = psutil.wait_procs(started, STOP_S)
                if status in (0, -signal.SIGINT) and not left:
                    status = 0
                else:
                    self._lines.append(f"make ended with {status}, and left {left}")
                    status = 1
        except subprocess.TimeoutExpired:
            self.kill()
            status = -1
        self._finish()
        return status

    def kill(self) -> None:
        """Kill the command and everything it started, all at once."""
        assert self._process is not None
        if self._process.poll() is None:
            everything = psutil.Process(self.pid).children(recursive=True)
            for process in (psutil.Process(self.pid), *everything):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(everything, STOP_S)
        self._process.wait(STOP_S)
        self._finish()

    def _finish(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        if self._process.stdout.closed:
            return
        if self._reader is not None:
            self._reader.join(STOP_S)
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line.rstrip())
            match = re.search(r"demo:\s+(http://\S+?)/?\s*$", line.rstrip())
            if match:
                self.host = match[1]
                self._found.set()
        self._found.set()
