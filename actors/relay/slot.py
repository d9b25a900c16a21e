"""One receive position of a widget: constant SSRCs, changing sources (design-media §3)."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .codec import Codec, CodecName
from .line import Line
from .listener import SeatKind
from .redundancy import Redundant, renumbered
from .rtcp import SenderInfo, ntp_of
from .rtp import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI, ahead, unwrap
from .vp8 import Vp8

if TYPE_CHECKING:
    from .layer import Kept, Layer
    from .publication import Publication
    from .transport import Transport

_PICTURE = struct.Struct("!HB")
_SILENT = 127
"""The audio level of silence, in -dBov (RFC 6464)."""
_SHORTEST_WAIT = 0.02
"""Between two repairs of one packet, in seconds, when the round trip is not known."""
_MOST_RESENT = 1024


class Slot:
    """Feeds one SSRC of one subscriber from whichever layer it was given.

    `publication` is what the slot shall show, `target` the layer it waits for (a key frame first,
    if it is video), `layer` the one that feeds it now.
    """

    __slots__ = (
        "_bare",
        "_codec",
        "_elements",
        "_header_size",
        "_pack",
        "_pack_into",
        "_payload_type",
        "_suffixes",
        "_view",
        "cname",
        "codecs",
        "enabled",
        "fraction_lost",
        "index",
        "kind",
        "late",
        "layer",
        "line",
        "mid",
        "octets",
        "packets",
        "publication",
        "repair_sequence",
        "repair_ssrc",
        "repairs_refused",
        "repairs_sent",
        "report_due",
        "resent",
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
        transport: Transport,
        kind: SeatKind,
        index: int,
        mid: str,
        *,
        video: bool,
        cname: str,
        now: float,
    ) -> None:
        self.transport = transport
        self.kind = kind
        self.index = index
        self.mid = mid
        self.video = video
        self.cname = cname
        self.stream = f"{kind}-{index}"
        self.ssrc = 1 + secrets.randbelow(0xFFFFFFFE)
        self.repair_ssrc = 1 + secrets.randbelow(0xFFFFFFFE)
        self.codecs: dict[CodecName, Codec] = {}
        self.line = Line(
            90000 if video else 48000, now, secrets.randbelow(1 << 15), secrets.randbits(32)
        )
        self.publication: Publication | None = None
        self.target: Layer | None = None
        self.layer: Layer | None = None
        self.wanted_rid: str | None = None
        """The simulcast layer chosen for this slot; None before the first choice."""
        self.enabled = True
        """False while the subscriber may not or does not want to receive this."""
        self.packets = 0
        self.octets = 0
        self.late = 0
        self.report_due = 0.0
        self.repair_sequence = secrets.randbelow(1 << 15)
        self.repairs_sent = 0
        self.repairs_refused = 0
        self.resent: dict[int, float] = {}
        """Outgoing sequence → when it was resent last."""
        self.fraction_lost = 0
        """Of the subscriber's last report about this slot, in 256ths."""
        self.round_trip: float | None = None
        self._codec: Codec | None = None
        self._elements = 0
        self._bare = b""
        self._header_size = 12
        self._pack = struct.Struct("!BBHII")
        self._pack_into = self._pack.pack_into
        self._payload_type = 0
        self._suffixes: list[bytes] = []
        self._view = transport.outbox.view

    def negotiated(self, codecs: tuple[Codec, ...], extensions: Mapping[str, int]) -> None:
        """Take what the section's answer says; the header's constant parts are made here."""
        self.codecs = {codec.name: codec for codec in codecs}
        two_byte = any(number > 14 for number in extensions.values())

        def element(number: int, size: int) -> bytes:
            return bytes([number, size] if two_byte else [number << 4 | size - 1])

        mid = self.mid.encode("ascii")
        prefix = b""
        if MID_URI in extensions:
            prefix += element(extensions[MID_URI], len(mid)) + mid
        counted = TRANSPORT_CC_URI in extensions
        if counted:
            prefix += element(extensions[TRANSPORT_CC_URI], 2)
        level = b""
        if not self.video and AUDIO_LEVEL_URI in extensions:
            level = element(extensions[AUDIO_LEVEL_URI], 1)
        size = len(prefix) + 2 * counted + len(level) + bool(level)
        padding = bytes(-size % 4)
        profile = 0x1000 if two_byte else 0xBEDE
        prefix = struct.pack("!HH", profile, (size + len(padding)) // 4) + prefix
        self._suffixes = [
            level + bytes([value]) + padding if level else padding for value in range(256)
        ]
        self._elements = 2 if counted else 1 if size else 0
        tail = len(self._suffixes[0])
        middle = "H" if counted else ""
        self._bare = prefix
        self._pack = struct.Struct(f"!BBHII{len(prefix)}s{middle}{tail}s")
        self._header_size = self._pack.size
        if not size:
            self._pack = struct.Struct("!BBHII")
            self._header_size = 12
        self._pack_into = self._pack.pack_into

    def follow(self, publication: Publication | None, now: float) -> None:
        """Show this publication; its first packet, or key frame, starts it."""
        if self.publication is publication:
            return
        if self.publication is not None:
            self.publication.subscribers.remove(self)
        self.publication = publication
        self.wanted_rid = None
        if publication is not None:
            publication.subscribers.append(self)
        self.retarget(now)

    def retarget(self, now: float) -> None:
        """Choose the layer to wait for, from the publication and what is allowed now."""
        publication = self.publication
        wanted: Layer | None = None
        if publication is not None and self.enabled and publication.open:
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
                # A person who left or was replaced is not shown while the next one is awaited.
                self.detach()
            self.wait_for(wanted)
            if self.video:
                wanted.request_key_frame(now)

    def wait_for(self, layer: Layer | None) -> None:
        if self.target is not None:
            self.target.waiting.remove(self)
        self.target = layer
        if layer is not None:
            layer.waiting.append(self)

    def detach(self) -> None:
        """Stop feeding; the line goes on with whoever comes next."""
        if self.layer is not None:
            self.layer.slots.remove(self)
            self.layer = None

    def switch(
        self, layer: Layer, sequence: int, timestamp: int, vp8: Vp8 | None, now: float
    ) -> None:
        """Let the packet at hand, the first of `layer`, continue the line."""
        stamp = self._first_stamp(layer, timestamp, now)
        self.wait_for(None)
        self.detach()
        self.layer = layer
        layer.slots.append(self)
        self._codec = self.codecs[layer.codec.name]
        self._payload_type = self._codec.payload_type
        picture, level = (vp8.picture, vp8.level) if vp8 is not None else (0, 0)
        self.resent.clear()
        self.line.switch(sequence, timestamp, stamp, picture, level)
        self.report_due = now

    def _first_stamp(self, layer: Layer, timestamp: int, now: float) -> int:
        """Return the outgoing time stamp of a new layer's first packet.

        A new person continues at the relay's own time. Another layer of the same person is put
        where the same picture of the old layer would stand, through both layers' sender reports.
        """
        old = self.layer
        line = self.line
        if old is not None and old.publication is layer.publication and line.sent:
            moment = layer.moment_of(timestamp)
            same = old.timestamp_of(moment) if moment is not None else None
            if same is None:
                same = old.timestamp_at(now)
            stamp = same + line.timestamp_offset & 0xFFFFFFFF
            if ahead(stamp, line.last_timestamp):
                return stamp
            return line.last_timestamp + 1 & 0xFFFFFFFF
        return line.timestamp_at(now)

    def forward(
        self,
        sequence: int,
        timestamp: int,
        marker: int,
        payload: memoryview,
        vp8: Vp8 | None,
        audio_level: int,
        now: float,
    ) -> None:
        """Send one packet on; never raises on what the network or the peer does.

        Written out in one piece, because it runs once per packet and subscriber: every call
        it does not make is a tenth of a microsecond.
        """
        line = self.line
        if sequence > line.highest:
            line.highest = sequence
            out = sequence + line.offset
            line.next_sequence = out + 1
            newest = True
        else:
            late = line.late_sequence_of(sequence)
            if late is None:
                self.late += 1
                return
            out = late
            newest = False
        stamp = timestamp + line.timestamp_offset & 0xFFFFFFFF
        transport = self.transport
        view = self._view
        start = self._header_size
        number = -1
        if self._elements == 2:
            number = transport.transport_sequence = transport.transport_sequence + 1 & 0xFFFF
            self._pack_into(
                view,
                0,
                0x90,
                marker | self._payload_type,
                out & 0xFFFF,
                stamp,
                self.ssrc,
                self._bare,
                number,
                self._suffixes[audio_level],
            )
        else:
            self._write_header(
                view, marker | self._payload_type, out & 0xFFFF, stamp, self.ssrc, audio_level
            )
        length = len(payload)
        size = start + length
        view[start:size] = payload
        if vp8 is not None:
            bits = vp8.picture_bits
            if bits == 15 and vp8.level_position == vp8.picture_position + 2:
                # The usual form: picture id and TL0PICIDX side by side.
                picture = vp8.picture + line.picture_offset & 0x7FFF
                level = vp8.level + line.level_offset & 0xFF
                _PICTURE.pack_into(view, start + vp8.picture_position, 0x8000 | picture, level)
                if newest:
                    line.last_picture = picture
                    line.last_level = level
            elif bits:
                self._renumber(view, start, vp8, newest)
        if newest:
            line.advance(stamp)
        self.packets += 1
        self.octets += length
        path = transport.ice.selected
        if path is None:
            return
        size = transport.protect(size)
        if not size:
            transport.refused_sends += 1
            return
        try:
            path.sendto(view[:size], path.endpoint)
        except OSError as error:
            path.socket.failed(error)
        else:
            transport.packets_sent += 1
            transport.octets_sent += size
            if number >= 0:
                transport.estimate.sent(number, size, now)

    @property
    def accepts_redundancy(self) -> bool:
        return self._codec is not None and self._codec.redundant_payload_type is not None

    def forward_redundant(
        self,
        sequence: int,
        timestamp: int,
        marker: int,
        payload: memoryview,
        redundant: Redundant,
        audio_level: int,
        now: float,
    ) -> None:
        """Send a RED packet on as it is, its formats numbered as this receiver numbers them."""
        codec = self._codec
        if codec is None or codec.redundant_payload_type is None or self.layer is None:
            return
        if codec.payload_type != self.layer.codec.payload_type:
            start = redundant.headers[0]
            payload = memoryview(
                renumbered(bytes(payload), redundant.headers, start, codec.payload_type)
            )
        plain = self._payload_type
        self._payload_type = codec.redundant_payload_type
        self.forward(sequence, timestamp, marker, payload, None, audio_level, now)
        self._payload_type = plain

    def _write_header(
        self, view: memoryview, second: int, sequence: int, stamp: int, ssrc: int, level: int
    ) -> int:
        """Write header and extensions; returns where the payload goes."""
        elements = self._elements
        if elements == 2:
            transport = self.transport
            number = transport.transport_sequence = transport.transport_sequence + 1 & 0xFFFF
            self._pack_into(
                view,
                0,
                0x90,
                second,
                sequence,
                stamp,
                ssrc,
                self._bare,
                number,
                self._suffixes[level],
            )
        elif elements:
            self._pack_into(
                view, 0, 0x90, second, sequence, stamp, ssrc, self._bare, self._suffixes[level]
            )
        else:
            self._pack_into(view, 0, 0x80, second, sequence, stamp, ssrc)
        return self._header_size

    def _renumber(self, view: memoryview, start: int, vp8: Vp8, newest: bool) -> None:
        line = self.line
        position = start + vp8.picture_position
        picture = vp8.picture + line.picture_offset
        if vp8.picture_bits == 15:
            picture &= 0x7FFF
            view[position] = 0x80 | picture >> 8
            view[position + 1] = picture & 0xFF
        else:
            picture &= 0x7F
            view[position] = picture
        if newest:
            line.last_picture = picture
        if vp8.level_position:
            level = vp8.level + line.level_offset & 0xFF
            view[start + vp8.level_position] = level
            if newest:
                line.last_level = level

    def resend(self, number: int, now: float) -> None:
        """Repeat what went out under this 16-bit sequence, as RTX (RFC 4588).

        Not twice within a round trip, and only from the last second.
        """
        layer, codec = self.layer, self._codec
        if layer is None or codec is None or codec.repair_payload_type is None:
            return
        out = unwrap(number, self.line.next_sequence, 16)
        incoming = self.line.incoming_of(out)
        kept = layer.kept(incoming, now) if incoming is not None else None
        if kept is None:
            return
        wait = max(_SHORTEST_WAIT, self.round_trip or 0.0)
        if now - self.resent.get(out, -1e9) < wait:
            return
        if not self.transport.may_resend(len(kept.payload), now):
            self.repairs_refused += 1
            return
        if len(self.resent) >= _MOST_RESENT:
            self.resent.clear()
        self.resent[out] = now
        self.repairs_sent += 1
        self._send_again(kept, out, codec.repair_payload_type, now)

    def probe(self, back: int, now: float) -> int:
        """Repeat a recent packet to find out whether more gets through; returns its size.

        `back` counts from the newest. A browser takes the repetition as RTX it did not need.
        """
        layer, codec = self.layer, self._codec
        if layer is None or codec is None or codec.repair_payload_type is None:
            return 0
        kept = layer.kept(self.line.highest - back, now)
        out = self.line.late_sequence_of(kept.sequence) if kept is not None else None
        if kept is None or out is None:
            return 0
        self._send_again(kept, out, codec.repair_payload_type, now)
        return len(kept.payload)

    def _send_again(self, kept: Kept, out: int, payload_type: int, now: float) -> None:
        """Write an RTX packet: the original's sequence before its payload (RFC 4588 §4)."""
        self.repair_sequence = self.repair_sequence + 1 & 0xFFFFFFFF
        view = self._view
        start = self._write_header(
            view,
            kept.marker | payload_type,
            self.repair_sequence & 0xFFFF,
            kept.timestamp + self.line.timestamp_offset & 0xFFFFFFFF,
            self.repair_ssrc,
            _SILENT,
        )
        view[start] = out >> 8 & 0xFF
        view[start + 1] = out & 0xFF
        start += 2
        size = start + len(kept.payload)
        view[start:size] = kept.payload
        if kept.vp8 is not None and kept.vp8.picture_bits:
            self._renumber(view, start, kept.vp8, newest=False)
        self.transport.send_rtp(size, now, counted=self._elements == 2)

    def skip(self, sequence: int) -> None:
        self.line.skip(sequence)

    def sender_info(self, now: float, epoch: float) -> SenderInfo | None:
        """Say which RTP time stamp belongs to `now` on the relay's wall clock (RFC 3550 §6.4.1)."""
        layer = self.layer
        if layer is None or not self.line.sent:
            return None
        incoming = layer.timestamp_at(now)
        stamp = incoming + self.line.timestamp_offset & 0xFFFFFFFF
        return SenderInfo(self.ssrc, ntp_of(now + epoch), stamp, self.packets, self.octets)

    def close(self) -> None:
        """Give up publication and layer; ended by the transport."""
        self.wait_for(None)
        self.detach()
        if self.publication is not None:
            self.publication.subscribers.remove(self)
            self.publication = None
