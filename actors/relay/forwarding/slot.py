"""One receive position of a widget: constant SSRCs, changing sources (design-media §3)."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from actors.relay.congestion.hold import Hold
from actors.relay.forwarding.forms import Forms
from actors.relay.forwarding.numbering import TURNS, Numbering
from actors.relay.forwarding.packet import Frame, Packet
from actors.relay.forwarding.repairs import Repairs
from actors.relay.listener import SeatKind
from actors.relay.network.mmsg import DATAGRAM_BYTES
from actors.relay.network.pylibsrtp_private import srtp_protect
from actors.relay.sdp.codec import Codec, CodecName
from actors.relay.wire.header import Header
from actors.relay.wire.rtcp import SenderInfo, ntp_of
from actors.relay.wire.rtp import ahead
from actors.relay.wire.vp8 import Vp8

if TYPE_CHECKING:
    from actors.relay.forwarding.layer import Layer
    from actors.relay.forwarding.peer import MediaPeer
    from actors.relay.forwarding.publication import Publication
    from actors.relay.network.ice import Address

_MOST_EARLY = 0.3
"""Seconds that a voice waits for what was captured after its seat was told of."""
_MEASURE_INTERVAL = 1.0
_PICTURE = struct.Struct("!HB")


class Slot:
    """Feeds one SSRC of one subscriber from whichever layer it was given.

    `publication` is what the slot shall show, `target` the layer it waits for (a key frame first,
    if it is video), `layer` the one that feeds it now.
    """

    __slots__ = (
        "_measured",
        "_octets_before",
        "_payload_type",
        "bitrate",
        "cname",
        "codec",
        "codecs",
        "enabled",
        "expected",
        "fraction_lost",
        "header",
        "hold",
        "index",
        "jitter",
        "kind",
        "late",
        "layer",
        "leave",
        "mid",
        "numbering",
        "octets",
        "outlet",
        "packets",
        "publication",
        "repairs",
        "report_due",
        "reported",
        "room",
        "round_trip",
        "ssrc",
        "stream",
        "target",
        "transport",
        "video",
        "wanted_rid",
    )

    def __init__(
        self,
        transport: MediaPeer,
        kind: SeatKind,
        index: int,
        mid: str,
        *,
        video: bool,
        cname: str,
        now: float,
    ) -> None:
        self.transport = transport
        self.outlet = transport.outlet
        self.leave: Callable[[Address, list[int]], None] = self.outlet.departures.add
        """Lets packets go that lie in the next cells; what the layer's repairs need, they keep."""
        self.kind = kind
        self.index = index
        self.mid = mid
        self.video = video
        self.cname = cname
        self.stream = f"{kind}-{index}"
        self.ssrc = 1 + secrets.randbelow(0xFFFFFFFE)
        self.codecs: dict[CodecName, Codec] = {}
        self.numbering = Numbering(
            90000 if video else 48000,
            now,
            secrets.randbelow(1 << 15),
            secrets.randbits(32),
            turns=TURNS if video else 1,
        )
        self.publication: Publication | None = None
        self.target: Layer | None = None
        self.layer: Layer | None = None
        self.wanted_rid: str | None = None
        """The simulcast layer chosen for this slot; None before the first choice."""
        self.enabled = True
        """False while the subscriber may not or does not want to receive this."""
        self.hold = Hold()
        self.room: float | None = None
        """What the subscriber's line has for this picture, in bits per second; None: no picture."""
        self.packets = 0
        self.octets = 0
        self.late = 0
        """Packets that had no place any more: from before a switch, or left out."""
        self.report_due = 0.0
        self.repairs = Repairs(self)
        self.fraction_lost = 0
        """Of the subscriber's last report about this slot, in 256ths."""
        self.expected = 0
        """How many packets that report is about."""
        self.reported = 0
        """How many had been sent at that time."""
        self.jitter = 0
        """Of that report, in clock ticks."""
        self.round_trip: float | None = None
        self.bitrate = 0.0
        """Sent lately, in bits per second of payload."""
        self._measured = now
        self._octets_before = 0
        self.codec: Codec | None = None
        """What the present layer is sent as."""
        self.header = Header.plain()
        self._payload_type = 0

    def negotiated(self, codecs: tuple[Codec, ...], extensions: Mapping[str, int]) -> None:
        """Take what the section's answer says; the header's constant parts are made here."""
        self.codecs = {codec.name: codec for codec in codecs}
        self.header = Header(self.mid, extensions, video=self.video)

    def follow(self, publication: Publication | None, now: float) -> None:
        """Show this publication; its first packet, or key frame, starts it."""
        if self.publication is publication:
            return
        if self.publication is not None:
            self.publication.subscribers.remove(self)
        self.publication = publication
        self.wanted_rid = None
        self.hold = Hold()
        if publication is not None:
            publication.subscribers.append(self)
        self.retarget(now)

    def retarget(self, now: float) -> None:
        """Choose the layer to wait for, from the publication and what is allowed now."""
        publication = self.publication
        wanted: Layer | None = None
        if publication is not None and self.enabled and not self.hold.held and publication.open:
            wanted = publication.layer_for(self, now)
            if wanted is not None and wanted.codec.name not in self.codecs:
                wanted = None
        if wanted is None:
            self.wait_for(None)
            self.detach()
        elif wanted is self.layer:
            self.wait_for(None)
        else:
            if self.layer is not None and self.layer.publication is not publication:
                # A person who left or was replaced is not shown while the next one is awaited:
                # the seat message has named the time stamp from which the slot is the other's,
                # and a message that came after the first frame would be a name too late.
                self.detach()
            self.wait_for(wanted)
            if self.video:
                lower = self.layer is not None and wanted.bitrate < self.layer.bitrate
                self._ask(wanted, now, urgent=lower)

    def request_key_frame(self, now: float) -> None:
        """Ask for a key frame because this subscriber does, who may not do so without end."""
        if self.layer is not None:
            self._ask(self.layer, now, urgent=False)

    def _ask(self, layer: Layer, now: float, *, urgent: bool) -> None:
        """Ask for what this subscriber needs, unless they have caused too many key frames lately.

        Whoever waits then begins with one that others need, or asks when layers are chosen next.
        """
        person, publication = self.transport.participant_id, layer.publication
        if layer.key_wanted or publication.may_cause_key_frame(person, now, urgent=urgent):
            layer.request_key_frame(now)

    def wait_for(self, layer: Layer | None) -> None:
        if self.target is not None:
            self.target.waiting.remove(self)
        self.target = layer
        if layer is not None:
            layer.waiting.append(self)

    def detach(self) -> None:
        """Stop feeding; the numbering goes on with whoever comes next."""
        if self.layer is not None:
            self.layer.slots.remove(self)
            self.layer = None
            self.repairs.forget()

    def switch(
        self, layer: Layer, sequence: int, timestamp: int, vp8: Vp8 | None, now: float
    ) -> None:
        """Let the packet at hand, the first of `layer`, go on where the numbers are.

        A voice begins with the first packet that was captured after its seat was told of; waiting
        for it costs less than a step in the clock that sound and picture share.
        """
        stamp = self._first_stamp(layer, timestamp, now)
        promised = self.numbering.promised
        if promised is not None and ahead(promised, stamp):
            early = promised - stamp & 0xFFFFFFFF
            if not self.video and early < _MOST_EARLY * self.numbering.clock_rate:
                return
            stamp = promised
        if self.layer is not None:  # Of the same person: another's was let go by `retarget`.
            self.outlet.layer_switches += 1
        self.wait_for(None)
        self.detach()
        self.layer = layer
        layer.slots.append(self)
        self.codec = self.codecs[layer.codec.name]
        self._payload_type = self.codec.payload_type
        self.leave = self.repairs.begin(self.codec)
        picture, level = (vp8.picture, vp8.level) if vp8 is not None else (0, 0)
        self.numbering.switch(sequence, timestamp, stamp, picture, level)
        self.report_due = now

    def _first_stamp(self, layer: Layer, timestamp: int, now: float) -> int:
        """Return the outgoing time stamp of a new layer's first packet.

        A new person continues at the relay's own time, at that of the capture as soon as sender
        reports tell it: then the reports of a slot name one unbending clock whoever feeds it, and
        browsers need not find lip sync anew after each switch. Another layer of the same person is
        put where the same picture of the old layer would stand.
        """
        old = self.layer
        numbering = self.numbering
        if old is not None and old.publication is layer.publication and numbering.sent:
            same_picture = old.clock.same_moment(layer.clock, timestamp, now)
            return numbering.next_stamp(same_picture + numbering.timestamp_offset)
        return numbering.timestamp_at(layer.clock.captured_at(timestamp, now))

    def forward(self, frame: Frame, audio_level: int, now: float) -> None:
        """Pass on packets that leave together; never raises on what network or peer do.

        The usual case is written out in one piece, because it runs for every packet and
        subscriber: each call it does not make is a tenth of a microsecond.
        """
        outlet = self.outlet
        path, handle = outlet.ice.selected, outlet.handle
        if path is None or handle is None:
            return
        numbering = self.numbering
        header = self.header
        packets = frame.packets
        first = packets[0]
        sequence = first.sequence
        out = sequence + numbering.offset
        # What is late or leaves a hole is looked at closely: see `Numbering.sequence_of`.
        if out != numbering.next_sequence or not frame.plain or header.elements != 2:
            self._forward_each(packets, audio_level, now)
            return
        count = len(packets)
        numbering.highest = sequence + count - 1
        numbering.next_sequence = out + count
        stamp = first.timestamp + numbering.timestamp_offset & numbering.mask | numbering.turn
        # As `Numbering.advance` does it.
        if (stamp - numbering.last_timestamp) & 0xFFFFFFFF < 0x80000000 or not numbering.sent:
            numbering.last_timestamp = stamp
            numbering.sent = True
        vp8 = frame.vp8
        counters = b""
        position = 0
        if vp8 is not None:
            numbering.last_picture = picture = vp8.picture + numbering.picture_offset & 0x7FFF
            numbering.last_level = level = vp8.level + numbering.level_offset & 0xFF
            position = vp8.picture_position
            counters = _PICTURE.pack(0x8000 | picture, level)
        departures = outlet.departures
        cell = departures.room_for(count)
        cells = departures.cells
        view, pointers, protected = cells.view, cells.pointers, cells.length
        pack_into, head, ssrc, bare = header.pack_into, header.size, self.ssrc, header.bare
        payload_type, suffix = self._payload_type, header.suffixes[audio_level]
        number = outlet.transport_sequence
        base = cell * DATAGRAM_BYTES
        sizes: list[int] = []
        for lead, marker, payload in frame.parts:
            number = number + 1 & 0xFFFF
            size = len(payload)
            start = base + head
            view[start : start + size] = payload
            pack_into(
                view,
                base,
                lead,
                marker | payload_type,
                out & 0xFFFF,
                stamp,
                ssrc,
                bare,
                number,
                suffix,
            )
            if counters:
                start += position
                view[start : start + 3] = counters
            out += 1
            protected[0] = size + head
            if srtp_protect(handle, pointers[cell], protected):
                outlet.refused_sends += 1
                continue
            sizes.append(protected[0])
            cell += 1
            base += DATAGRAM_BYTES
        outlet.transport_sequence = number
        self.packets += count
        self.octets += frame.octets
        if len(sizes) == count:
            outlet.estimate.sent_together(number, sizes, now)
        if sizes:
            outlet.packets_sent += len(sizes)
            outlet.octets_sent += sum(sizes)
            self.leave(path, sizes)

    def _forward_each(self, packets: Sequence[Packet], audio_level: int, now: float) -> None:
        """Pass on packets that are late, have holes between them or an unusual descriptor."""
        outlet = self.outlet
        path, numbering, header = outlet.ice.selected, self.numbering, self.header
        assert path is not None
        for sequence, timestamp, marker, payload, vp8, _ in packets:
            newest = sequence > numbering.highest
            out = numbering.sequence_of(sequence)
            if out is None:
                self.late += 1
                continue
            stamp = numbering.stamp(timestamp)
            number = outlet.transport_sequence
            if header.elements == 2:
                number = outlet.transport_sequence = number + 1 & 0xFFFF
            departures = outlet.departures
            cell = departures.room_for(1)
            cells = departures.cells
            base = cell * DATAGRAM_BYTES
            second = marker | self._payload_type
            header.write(
                cells.view, base, second, out & 0xFFFF, stamp, self.ssrc, number, audio_level
            )
            start = base + header.size
            end = start + len(payload)
            cells.view[start:end] = payload
            if vp8 is not None:
                numbering.renumber(cells.view, start, vp8, newest=newest)
            numbering.advance(stamp)
            self.packets += 1
            self.octets += len(payload)
            cells.length[0] = end - base
            if srtp_protect(outlet.handle, cells.pointers[cell], cells.length):
                outlet.refused_sends += 1
                continue
            size = cells.length[0]
            if header.elements == 2:
                outlet.estimate.sent(number, size, now)
            outlet.packets_sent += 1
            outlet.octets_sent += size
            self.leave(path, [size])

    @property
    def accepts_redundancy(self) -> bool:
        return self.codec is not None and self.codec.redundant_payload_type is not None

    def forward_redundant(self, forms: Forms, audio_level: int, now: float) -> None:
        """Send a RED packet on as it is, its formats numbered as this receiver numbers them."""
        codec = self.codec
        if codec is None or codec.redundant_payload_type is None:
            return
        plain = self._payload_type
        self._payload_type = codec.redundant_payload_type
        self.forward(forms.wrapped(codec.payload_type), audio_level, now)
        self._payload_type = plain

    def measure(self, now: float) -> None:
        """Update the bit rate; call it a few times a second."""
        elapsed = now - self._measured
        if elapsed >= _MEASURE_INTERVAL:
            self.bitrate = 8 * (self.octets - self._octets_before) / elapsed
            self._octets_before = self.octets
            self._measured = now

    def sender_info(self, now: float, epoch: float) -> SenderInfo | None:
        """Say which RTP time stamp belongs to `now` on the relay's wall clock (RFC 3550 §6.4.1)."""
        layer = self.layer
        if layer is None or not self.numbering.sent:
            return None
        incoming = layer.clock.timestamp_at(now)
        stamp = incoming + self.numbering.timestamp_offset & 0xFFFFFFFF
        self.numbering.tell(now, stamp)
        return SenderInfo(self.ssrc, ntp_of(now + epoch), stamp, self.packets, self.octets)

    def close(self) -> None:
        """Give up publication and layer; ended by the transport."""
        self.wait_for(None)
        self.detach()
        if self.publication is not None:
            self.publication.subscribers.remove(self)
            self.publication = None
