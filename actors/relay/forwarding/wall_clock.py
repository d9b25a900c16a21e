"""A publisher's wall clock, tied to the relay's by its sender reports (RFC 3550 §6.4.1)."""

from __future__ import annotations

_SETTLES = 2.0
"""Seconds in which it may still jump to a better reading."""
_STEP = 0.002
"""Seconds by which a later report may improve it."""
_DRIFT = 2e-4
"""Seconds in one by which it may be slower than the relay's; quartz is within a quarter of that."""
_SET = 1.0
"""Seconds by which it must be off to have been set; no queue is so long."""


class WallClock:
    """One for all tracks of a transport, so that sound and picture of a person stay together."""

    __slots__ = ("_reported", "_since", "offset")

    def __init__(self) -> None:
        self.offset: float | None = None
        """The relay's clock less this one, in seconds; None before the first report."""
        self._since = self._reported = 0.0

    def reported(self, ntp: float, now: float) -> None:
        """Take what a report says that it was when it left, and when it arrived.

        The smallest offset is kept: it belongs to the report that travelled fastest. After the
        first seconds it is approached in small steps, because a jump would put sound and picture
        apart in every browser that fits a line through its reports. It grows by no more than a
        clock may be too slow.
        """
        offset = now - ntp
        before = self.offset
        if before is None or abs(offset - before) > _SET:
            self.offset = offset
            self._since = now
        elif offset < before:
            settled = now - self._since > _SETTLES
            self.offset = max(offset, before - _STEP) if settled else offset
        else:
            passed = max(0.0, now - self._reported)
            self.offset = min(offset, before + _DRIFT * passed)
        self._reported = now
