"""A simulcast camera made by hand, for crafted clients."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping, Sequence

from actors.relay import PublishSource
from actors.relay.wire.rtcp import SenderInfo, ntp_of, sender_report
from benchmarks.media.packet import FRAME_TICKS

from .client import CraftedClient

RIDS = ("q", "h", "f")
HEIGHTS = {"q": 180, "h": 360, "f": 720}


def key_content(rid: str) -> bytes:
    """What follows a key frame's first byte: the tag's rest, start code, width, height."""
    height = HEIGHTS.get(rid, 720)
    return bytes(2) + b"\x9d\x01\x2a" + struct.pack("<HH", height * 16 // 9, height) + rid.encode()


def shown(client: CraftedClient) -> str:
    """Return which layer a client got last in its first seat; empty before the first."""
    heard = client.heard_on(client.seat(0)[1])
    return heard[-1].content[-1:].decode() if heard else ""


class Camera:
    """Sends three layers, or others, until stopped; a key frame whenever one is asked for."""

    def __init__(
        self,
        client: CraftedClient,
        *,
        rids: Sequence[str] = RIDS,
        parts: Mapping[str, int] | None = None,
        key_parts: Mapping[str, int] | None = None,
        octets: int = 20,
        interval: float = 1 / 60,
        key_delay: float = 0.0,
    ) -> None:
        """Send frames of `parts` packets per layer, key frames of `key_parts`, each of `octets`.

        `rids` of one empty name: no simulcast.

        A key frame comes `key_delay` seconds after it is asked for.
        """
        self.client = client
        self.parts = dict(parts or dict.fromkeys(rids, 1))
        self._key_parts = key_parts
        self._octets = octets
        self._interval = interval
        self.sending = set(rids)
        self._keys = set(rids)
        self._ssrcs = {client.track(PublishSource.CAMERA, rid).ssrc: rid for rid in rids}
        self._key_delay = key_delay
        client.on_key_frame_request = self._key_frame_wanted
        self._task = asyncio.create_task(self._run())

    def _key_frame_wanted(self, ssrc: int) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._key_delay, self._keys.add, self._ssrcs[ssrc])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        started = due = loop.time()
        frame = 0
        while True:
            for rid in sorted(self.sending):
                key = rid in self._keys
                self._keys.discard(rid)
                rest = (rid or "-").encode() * self._octets
                parts = self._key_parts if key and self._key_parts else self.parts
                contents = [rest] * parts[rid]
                if key:
                    contents[0] = key_content(rid) + rest
                self.client.send_frame(key=key, parts=contents, rid=rid)
            if frame % 10 == 0:
                self._report(started + frame / 30)
            frame += 1
            # By the clock and not by pauses, so that work does not slow the camera down.
            due += self._interval
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _report(self, moment: float) -> None:
        for rid in self._ssrcs.values():
            track = self.client.track(PublishSource.CAMERA, rid)
            # The track already stands one frame further than what was sent last.
            stamp = track.timestamp - FRAME_TICKS & 0xFFFFFFFF
            self.client.send_rtcp(
                sender_report(SenderInfo(track.ssrc, ntp_of(moment), stamp, 1, 1))
            )

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
