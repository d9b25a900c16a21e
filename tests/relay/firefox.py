"""Firefox ESR as a participant: WebDriver BiDi over a WebSocket, no driver binary.

Firefox's ICE ignores loopback, so everything lives in a network namespace with a veth address.
What it is told and asked is BiDi (https://w3c.github.io/webdriver-bidi), method by method.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import websockets

from tests.patience import PATIENCE
from tests.ports import free_port

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


_BUTTON = """(name) => {
  const found = [...document.querySelectorAll('button')].find((button) =>
    (button.ariaLabel ?? button.textContent).trim() === name &&
    button.checkVisibility({ visibilityProperty: true }) && !button.disabled) ?? null;
  // As a person does who sees the half of it.
  found?.scrollIntoView({ block: 'nearest', behavior: 'instant' });
  return found;
}"""


class Firefox:
    """One Firefox; each page has a window of its own. Closed by whoever started it."""

    def __init__(self, where: Namespace, profile: Path) -> None:
        self._namespace = where
        self._profile = profile
        self._numbers = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._socket: websockets.ClientConnection | None = None
        self.problems: list[str] = []
        """Errors that no script of a page caught."""

    async def start(self) -> None:
        """Start it and begin a session."""
        program = shutil.which("firefox-esr")
        assert program is not None, "install Debian's firefox-esr"
        self._profile.mkdir()
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in _PREFERENCES.items()]
        (self._profile / "user.js").write_text("\n".join(lines))
        port = free_port()
        self._process = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", self._namespace.name, program, "--headless", "--no-remote"),
            *("--profile", str(self._profile), "--remote-debugging-port", str(port)),
            env={**os.environ, "HOME": str(self._profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._socket = await self._connect(port)
        await self.command("session.new", capabilities={})
        await self.command("session.subscribe", events=["log.entryAdded"])

    async def open(self, url: str) -> FirefoxPage:
        """Load a page in a window of its own: what lies behind another is not painted."""
        made = await self.command("browsingContext.create", type="window")
        page = FirefoxPage(self, made["context"])
        await page.command("browsingContext.navigate", url=url, wait="complete")
        return page

    async def command(self, method: str, **params: object) -> dict[str, Any]:
        """Send a BiDi command and return its result.

        Raises:
            AssertionError: Firefox answered with an error.
        """
        assert self._socket is not None
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(60 * PATIENCE):
            while True:
                answer = json.loads(await self._socket.recv())
                if answer["type"] == "event":
                    self._on_event(answer["params"])
                elif answer.get("id") == number:
                    break
        if answer["type"] != "success":
            raise AssertionError(f"{method}: {answer.get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    async def close(self) -> None:
        """End it; harmless when it never started."""
        if self._socket is not None:
            await self._socket.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    def _on_event(self, entry: dict[str, Any]) -> None:
        if entry["type"] == "javascript" and entry["level"] == "error":
            self.problems.append(entry["text"])

    async def _connect(self, port: int) -> websockets.ClientConnection:
        for _ in range(int(600 * PATIENCE)):
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


class FirefoxPage:
    """A window's page, or a frame in it."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self._firefox = firefox
        self._context = context

    async def command(self, method: str, **params: object) -> dict[str, Any]:
        """Send a BiDi command about this page."""
        return await self._firefox.command(method, context=self._context, **params)

    async def leave_and_come_back(self, url: str) -> None:
        """Go to another page, and by *Back* to this one."""
        await self.command("browsingContext.navigate", url=url, wait="complete")
        await self.command("browsingContext.traverseHistory", delta=-1)

    async def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in the page, wait for its promise, and bring its value as JSON."""
        as_json = "value => JSON.stringify(value ?? null)"
        result = await self._evaluate(f"Promise.resolve({expression}).then({as_json})")
        return json.loads(result["value"])

    async def until(self, what: str, expression: str) -> None:
        """Wait until an expression holds in the page, and say what did not come."""
        for _ in range(int(300 * PATIENCE)):
            if await self.evaluate(expression):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"not in time: {what}; the page says {await self.text()!r}")

    async def until_says(self, text: str) -> None:
        """Wait until the page shows a text."""
        await self.until(text, f"document.body.innerText.includes({json.dumps(text)})")

    async def text(self) -> str:
        """What the page says."""
        said: str = await self.evaluate("document.body.innerText")
        return said

    async def frame(self, path: str) -> FirefoxPage:
        """Wait for the frame, at any depth, whose address has this path."""
        for _ in range(int(300 * PATIENCE)):
            tree = await self._firefox.command("browsingContext.getTree", root=self._context)
            todo = list(tree["contexts"])
            while todo:
                one = todo.pop()
                if urlsplit(one["url"]).path == path:
                    return FirefoxPage(self._firefox, one["context"])
                todo += one["children"] or ()
            await asyncio.sleep(0.05)
        raise AssertionError(f"No frame shows {path}: {tree}")

    async def press(self, name: str) -> None:
        """Click a button as a mouse does, once it can be: whatever covers it is hit instead."""
        for _ in range(int(300 * PATIENCE)):
            button = await self._evaluate(f"({_BUTTON})({json.dumps(name)})")
            if button["type"] == "node":
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError(f"no button {name!r}; the page says {await self.text()!r}")
        place = {"type": "element", "element": {"sharedId": button["sharedId"]}}
        await self._act(
            "pointer",
            {"type": "pointerMove", "x": 0, "y": 0, "origin": place},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        )

    async def type(self, text: str) -> None:
        """Type into whatever has the focus."""
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        await self._act("key", *keys)

    async def shoot(self, path: Path) -> None:
        """Leave a picture that a person can look at."""
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = await self.command("browsingContext.captureScreenshot")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(picture["data"]))

    async def _act(self, device: str, *actions: dict[str, Any]) -> None:
        source = {"type": device, "id": device, "actions": actions}
        await self.command("input.performActions", actions=[source])

    async def _evaluate(self, expression: str) -> dict[str, Any]:
        """Evaluate an expression and return what BiDi says of its value."""
        outcome = await self._firefox.command(
            "script.evaluate",
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
        )
        if outcome["type"] != "success":
            raise AssertionError(outcome["exceptionDetails"]["text"])
        result: dict[str, Any] = outcome["result"]
        return result
