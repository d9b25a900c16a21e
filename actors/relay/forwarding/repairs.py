"""What one slot sends again: repairs that were asked for, and probes (RFC 4588)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from actors.relay.forwarding.protected import Protected
from actors.relay.network.mmsg import DATAGRAM_BYTES
from actors.relay.sdp.codec import Codec
from actors.relay.wire.rtp import SILENT, unwrap

if TYPE_CHECKING:
    from actors.relay.forwarding.packet import Packet
    from actors.relay.forwarding.slot import Slot
    from actors.relay.network.ice import Address

_SHORTEST_WAIT = 0.02
"""Between two repairs of one packet, in seconds, when the round trip is not known."""
_MOST_RESENT = 1024
_PADDING = bytes(254) + b"\xff"
"""The most there is: its last byte counts it (RFC 3550 §5.1)."""


class Repairs:
    """The RTX stream beside a slot's own; without RTX, the slot's own packets once more."""

    __slots__ = (
        "_resent",
        "_sequence",
        "_slot",
        "_waiting",
        "protected",
        "refused",
        "sent",
        "ssrc",
    )

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.ssrc = 1 + secrets.randbelow(0xFFFFFFFE)
        self.sent = 0
        self.refused = 0
        """Repairs whose turn in the share of the line that repairs get would have come too late."""
        self._sequence = secrets.randbelow(1 << 15)
        self._resent: dict[int, float] = {}
        """Outgoing sequence → when it was resent last."""
        self._waiting: set[int] = set()
        """Outgoing sequences that the outlet will come back to (`send`, `give_up`)."""
        self.protected: Protected | None = None
        """What may be asked for again, as it left; None where there is RTX, or no `nack`."""

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def begin(self, codec: Codec) -> Callable[[Address, list[int]], None]:
        """Start over with another layer; returns what lets its packets go.

        With RTX, and without `nack`, those are the departures: nobody's packets are copied who can
        be given fresh ones, or asks for none.
        """
        if codec.repair_payload_type is not None or "nack" not in codec.feedback:
            return self._slot.outlet.departures.add
        self.protected = Protected()
        return self._keep

    def forget(self) -> None:
        """Nothing that was sent until now is sent again."""
        self._resent.clear()
        self._waiting.clear()
        self.protected = None

    def _keep(self, path: Address, sizes: list[int]) -> None:
        """Copy the packets that lie in the next cells, then let them go."""
        slot, protected, layer = self._slot, self.protected, self._slot.layer
        departures = slot.outlet.departures
        if protected is not None and layer is not None:
            start = departures.used * DATAGRAM_BYTES
            for size in sizes:
                data = bytes(departures.cells.view[start : start + size])
                protected.keep(data, slot.header.number_in(data), layer.last_arrival)
                start += DATAGRAM_BYTES
        departures.add(path, sizes)

    def resend(self, number: int, now: float) -> None:
        """Repeat what went out under this 16-bit sequence, as soon as the line has room for it.

        Not twice within a round trip, and only from the last second.
        """
        slot = self._slot
        layer, codec = slot.layer, slot.codec
        if layer is None or codec is None:
            return
        out = unwrap(number, slot.numbering.next_sequence, 16)
        incoming = slot.numbering.incoming_of(out)
        if incoming is None:
            return
        if layer.is_beyond_repair(incoming, now):
            # Its subscriber would look at a still picture for seconds before asking for this.
            slot.request_key_frame(now)
            return
        wait = max(_SHORTEST_WAIT, slot.round_trip or 0.0)
        if out in self._waiting or now - self._resent.get(out, -1e9) < wait:
            return
        self._waiting.add(out)
        if not slot.outlet.repair(self, out, now):
            self.give_up(out)

    def send(self, out: int, now: float) -> bool:
        """Send this again, unless it is gone meanwhile; False when it has to wait for its turn."""
        slot = self._slot
        layer, codec = slot.layer, slot.codec
        incoming = slot.numbering.incoming_of(out)
        if out not in self._waiting or layer is None or codec is None or incoming is None:
            self._waiting.discard(out)
            return True
        if self.protected is not None:
            sent = self.protected.find(out & 0xFFFF, now)
            if sent is not None:
                if not slot.outlet.may_resend(len(sent.data), now):
                    return False
                slot.outlet.repeat(sent.data, sent.number, now)
                self._note_resent(out, now)
        elif codec.repair_payload_type is not None:
            kept = layer.kept(incoming, now)
            if kept is not None:
                if not slot.outlet.may_resend(len(kept.payload), now):
                    return False
                self._send_again(kept, out, codec.repair_payload_type, now)
                self._note_resent(out, now)
        self._waiting.discard(out)
        return True

    def give_up(self, out: int) -> None:
        """Count one that would come too late, or that too many wait before."""
        if out in self._waiting:
            self._waiting.remove(out)
            self.refused += 1

    def _note_resent(self, out: int, now: float) -> None:
        if len(self._resent) >= _MOST_RESENT:
            self._resent.clear()
        self._resent[out] = now
        self.sent += 1

    def probe(self, back: int, now: float) -> int:
        """Repeat a recent packet to find out whether more gets through; returns its size.

        `back` counts from the newest. A browser takes the repetition as RTX it did not need.
        """
        slot = self._slot
        layer, codec = slot.layer, slot.codec
        if layer is None or codec is None or codec.repair_payload_type is None:
            return 0
        kept = layer.kept(slot.numbering.highest - back, now)
        out = slot.numbering.late_sequence_of(kept.sequence) if kept is not None else None
        if kept is None or out is None:
            return 0
        self._send_again(kept, out, codec.repair_payload_type, now)
        return len(kept.payload)

    def pad(self, now: float) -> None:
        """Send padding alone, to find out whether more gets through.

        For a line on which nothing goes that could be repeated. Browsers take RTX without a payload
        as what it is, for they pad so themselves; only its transport-wide number is of use.
        """
        slot = self._slot
        payload_type = next(
            (n for codec in slot.codecs.values() if (n := codec.repair_payload_type) is not None),
            None,
        )
        if payload_type is None or slot.header.elements != 2:
            return
        start = self._begin_packet(payload_type, slot.numbering.last_timestamp)
        view = slot.outlet.outbox.view
        size = start + len(_PADDING)
        view[start:size] = _PADDING
        view[0] |= 0x20
        slot.outlet.send_rtp(size, now, counted=True)

    def _send_again(self, kept: Packet, out: int, payload_type: int, now: float) -> None:
        """Write an RTX packet: the original's sequence before its payload (RFC 4588 §4)."""
        slot = self._slot
        numbering, view = slot.numbering, slot.outlet.outbox.view
        start = self._begin_packet(kept.marker | payload_type, numbering.stamp(kept.timestamp))
        view[start] = out >> 8 & 0xFF
        view[start + 1] = out & 0xFF
        start += 2
        size = start + len(kept.payload)
        view[start:size] = kept.payload
        if kept.vp8 is not None:
            numbering.renumber(view, start, kept.vp8, newest=False)
        slot.outlet.send_rtp(size, now, counted=slot.header.elements == 2)

    def _begin_packet(self, second: int, timestamp: int) -> int:
        """Write the next header of the RTX stream into the outbox; returns where it ends."""
        self._sequence = self._sequence + 1 & 0xFFFFFFFF
        outlet, header = self._slot.outlet, self._slot.header
        if header.elements == 2:
            outlet.transport_sequence = outlet.transport_sequence + 1 & 0xFFFF
        header.write(
            outlet.outbox.view,
            0,
            second,
            self._sequence & 0xFFFF,
            timestamp,
            self.ssrc,
            outlet.transport_sequence,
            SILENT,
        )
        return header.size
