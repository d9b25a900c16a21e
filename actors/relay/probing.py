"""Finding out whether a subscriber's line carries more: RTX of recent packets (design-media §4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .outlet import Outlet

if TYPE_CHECKING:
    from .slot import Slot

_PROBE_LIMIT = 1.15
_MOST_PROBES = 20
"""Packets in one tick."""
_MOST_BEYOND = 0.25
"""Seconds of the limit that are made up for: a key frame and a packet too many, not an overload."""


class Probing:
    """Fills one subscriber's line up to a little more than its estimate, tick by tick."""

    __slots__ = ("_beyond", "_octets", "_outlet", "_ticked")

    def __init__(self, outlet: Outlet, now: float) -> None:
        self._outlet = outlet
        self._octets = 0
        self._beyond = 0.0
        """Bytes sent beyond the limit until now; later ticks probe the less."""
        self._ticked = now

    def tick(self, slots: Sequence[Slot], *, starved: bool, now: float) -> None:
        """Probe, if a higher layer is wanted (`starved`); otherwise only count."""
        elapsed = min(0.2, now - self._ticked)
        self._ticked = now
        outlet = self._outlet
        sent = outlet.octets_sent - self._octets
        estimate = outlet.estimate
        limit = _PROBE_LIMIT * estimate.bitrate / 8
        room = limit * elapsed - sent - self._beyond
        if starved and estimate.may_probe(now):
            feeding = [slot for slot in slots if slot.video and slot.layer is not None]
            back = 0
            while room > 0 and feeding and back < _MOST_PROBES:
                before = outlet.octets_sent
                feeding[back % len(feeding)].repairs.probe(back // len(feeding), now)
                room -= outlet.octets_sent - before
                back += 1
        self._beyond = min(max(0.0, -room), _MOST_BEYOND * limit)
        self._octets = outlet.octets_sent
