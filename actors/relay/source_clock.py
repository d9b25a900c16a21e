"""The clock of one source: where its RTP time stamps stand in time, by its sender reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .rtcp import SenderInfo, seconds_of

if TYPE_CHECKING:
    from .transport import Transport


class SourceClock:
    """Ties RTP time stamps to the publisher's wall clock (RFC 3550 §6.4.1).

    That is tied to the relay's once for all tracks of a transport.
    """

    __slots__ = ("_arrival", "_compact", "_ntp", "_rate", "_timestamp", "_transport")

    def __init__(self, transport: Transport, rate: int) -> None:
        self._transport = transport
        self._rate = rate
        self._ntp: float | None = None
        self._timestamp = 0
        self._compact = 0
        self._arrival = 0.0

    def reported(self, info: SenderInfo, now: float) -> None:
        """Take the publisher's SR."""
        self._ntp = seconds_of(info.ntp)
        self._timestamp = info.timestamp
        self._compact = info.ntp >> 16 & 0xFFFFFFFF
        self._arrival = now
        self._transport.clock_reported(self._ntp, now)

    def echo(self, now: float) -> tuple[int, int]:
        """Return what a report block says of the last SR: its time, and the delay since."""
        if not self._compact:
            return 0, 0
        return self._compact, min(0xFFFFFFFF, int((now - self._arrival) * 65536))

    def moment_of(self, timestamp: int) -> float | None:
        """Return the publisher's wall-clock time of an RTP time stamp."""
        if self._ntp is None:
            return None
        ticks = (timestamp - self._timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        return self._ntp + ticks / self._rate

    def captured_at(self, timestamp: int) -> float | None:
        """Return when this was captured, on the relay's clock."""
        moment = self.moment_of(timestamp)
        offset = self._transport.clock_offset
        return moment + offset if moment is not None and offset is not None else None

    def timestamp_of(self, moment: float) -> int | None:
        """Return the RTP time stamp for a wall-clock time of the publisher."""
        if self._ntp is None:
            return None
        return self._timestamp + round((moment - self._ntp) * self._rate) & 0xFFFFFFFF

    def timestamp_at(self, now: float) -> int | None:
        """Return the RTP time at `now`, on the relay's clock."""
        offset = self._transport.clock_offset
        if self._ntp is None or offset is None:
            return None
        return self._timestamp + int((now - offset - self._ntp) * self._rate)
