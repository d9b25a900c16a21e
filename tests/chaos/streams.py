"""Microphone and camera of people without a browser, through every tenure of their session.

The crafted peers are those of the benchmarks; what comes in is decrypted and known by its sender.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.exceptions import WebSocketException

from actors.relay.network.mmsg import Received
from actors.relay.network.pylibsrtp_private import Buffer
from actors.relay.wire.rtp import TRANSPORT_CC_URI
from benchmarks.media.association import Certificate
from benchmarks.media.description import LOAD, Section, offer
from benchmarks.media.party import Media, published
from benchmarks.media.peer import Peer
from benchmarks.media.pump import Pump
from benchmarks.media.remote import read
from benchmarks.media.sink import Sink
from benchmarks.media.source import Camera, Track
from tests.patience import PATIENCE, Standstill
from tests.widget import Message, Refused, Widget

PROFILE = "SRTP_AEAD_AES_128_GCM"
CAMERA = Camera(bitrate=300_000)
LOOK_S = 0.01
FLOWS_S = 30.0 * PATIENCE
FRESH_S = 0.5


def crowd() -> Media:
    """Return an empty set of people who may hear each other."""
    return Media(Certificate(PROFILE), CAMERA)


@asynccontextmanager
async def streaming(*widgets: Callable[[], Widget]) -> AsyncIterator[list[Streaming]]:
    """Let two people send and receive within the context; what came must be what was sent.

    Each of `widgets` returns the connection that its person has now.
    """
    media = crowd()
    streams = [Streaming(media, widget) for widget in widgets]
    running = [asyncio.create_task(each.run()) for each in streams]
    try:
        yield streams
    finally:
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    assert [each for each in ended if not isinstance(each, asyncio.CancelledError)] == []
    assert sum(each.faults for each in streams) == 0, "a packet was not what its sender sent"


async def flow(streams: list[Streaming], phase: str, *, epoch: int) -> None:
    """Wait until everybody gets the other's sound and picture; then the next phase begins."""
    for each in streams:
        await each.flows(2, epoch=epoch)
    for each in streams:
        each.reception.phase = phase


def waiting(ear: socket.socket) -> int:
    """Read what has come to a socket that nobody else reads; return how many datagrams."""
    count = 0
    while True:
        try:
            ear.recv(2048)
        except BlockingIOError:
            return count
        except ConnectionRefusedError:
            continue  # Of what was sent to a port that is closed by now.
        count += 1


class Reception:
    """When each track of others came last, and the longest pauses by what was being done.

    What this process stood still is no pause: it sends what it gets.
    """

    def __init__(self) -> None:
        self.phase = "calm"
        self.still = Standstill()
        self._stood: dict[int, float] = {}
        """How long that was when the last packet came, by track."""
        self.came: dict[int, float] = {}
        """Time of the last packet, by track."""
        self.gaps: dict[str, float] = {}
        """The longest pause of any track, in seconds, by the phase in which it ended."""

    def note(self, number: int) -> None:
        """A packet of a track came."""
        self._pause(number)
        self.came[number], self._stood[number] = time.monotonic(), self.still.look()

    def finish(self) -> None:
        """Count the pauses that last until now."""
        for number in self.came:
            self._pause(number)

    def _pause(self, number: int) -> None:
        stood, now = self.still.look(), time.monotonic()
        gap = now - self.came.get(number, now) - (stood - self._stood.get(number, stood))
        self.gaps[self.phase] = max(self.gaps.get(self.phase, 0.0), gap)


class _Watched(Sink):
    """A sink that tells a reception whose packets came."""

    def __init__(self, peer: Peer, reception: Reception, media: Media, repairs: set[int]) -> None:
        super().__init__(
            peer,
            media.tracks,
            repair_ssrcs=repairs,
            counter_id=LOAD.extensions[TRANSPORT_CC_URI],
            on_key_frame=media.key_frame,
        )
        self._reception = reception
        self._before: dict[int, int] = {}

    def look(self, buffers: list[Buffer], received: Received) -> int:
        got = super().look(buffers, received)
        for stream in self.streams.values():
            if stream.track is not None and stream.total != self._before.get(stream.ssrc):
                self._before[stream.ssrc] = stream.total
                self._reception.note(stream.track.number)
        return got


