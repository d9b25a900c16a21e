"""The same synthetic peers in Janus's videorooms.

Janus has one peer connection for what a person sends and one for what they receive; a person of
the load has therefore two peers here. API: janus.conf.meetecho.com/docs/videoroom.html.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from actors.relay.rtp import TRANSPORT_CC_URI
from benchmarks.media.description import answer, offer, read
from benchmarks.media.party import Media, published
from benchmarks.media.peer import Certificate
from benchmarks.websocket import WebSocket, connect

ASK_SECONDS = 20.0
ALIVE_SECONDS = 20.0
PLUGIN = "janus.plugin.videoroom"


class Rooms:
    """Some rooms of one size on one Janus. `close` ends them."""

    def __init__(self, address: str, *, profile: str, bitrate: float) -> None:
        self.media = Media(Certificate(profile), bitrate)
        self._address = address
        self._socket: WebSocket | None = None
        self._session = 0
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._alive: asyncio.Task[None] | None = None

    async def open(self, sessions: int, size: int) -> None:
        """Fill the rooms; returns when everybody's media are connected."""
        self._socket = await connect(self._address, subprotocol="janus-protocol")
        self._socket.on_text = self._on_text
        self._session = (await self._ask({"janus": "create"}))["data"]["id"]
        self._alive = asyncio.create_task(self._keep_alive())
        for _ in range(sessions):
            # Several loads may fill rooms of one Janus.
            await self._fill(1 + secrets.randbelow(1 << 30), size)

    async def _fill(self, room: int, size: int) -> None:
        handles = [await self._attach() for _ in range(size)]
        await self._request(
            handles[0],
            {"request": "create", "room": room, "publishers": size, "bitrate": 0, "fir_freq": 0},
        )
        feeds = [await self._publish(handle, room) for handle in handles]
        for own in feeds:
            await self._subscribe(room, [feed for feed in feeds if feed != own])

    async def _publish(self, handle: int, room: int) -> int:
        joined = await self._request(
            handle, {"request": "join", "ptype": "publisher", "room": room}
        )
        peer = self.media.peer()
        tracks = self.media.tracks_of(peer)
        sdp = offer(peer.own, [published(track) for track in tracks])
        reply = await self._request(
            handle, {"request": "publish"}, jsep={"type": "offer", "sdp": sdp}
        )
        await self._candidates_are_over(handle)
        remote = read(reply["jsep"]["sdp"])
        self.media.ports.add(remote.address[1])
        await peer.connect(remote)
        self.media.sink(peer, set(), None)
        return int(joined["plugindata"]["data"]["id"])

    async def _subscribe(self, room: int, feeds: list[int]) -> None:
        handle = await self._attach()
        reply = await self._request(
            handle,
            {
                "request": "join",
                "ptype": "subscriber",
                "room": room,
                "streams": [{"feed": feed} for feed in feeds],
            },
        )
        remote = read(reply["jsep"]["sdp"])
        peer = self.media.peer()
        sdp = answer(peer.own, remote)
        starting = asyncio.create_task(
            self._request(handle, {"request": "start"}, jsep={"type": "answer", "sdp": sdp})
        )
        await self._candidates_are_over(handle)
        self.media.ports.add(remote.address[1])
        await peer.connect(remote)
        await starting
        counters = {s.extensions.get(TRANSPORT_CC_URI) for s in remote.sections}
        repairs = {s.ssrcs[1] for s in remote.sections if len(s.ssrcs) > 1}
        self.media.sink(peer, repairs, counters.pop() if len(counters) == 1 else None)

    async def _candidates_are_over(self, handle: int) -> None:
        await self._ask(
            {"janus": "trickle", "handle_id": handle, "candidate": {"completed": True}}, ack=True
        )

    async def _attach(self) -> int:
        reply = await self._ask({"janus": "attach", "plugin": PLUGIN})
        return int(reply["data"]["id"])

    async def _request(
        self, handle: int, body: dict[str, object], jsep: dict[str, str] | None = None
    ) -> dict[str, Any]:
        message: dict[str, object] = {"janus": "message", "handle_id": handle, "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        reply = await self._ask(message)
        data = reply.get("plugindata", {}).get("data", {})
        if "error" in data:
            raise ConnectionError(f"Janus refused {body['request']}: {data['error']}")
        return reply

    async def _ask(self, message: dict[str, object], *, ack: bool = False) -> dict[str, Any]:
        """Send a request and wait for its answer, for its acknowledgement only with `ack`."""
        assert self._socket is not None
        name = secrets.token_hex(6)
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[("ack " if ack else "") + name] = reply
        if self._session:
            message["session_id"] = self._session
        self._socket.send(json.dumps({**message, "transaction": name}).encode())
        async with asyncio.timeout(ASK_SECONDS):
            answered = await reply
        if answered["janus"] == "error":
            raise ConnectionError(f"Janus: {answered['error']}")
        return answered

    def _on_text(self, text: bytes) -> None:
        message: dict[str, Any] = json.loads(text)
        name = str(message.get("transaction"))
        if message["janus"] == "ack":
            name = f"ack {name}"
        reply = self._replies.pop(name, None)
        if reply is not None and not reply.done():
            reply.set_result(message)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            await self._ask({"janus": "keepalive"}, ack=True)

    async def close(self) -> None:
        """Leave; Janus itself is ended by who started it."""
        self.media.close()
        if self._alive is not None:
            self._alive.cancel()
            await asyncio.gather(self._alive, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
