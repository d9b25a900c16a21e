"""What one peer sends: SRTP checked, SSRCs assigned to layers; RTCP goes to `Feedback`.

Routing is by (transport, SSRC), never by SSRC alone. Nothing is remembered about an SSRC before
a packet of it has passed authentication, and only as many are accepted as were negotiated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from actors.relay.forwarding.layer import Layer
from actors.relay.forwarding.picture import Picture
from actors.relay.forwarding.voice import Voice
from actors.relay.network.drops import Drops
from actors.relay.network.pylibsrtp_private import Buffer, Srtp
from actors.relay.sdp.codec import Codec
from actors.relay.transport.feedback import Feedback
from actors.relay.wire.redundancy import blocks_of
from actors.relay.wire.rtp import (
    AUDIO_LEVEL_URI,
    HEADER,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    SILENT,
    TRANSPORT_CC_URI,
    Body,
    body_of,
    extension,
    text_extension,
)
from actors.relay.wire.transport_feedback import ArrivalLog

if TYPE_CHECKING:
    from actors.relay.forwarding.publication import Publication
    from actors.relay.transport.transport import Transport

_MOST_RTCP_SENDERS = 64
_BURST_SECONDS = 0.25
"""How much of a second's packets may come at once: a large key frame, what waited while the process
stood still. A whole second's would hold the others up for a tenth of one."""
_BURST_OCTETS = 512 * 1024
"""The same in bytes: a large key frame of a shared screen twice."""


class Stream(NamedTuple):
    """What an SSRC stands for."""

    publication: Publication
    rid: str
    repair: bool
    codec: Codec


