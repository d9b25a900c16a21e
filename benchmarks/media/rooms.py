"""The same synthetic peers in Janus's videorooms.

Janus has one peer connection for what a person sends and one for what they receive; a person of
the load has therefore two peers here.
"""

from __future__ import annotations

import asyncio
import secrets

from actors.relay.wire.rtp import TRANSPORT_CC_URI
from benchmarks.janus_session import JanusSession
from benchmarks.media.association import Certificate
from benchmarks.media.description import offer
from benchmarks.media.party import Media, published
from benchmarks.media.remote import answer, read
from benchmarks.media.source import Camera


class Rooms:
    """Some rooms of one size on one Janus. `close` ends them."""

    def __init__(self, address: str, *, profile: str, camera: Camera) -> None:
        self.media = Media(Certificate(profile), camera)
        self._address = address
        self._janus: JanusSession | None = None

    async def open(self, sessions: int, size: int) -> None:
        """Fill the rooms; returns when everybody's media are connected."""
        self._janus = await JanusSession.open(self._address)
        for _ in range(sessions):
            # Several loads may fill rooms of one Janus.
            await self._fill(self._janus, 1 + secrets.randbelow(1 << 30), size)

    async def _fill(self, janus: JanusSession, room: int, size: int) -> None:
        handles = [await janus.attach() for _ in range(size)]
        await janus.request(
            handles[0],
            {"request": "create", "room": room, "publishers": size, "bitrate": 0, "fir_freq": 0},
        )
        feeds = [await self._publish(janus, handle, room) for handle in handles]
        for own in feeds:
            await self._subscribe(janus, room, [feed for feed in feeds if feed != own])

    async def _publish(self, janus: JanusSession, handle: int, room: int) -> int:
        joined = await janus.request(
            handle, {"request": "join", "ptype": "publisher", "room": room}
        )
        peer = self.media.peer()
        tracks = self.media.tracks_of(peer)
        sdp = offer(peer.own, [published(track) for track in tracks])
        reply = await janus.request(
            handle, {"request": "publish"}, jsep={"type": "offer", "sdp": sdp}
        )
        await self._candidates_are_over(janus, handle)
        remote = read(reply["jsep"]["sdp"])
        self.media.ports.add(remote.address[1])
        await peer.connect(remote)
        await janus.connected(handle)
        self.media.sink(peer, set(), None)
        return int(joined["plugindata"]["data"]["id"])

    async def _subscribe(self, janus: JanusSession, room: int, feeds: list[int]) -> None:
        handle = await janus.attach()
        reply = await janus.request(
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
            janus.request(handle, {"request": "start"}, jsep={"type": "answer", "sdp": sdp})
        )
        await self._candidates_are_over(janus, handle)
        self.media.ports.add(remote.address[1])
        await peer.connect(remote)
        await starting
        await janus.connected(handle)
        counters = {s.extensions.get(TRANSPORT_CC_URI) for s in remote.sections}
        repairs = {s.ssrcs[1] for s in remote.sections if len(s.ssrcs) > 1}
        self.media.sink(peer, repairs, counters.pop() if len(counters) == 1 else None)

    async def _candidates_are_over(self, janus: JanusSession, handle: int) -> None:
        await janus.ask(
            {"janus": "trickle", "handle_id": handle, "candidate": {"completed": True}}, ack=True
        )

    async def close(self) -> None:
        """Leave; Janus itself is ended by who started it."""
        self.media.close()
        if self._janus is not None:
            await self._janus.close()
