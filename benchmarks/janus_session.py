"""A session of Janus over its WebSocket API, with handles of the videoroom plugin.

API: janus.conf.meetecho.com/docs/rest.html (the WebSocket transport carries the same messages) and
janus.conf.meetecho.com/docs/videoroom.html.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

from benchmarks.websocket import WebSocket, connect

ASK_SECONDS = 20.0
ALIVE_SECONDS = 20.0
"""Janus ends a session of which it heard nothing for a minute."""
PLUGIN = "janus.plugin.videoroom"


class JanusSession:
    """One WebSocket with one session. Made by `open`; its owner closes it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._id = 0
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._media: dict[int, asyncio.Event] = {}
        """By handle: whether Janus has taken its media for connected."""
        self._alive: asyncio.Task[None] | None = None
        self.on_raw: Callable[[bytes, float], bool] | None = None
        """Gets every message unread, with its time of arrival; True when it needs nobody else."""
        socket.on_text = self._on_text

    @classmethod
    async def open(cls, address: str) -> JanusSession:
        """Connect and create a session.

        Raises:
            ConnectionError: Janus refused it.
            TimeoutError: it did not answer.
        """
        session = cls(await connect(address, subprotocol="janus-protocol"))
        try:
            session._id = int((await session.ask({"janus": "create"}))["data"]["id"])
        except BaseException:
            await session.close()
            raise
        session._alive = asyncio.create_task(session._keep_alive())
        return session

    async def attach(self) -> int:
        """Return a new handle of the videoroom."""
        reply = await self.ask({"janus": "attach", "plugin": PLUGIN})
        handle = int(reply["data"]["id"])
        self._media[handle] = asyncio.Event()
        return handle

    async def connected(self, handle: int) -> None:
        """Wait until Janus itself takes a handle's media for connected, which it says after the
        peer has seen it; only then can others subscribe to what the handle publishes.

        Raises:
            TimeoutError: it does not.
        """
        async with asyncio.timeout(ASK_SECONDS):
            await self._media[handle].wait()

    async def request(
        self, handle: int, body: dict[str, object], jsep: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Ask the videoroom and return its answer, which carries its data in `plugindata`.

        Raises:
            ConnectionError: it refused.
            TimeoutError: it did not answer.
        """
        message: dict[str, object] = {"janus": "message", "handle_id": handle, "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        reply = await self.ask(message)
        data = reply.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise ConnectionError(f"Janus refused {body['request']}: {data['error']}")
        return reply

    async def ask(self, message: dict[str, object], *, ack: bool = False) -> dict[str, Any]:
        """Send a request and wait for its answer, for its acknowledgement only with `ack`.

        Raises:
            ConnectionError: Janus answered with an error.
            TimeoutError: it did not answer.
        """
        name = secrets.token_hex(6)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[("ack " if ack else "") + name] = reply
        self._socket.send(self.written(message, name))
        async with asyncio.timeout(ASK_SECONDS):
            answered = await reply
        if answered["janus"] == "error":
            raise ConnectionError(f"Janus: {answered['error']}")
        return answered

    def send(self, message: dict[str, object], name: str) -> None:
        """Send a request whose answers `on_raw` will know by their transaction `name`."""
        self._socket.send(self.written(message, name))

    def written(self, message: dict[str, object], name: str) -> bytes:
        owner: dict[str, object] = {"session_id": self._id} if self._id else {}
        return json.dumps({**message, **owner, "transaction": name}).encode()

    async def close(self) -> None:
        """Stop and leave; Janus ends the session with its connection. Idempotent."""
        if self._alive is not None:
            self._alive.cancel()
            await asyncio.gather(self._alive, return_exceptions=True)
        self._socket.close()

    def _on_text(self, text: bytes) -> None:
        if self.on_raw is not None and self.on_raw(text, time.monotonic()):
            return
        message: dict[str, Any] = json.loads(text)
        name = str(message.get("transaction"))
        if message["janus"] == "ack":
            name = f"ack {name}"
        elif message["janus"] == "webrtcup" and message["sender"] in self._media:
            self._media[message["sender"]].set()
        reply = self._replies.pop(name, None)
        if reply is not None and not reply.done():
            reply.set_result(message)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            await self.ask({"janus": "keepalive"}, ack=True)