class Intake:
    """The inbound half of a transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.drops = Drops()
        self.layers: dict[int, Layer] = {}
        self.repairs: dict[int, Layer] = {}
        self.signalled: dict[int, Publication] = {}
        """SSRC → what it belongs to, repairs included, where the offer named SSRCs."""
        self.extensions: dict[str, int] = {}
        self.arrivals = ArrivalLog()
        self.packets = 0
        """Authentic ones; what nobody has proved to be this peer's uses up no allowance."""
        self.octets = 0
        self.feedback = Feedback(self)
        self._most_packets = transport.config.max_packets_per_second * _BURST_SECONDS
        """Up to which count packets are taken; grows by the clock (`allow`)."""
        self._most_octets: float = _BURST_OCTETS
        self._allowed_at = transport.created
        self._inbound: Srtp | None = None
        self._number_id = 0
        """Which extension is the transport-wide number; 0: none."""
        self._level_id = 0
        """Which is the audio level; 0: none."""
        self._rtcp_senders: set[int] = set()

    def keyed(self, inbound: Srtp) -> None:
        """Take the keys the handshake gave."""
        self._inbound = inbound

    def negotiated(self, extensions: dict[str, int]) -> None:
        """Take the extension ids of the publishing sections (one numbering per bundle)."""
        self.extensions = extensions
        self._number_id = extensions.get(TRANSPORT_CC_URI, 0)
        self._level_id = extensions.get(AUDIO_LEVEL_URI, 0)

    def forget(self, publication: Publication) -> None:
        """Take nothing more of a publication that has closed."""
        self.layers = {s: la for s, la in self.layers.items() if la.publication is not publication}
        self.repairs = {
            s: la for s, la in self.repairs.items() if la.publication is not publication
        }

    def close(self) -> None:
        self._inbound = None
        self.layers.clear()
        self.repairs.clear()
        self.signalled.clear()

    def allow(self, now: float) -> bool:
        """Let more packets in by the time that has passed, a bounded number at once.

        Whoever has the keys may send valid packets faster than they can be forwarded (ASVS
        V17.2.5), and more of them than anybody's line carries. Counting is by the pulse, so that a
        packet costs two comparisons, and by what is too much, so that what is let in of a flood
        comes evenly and holds nobody up. Returns whether one more may come in.
        """
        config = self.transport.config
        passed = now - self._allowed_at
        self._allowed_at = now
        rate: float = config.max_packets_per_second
        more = self._most_packets + rate * passed
        self._most_packets = min(more, self.packets + rate * _BURST_SECONDS)
        rate = config.max_bits_per_second / 8
        self._most_octets = min(self._most_octets + rate * passed, self.octets + _BURST_OCTETS)
        return self.packets < self._most_packets and self.octets < self._most_octets

    def knows(self, ssrc: int, *, feedback: bool) -> bool:
        """Whether authentic packets of this SSRC have come; `feedback` asks for RTCP."""
        if feedback:
            return ssrc in self._rtcp_senders
        return ssrc in self.layers or ssrc in self.repairs

    # -- RTP -----------------------------------------------------------------------------------

    def receive_rtp(self, buffer: Buffer, size: int, now: float) -> bool:
        """Take one SRTP packet; True when it was authentic."""
        inbound = self._inbound
        drops = self.drops
        if inbound is None:
            drops.unkeyed += 1
            return False
        used_up = self.packets >= self._most_packets or self.octets >= self._most_octets
        if used_up and not self.allow(now):
            drops.excess += 1
            return False
        view = buffer.view
        if size < 12:
            drops.malformed += 1
            return False
        _, second, sequence, timestamp, ssrc = HEADER.unpack_from(view)
        payload_type = second & 0x7F
        layer = self.layers.get(ssrc)
        repaired = None
        stream = None
        if layer is None:
            repaired = self.repairs.get(ssrc)
            if repaired is None:
                stream = self._identify(view, size, ssrc, payload_type)
                if stream is None:
                    drops.unknown_ssrc += 1
                    return False
        size = inbound.unprotect(buffer, size)
        if not size:
            drops.unauthentic += 1
            return False
        self.packets += 1
        self.octets += size
        if stream is not None:
            # Whatever else is wrong with it: libsrtp keeps state for its SSRC from here on.
            layer, repaired = self._admit(ssrc, stream, now)
        if size > self.transport.config.max_rtp_bytes:
            drops.oversize += 1
            return True
        body = body_of(view, size)
        if body is None:
            drops.malformed += 1
            return True
        if self._number_id:
            value = extension(view, body, self._number_id)
            if value is not None and len(value) == 2:
                self.arrivals.arrived(value[0] << 8 | value[1], now)
        if layer is not None:
            redundant = None
            if payload_type != layer.codec.payload_type:
                if payload_type != layer.codec.redundant_payload_type:
                    drops.payload_type += 1
                    return True
                redundant = blocks_of(
                    view, body.payload, body.payload_end, layer.codec.payload_type
                )
                if redundant is None:
                    drops.malformed += 1
                    return True
            level = SILENT
            if self._level_id and layer.codec.clock_rate == 48000:
                value = extension(view, body, self._level_id)
                if value is not None and len(value):
                    level = value[0]
            layer.receive(view, body, sequence, timestamp, second & 0x80, now, level, redundant)
        elif repaired is not None:
            start = body.payload
            if payload_type != repaired.codec.repair_payload_type:
                drops.payload_type += 1
            elif body.payload_end - start > 2:
                original = view[start] << 8 | view[start + 1]
                body = body._replace(payload=start + 2)
                repaired.repair(view, body, original, timestamp, second & 0x80, now)
        return True

    def _identify(self, view: memoryview, size: int, ssrc: int, payload_type: int) -> Stream | None:
        """Decide what a new SSRC is: signalled SSRCs win, MID and RID otherwise (RFC 8843 §9.2).

        Layers are told apart by RID and repaired RID in header extensions (RFC 8852 §3), also where
        the offer names their SSRCs: which is which RID's it does not say (RFC 8853 §5). A sender
        names them until a report of ours shows that it is known, and then no more.

        Changes nothing, because the packet is not yet known to be authentic.
        """
        body = body_of(view, size)
        if body is None:
            return None
        publication = self.signalled.get(ssrc)
        rid = self._text(view, body, RID_URI)
        if publication is None:
            mid = self._text(view, body, MID_URI)
            if mid is None:
                return None
            publication = self.transport.publications.get(mid)
            if publication is None or publication.signalled:
                # Where the offer named the section's SSRCs, this is none of them.
                return None
        repair = False
        codec = publication.payload_types.get(payload_type)
        if codec is None:
            codec = publication.repair_payload_types.get(payload_type)
            repair = True
            rid = self._text(view, body, REPAIRED_RID_URI) or rid
        if codec is None:
            return None
        rid = rid if rid is not None and publication.rids else ""
        if publication.rids and rid not in publication.rids:
            return None
        layer = publication.layers.get(rid)
        if repair:
            # A repair stream needs the layer it repairs, and there is one per layer.
            if layer is None or layer in self.repairs.values():
                return None
        elif layer is not None or len(publication.layers) >= self.transport.config.max_layers:
            return None
        return Stream(publication, rid, repair, codec)

    def _text(self, view: memoryview, body: Body, uri: str) -> str | None:
        number = self.extensions.get(uri)
        return text_extension(view, body, number) if number is not None else None

    def _admit(self, ssrc: int, stream: Stream, now: float) -> tuple[Layer | None, Layer | None]:
        publication = stream.publication
        if stream.repair:
            repaired = publication.layers[stream.rid]
            self.repairs[ssrc] = repaired
            return None, repaired
        kind = Picture if publication.video else Voice
        layer: Layer = kind(publication, ssrc, stream.codec, stream.rid)
        publication.layers[stream.rid] = layer
        self.layers[ssrc] = layer
        self.transport.owner.layer_added(layer, now)
        return layer, None

    # -- RTCP ----------------------------------------------------------------------------------

    def receive_rtcp(self, buffer: Buffer, size: int, now: float) -> bool:
        """Take one SRTCP packet; True when it was authentic."""
        inbound = self._inbound
        if inbound is None:
            self.drops.unkeyed += 1
            return False
        used_up = self.packets >= self._most_packets or self.octets >= self._most_octets
        if used_up and not self.allow(now):
            self.drops.excess += 1
            return False
        if size < 8:
            self.drops.malformed += 1
            return False
        view = buffer.view
        sender = int.from_bytes(view[4:8], "big")
        known = sender in self._rtcp_senders
        if not known and len(self._rtcp_senders) >= _MOST_RTCP_SENDERS:
            self.drops.unknown_ssrc += 1
            return False
        size = inbound.unprotect_rtcp(buffer, size)
        if not size:
            self.drops.unauthentic += 1
            return False
        if not known:
            self._rtcp_senders.add(sender)
        self.packets += 1
        self.octets += size
        self.feedback.take(bytes(view[:size]), now)
        return True

    def transport_feedback(self) -> list[bytes]:
        """Return the transport-wide feedback due, if the offer negotiated it."""
        media = next(iter(self.layers), 0)
        return self.arrivals.messages(self.transport.outlet.feedback_ssrc, media)
