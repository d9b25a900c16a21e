"""Finding out whether a subscriber's line carries more: RTX of recent packets (design-media §4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from actors.relay.forwarding.outlet import Outlet

if TYPE_CHECKING:
    from actors.relay.forwarding.slot import Slot

_PROBE_LIMIT = 1.15
_MOST_PROBES = 20
"""Packets in one tick."""
_MOST_PADDED = 60
"""The same of padding, which is shorter."""
_MOST_BEYOND = 0.25
"""Seconds of the limit that are made up for: a key frame and a packet too many, not an overload."""


class Probing:
    """Fills one subscriber's line up to a little more than its estimate, tick by tick."""

    __slots__ = ("_beyond", "_octets", "_outlet", "_ticked", "pads")

    def __init__(self, outlet: Outlet, now: float) -> None:
        self._outlet = outlet
        self._octets = 0
        self._beyond = 0.0
        """Bytes sent beyond the limit until now; later ticks probe the less."""
        self._ticked = now
        self.pads = False
        """Whether it fills the line with padding, which is to come evenly: what is sent at once
        stands in a queue, which tells nothing of what the line carries."""

    def tick(self, slots: Sequence[Slot], *, starved: bool, now: float) -> None:
        """Probe, if more is wanted than fits (`starved`); otherwise only count."""
        elapsed = min(0.2, now - self._ticked)
        self._ticked = now
        outlet = self._outlet
        sent = outlet.octets_sent - self._octets
        estimate = outlet.estimate
        limit = _PROBE_LIMIT * estimate.bitrate / 8
        room = limit * elapsed - sent - self._beyond
        self.pads = False
        if starved:
            feeding = [slot for slot in slots if slot.video and slot.layer is not None]
            if estimate.may_probe(now):
                self.pads = not feeding
                room = self._repeat(feeding, room, now) if feeding else self._pad(slots, room, now)
            elif not feeding and estimate.is_untold(now):
                # Where all pictures are held back perhaps nothing goes that a peer could report.
                self._pad(slots, 1, now)
        self._beyond = min(max(0.0, -room), _MOST_BEYOND * limit)
        self._octets = outlet.octets_sent

    def _repeat(self, feeding: Sequence[Slot], room: float, now: float) -> float:
        """Repeat recent packets, each slot's newest first; returns what room is left."""
        back = 0
        while room > 0 and back < _MOST_PROBES:
            before = self._outlet.octets_sent
            feeding[back % len(feeding)].repairs.probe(back // len(feeding), now)
            room -= self._outlet.octets_sent - before
            back += 1
        return room

    def _pad(self, slots: Sequence[Slot], room: float, now: float) -> float:
        """Send padding by the first slot whose picture is held back; returns what room is left."""
        slot = next((slot for slot in slots if slot.hold.held), None)
        count = 0
        while slot is not None and room > 0 and count < _MOST_PADDED:
            before = self._outlet.octets_sent
            slot.repairs.pad(now)
            sent = self._outlet.octets_sent - before
            if not sent:
                # Without RTX, or for a moment without an address, there is nothing to send.
                break
            room -= sent
            count += 1
        return room