class Streaming:
    """One person who sends both and hears everybody of a call of two, from `run` until cancelled.

    As a widget does, it builds a new peer connection with the same tracks for each new epoch.
    """

    def __init__(self, media: Media, widget: Callable[[], Widget]) -> None:
        self.reception = Reception()
        self.epoch = 0
        self._since = 0.0
        """When the peer connection of this epoch stood."""
        self.faults = 0
        """Packets that were not what they should have been, of all tenures but the present one."""
        self._media = media
        self._widget = widget
        self._read_of: tuple[Widget, int] = widget(), 0
        self._peer = media.peer()
        self._tracks: list[Track] = media.tracks_of(self._peer)
        self._sink: Sink | None = None
        self._pump: Pump | None = None
        self.refused = ""
        """Why the latest offer failed."""

    async def run(self) -> None:
        """Follow the session's tenures until cancelled."""
        heard = 1
        try:
            while True:
                heard = max(heard, self._newest_epoch())
                if heard > self.epoch:
                    await self._hang_up()
                    if await self._connected(heard):
                        self.epoch, self._since = heard, time.monotonic()
                self.reception.still.look()
                await asyncio.sleep(LOOK_S)
        finally:
            self.reception.finish()
            await self._hang_up()

    async def flows(self, tracks: int, *, epoch: int) -> None:
        """Wait until so many tracks of others come in this tenure, or a later one."""
        begun = time.monotonic()

        def fresh() -> int:
            # What the tenure before sent last is no sign of this one.
            earliest = max(begun, self._since, time.monotonic() - FRESH_S)
            return sum(came >= earliest for came in self.reception.came.values())

        try:
            async with asyncio.timeout(FLOWS_S):
                while self.epoch < epoch or fresh() < tracks:  # noqa: ASYNC110 - a thread's news
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(
                f"{fresh()} tracks come in epoch {self.epoch}; the last refusal: {self.refused}"
            ) from None

    def ear(self) -> socket.socket:
        """Return the socket of this tenure, which stays open after it is hung up until closed."""
        return self._peer.socket.dup()

    def _newest_epoch(self) -> int:
        """Read what the widget heard since the last look."""
        widget, start = self._widget(), 0
        if widget is self._read_of[0]:
            start = self._read_of[1]
        news = widget.heard[start:]
        self._read_of = widget, start + len(news)
        return max((message["epoch"] for message in news if "epoch" in message), default=0)

    async def _connected(self, epoch: int) -> bool:
        """Try to build a peer connection with the actor of this tenure."""
        peer = self._peer = Peer(self._media.certificate)
        for track in self._tracks:
            track.peer = peer
            track.key_wanted = True
        try:
            answer = await self._offer(epoch)
            remote = read(str(answer["sdp"]))
            await peer.connect(remote)
        except (Refused, WebSocketException, AssertionError, OSError, TimeoutError) as error:
            # The actor is gone again, or not there yet: what it costs is seen in the pauses.
            self.refused = f"{type(error).__name__}: {error}"[:200]
            peer.close()
            return False
        repairs = {s.ssrcs[1] for s in remote.sections if len(s.ssrcs) > 1}
        self._sink = _Watched(peer, self.reception, self._media, repairs)
        self._pump = Pump([(peer, self._tracks)], [self._sink])
        self._pump.begin()
        return True

    async def _offer(self, epoch: int) -> Message:
        sections = [*map(published, self._tracks), Section("2", True), Section("3", False)]
        fields: dict[str, Any] = {
            "transport_id": f"stream-{secrets.token_hex(6)}",
            "epoch": epoch,
            "sdp": offer(self._peer.own, sections),
            "publish": [
                {"mid": "0", "source": "microphone"},
                {"mid": "1", "source": "camera"},
            ],
            "seats": [{"audio_mid": "2", "video_mid": "3"}],
            "screens": [],
        }
        widget = self._widget()
        await widget.request("media.publish", microphone=True, camera=True, screen=False)
        return await widget.request("media.offer", **fields)

    async def _hang_up(self) -> None:
        pump, self._pump = self._pump, None
        sink, self._sink = self._sink, None
        if pump is not None and sink is not None:
            await asyncio.to_thread(pump.close)
            assert pump.failure is None, pump.failure
            counts = sink.finish()
            self.faults += counts.wrong + counts.undecryptable
        self._peer.close()
