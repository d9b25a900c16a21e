"""Firefox ESR as a participant: WebDriver BiDi over a WebSocket, no driver binary.

Firefox's ICE ignores loopback, so everything lives in a network namespace with a veth address.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import websockets

from .namespaces import Namespace, namespace

ADDRESS = "10.77.0.1"
_PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.manage-offline-status": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


@contextmanager
def network() -> Iterator[Namespace]:
    """Make a namespace with an address that is not loopback."""
    with namespace("firefox") as made:
        made.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
        made.ip("address", "add", f"{ADDRESS}/24", "dev", "veth0")
        for device in ("veth0", "veth1"):
            made.ip("link", "set", device, "up")
        # Firefox takes the address that the default route would leave from.
        made.ip("route", "add", "default", "dev", "veth0")
        yield made


class Firefox:
    """One Firefox with one page; closed by whoever opened it."""

    def __init__(self, where: Namespace, profile: Path) -> None:
        self._namespace = where
        self._profile = profile
        self._numbers = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._socket: websockets.ClientConnection | None = None
        self._context = ""

    async def open(self, url: str) -> None:
        """Start it and load a page."""
        program = shutil.which("firefox-esr")
        assert program is not None, "install Debian's firefox-esr"
        self._profile.mkdir()
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in _PREFERENCES.items()]
        (self._profile / "user.js").write_text("\n".join(lines))
        with self._namespace.inside(), socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self._process = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", self._namespace.name, program, "--headless", "--no-remote"),
            *("--profile", str(self._profile), "--remote-debugging-port", str(port)),
            env={**os.environ, "HOME": str(self._profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._socket = await self._connect(port)
        await self.command("session.new", capabilities={})
        tree = await self.command("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]
        await self.command(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def _connect(self, port: int) -> websockets.ClientConnection:
        for _ in range(600):
            with self._namespace.inside():
                raw = socket.socket()
                refused = raw.connect_ex(("127.0.0.1", port))
            if refused:
                raw.close()
                await asyncio.sleep(0.1)
                continue
            return await websockets.connect(
                f"ws://127.0.0.1:{port}/session", sock=raw, max_size=None, proxy=None
            )
        raise AssertionError("Firefox does not listen")

    async def command(self, method: str, **params: object) -> dict[str, Any]:
        """Send a BiDi command and return its result; events are not asked for."""
        assert self._socket is not None
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(60):
            while True:
                answer = json.loads(await self._socket.recv())
                if answer.get("id") == number:
                    break
        if answer["type"] != "success":
            raise AssertionError(f"{method}: {answer.get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    async def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in the page, wait for its promise, and bring its value as JSON."""
        as_json = "value => JSON.stringify(value ?? null)"
        result = await self.command(
            "script.evaluate",
            expression=f"Promise.resolve({expression}).then({as_json})",
            target={"context": self._context},
            awaitPromise=True,
        )
        if result["type"] != "success":
            raise AssertionError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    async def close(self) -> None:
        """End it; harmless when it never started."""
        if self._socket is not None:
            await self._socket.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
