"""A browser's receiver of video, made by hand: what it asks for again, when it shows a picture.

It does as libwebrtc does (`nack_requester.cc`, `video_receive_stream2.cc`): a hole is asked for at
once and then once a round trip, ten times at most; a picture is shown when it is whole and the one
before it was, or is a key frame; after three seconds without one a key frame is asked for.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

from aiortc.rtp import RtcpSrPacket, RtpPacket

from actors.relay.wire.rtcp import Report, negative_acknowledgement, picture_loss, receiver_report
from actors.relay.wire.rtp import unwrap

from .client import CraftedClient

_LOOK = 0.02
"""Seconds between two looks at what is missing."""
_TRIES = 10
_MOST_WAIT = 3.0
"""Seconds without a picture after which a key frame is asked for."""
_FIRST_WAIT = 0.2
_REPORT = 1.0


@dataclass(slots=True)
class _Picture:
    """What has come of one picture, by sequence number."""

    key: bool = False
    first: int | None = None
    last: int | None = None
    rid: str = ""
    """The layer, as the last byte of its content says."""
    packets: set[int] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        if self.first is None or self.last is None:
            return False
        return len(self.packets) == self.last - self.first + 1


class Viewer:
    """Looks at one video slot of a client, until stopped."""

    def __init__(self, client: CraftedClient, mid: str, *, round_trip: float = 0.2) -> None:
        """`round_trip`: what this end believes of it, in seconds."""
        self.client = client
        self.shown: list[tuple[float, str]] = []
        """When a picture was shown, and of which layer."""
        self._ssrc, self._repair_ssrc = client.slots[mid]
        self._round_trip = round_trip
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._read = 0
        self._reports_read = 0
        self._report_due = 0.0
        self._sender_report: tuple[int, float] | None = None
        self._highest: int | None = None
        self._missing: dict[int, list[float]] = {}
        """Sequence → [last asked, times asked]."""
        self._pictures: dict[int, _Picture] = {}
        self._newest_picture = 0
        self._decoded: int | None = None
        self._waits_since = self._began
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def gaps(self, begin: float, end: float) -> list[float]:
        """Return the seconds between two pictures shown in that time, its edges included."""
        times = [begin, *(at for at, _ in self.shown if begin < at < end), end]
        return [after - before for before, after in itertools.pairwise(times)]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK / 4)
            heard = self.client.heard
            while self._read < len(heard):
                self._take(heard[self._read].packet)
                self._read += 1
            now = self._loop.time()
            self._ask_again(now)
            self._ask_for_key_frame(now)
            self._report(now)

    def _take(self, packet: RtpPacket) -> None:
        payload = packet.payload
        if packet.ssrc == self._ssrc:
            number = packet.sequence_number
        elif packet.ssrc == self._repair_ssrc and len(payload) > 2:
            number, payload = int.from_bytes(payload[:2], "big"), payload[2:]
        else:
            return
        if self._highest is None:
            self._highest = number + 0x10000
            sequence = self._highest
        else:
            sequence = unwrap(number, self._highest, 16)
            for hole in range(self._highest + 1, sequence):
                self._missing[hole] = [-1e9, 0]
            self._highest = max(self._highest, sequence)
        self._missing.pop(sequence, None)
        number = unwrap((payload[2] & 0x7F) << 8 | payload[3], self._newest_picture, 15)
        self._newest_picture = max(self._newest_picture, number)
        if self._decoded is not None and number <= self._decoded:
            return
        picture = self._pictures.setdefault(number, _Picture())
        picture.packets.add(sequence)
        if payload[0] & 0x10:
            picture.first = sequence
            picture.key = not payload[5] & 1
        if packet.marker:
            picture.last = sequence
        picture.rid = payload[-1:].decode("ascii", "replace")
        self._decode()

    def _decode(self) -> None:
        now = self._loop.time()
        while True:
            ready = [
                number
                for number, picture in self._pictures.items()
                if picture.whole and (picture.key or number - 1 == self._decoded)
            ]
            if not ready:
                return
            number = min(ready)
            picture = self._pictures[number]
            assert picture.first is not None
            for old in [n for n in self._pictures if n <= number]:
                del self._pictures[old]
            for old in [s for s in self._missing if s < picture.first]:
                del self._missing[old]
            self._decoded = number
            self._waits_since = now
            self.shown.append((now, picture.rid))

    def _ask_again(self, now: float) -> None:
        due = []
        for sequence, (asked, times) in list(self._missing.items()):
            if now - asked < self._round_trip:
                continue
            if times >= _TRIES:
                del self._missing[sequence]
                continue
            self._missing[sequence] = [now, times + 1]
            due.append(sequence)
        if due:
            numbers = [sequence & 0xFFFF for sequence in sorted(due)]
            self.client.send_rtcp(negative_acknowledgement(1, self._ssrc, numbers))

    def _ask_for_key_frame(self, now: float) -> None:
        wait = _FIRST_WAIT if self._decoded is None else _MOST_WAIT
        if now - self._waits_since > wait:
            self._waits_since = now
            self.client.send_rtcp(picture_loss(1, self._ssrc))

    def _report(self, now: float) -> None:
        """Say how long a report of the relay's took to come back (RFC 3550 §6.4.1)."""
        reports = self.client.reports
        while self._reports_read < len(reports):
            report = reports[self._reports_read]
            self._reports_read += 1
            if isinstance(report, RtcpSrPacket) and report.ssrc == self._ssrc:
                self._sender_report = (report.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF, now)
        if self._sender_report is not None and now >= self._report_due:
            self._report_due = now + _REPORT
            last, at = self._sender_report
            highest = (self._highest or 0) & 0xFFFFFFFF
            block = Report(self._ssrc, 0, 0, highest, 0, last, int((now - at) * 65536))
            self.client.send_rtcp(receiver_report(1, [block]))
