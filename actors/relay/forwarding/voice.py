"""A voice that somebody sends: passed on packet by packet, redundancy kept or unwrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.relay.forwarding.forms import Forms
from actors.relay.forwarding.layer import Layer
from actors.relay.forwarding.packet import Frame, Packet
from actors.relay.sdp.codec import Codec
from actors.relay.wire.redundancy import Redundant
from actors.relay.wire.rtp import Body

if TYPE_CHECKING:
    from actors.relay.forwarding.publication import Publication

_PACKET_OCTETS = 40
"""Of header, extensions and tag, which many small packets are made of."""
_MOST_LOSS = 51
"""A fifth, in 256ths."""


class Voice(Layer):
    """The one layer of a microphone. It begins anywhere, and waits for nothing."""

    __slots__ = ("_listeners_lost",)

    def __init__(self, publication: Publication, ssrc: int, codec: Codec, rid: str) -> None:
        super().__init__(publication, ssrc, codec, rid)
        self._listeners_lost = 0.0

    def deliver(
        self,
        data: memoryview,
        body: Body,
        sequence: int,
        timestamp: int,
        marker: int,
        now: float,
        level: int,
        redundant: Redundant | None,
    ) -> None:
        publication = self.publication
        if not publication.open and not self.takes_over(now):
            return
        if self.waiting and sequence == self.highest:
            self.begin_waiting(sequence, timestamp, None, now)
        start, end = body.payload, body.payload_end
        if not publication.voice.take(end - start + _PACKET_OCTETS, now):
            publication.transport.drops.excess += 1
            self.leave_out(sequence, timestamp, now)
            return
        publication.loudness.heard(level, now)
        if redundant is None:
            one = Frame((Packet(sequence, timestamp, marker, bytes(data[start:end]), None, now),))
            for slot in self.slots:
                slot.forward(one, level, now)
        else:
            number = self.codec.payload_type
            forms = Forms(data, redundant, sequence, timestamp, marker, number, now)
            self._pass_redundant(forms, level, now)

    def pass_on(self, now: float) -> None:
        """Do nothing: no packet of a voice is held back."""

    def _pass_redundant(self, forms: Forms, level: int, now: float) -> None:
        """Pass RED on to those who accept it; unwrap it for the rest (RFC 2198).

        Also for who has just begun: what is repeated was said before, to nobody by who was muted,
        and once already by who has another transport now.
        """
        for slot in self.slots:
            if slot.accepts_redundancy and slot.numbering.first <= forms.oldest:
                slot.forward_redundant(forms, level, now)
                continue
            for frame in forms.stand_ins(slot.numbering.highest):
                slot.forward(frame, level, now)
            slot.forward(forms.newest(), level, now)

    def request_key_frame(self, now: float) -> None:
        """Ask for nothing: a voice has no key frames."""

    def told_loss(self, fraction: int) -> int:
        """Return the worst loss among the listeners, smoothed and at most a fifth.

        A browser sends in-band FEC only when its own receiver reports loss, and the loss that
        matters is on the listeners' lines.
        """
        worst = max((slot.fraction_lost for slot in self.slots), default=0)
        self._listeners_lost += (max(worst, fraction) - self._listeners_lost) * 0.5
        return min(_MOST_LOSS, round(self._listeners_lost))
