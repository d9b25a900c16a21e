"""Writing the SDP answer: ICE-lite, passive DTLS, one BUNDLE (RFC 8829, RFC 8445 §6.1.1)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from actors.relay.sdp.codec import Codec, CodecName
from actors.relay.sdp.offer import FEEDBACK, OfferedSection
from actors.relay.wire.rtp import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
)

_PUBLISHING_EXTENSIONS = (
    MID_URI,
    RID_URI,
    REPAIRED_RID_URI,
    AUDIO_LEVEL_URI,
    TRANSPORT_CC_URI,
    ABS_SEND_TIME_URI,
)
_SLOT_EXTENSIONS = (MID_URI, AUDIO_LEVEL_URI, TRANSPORT_CC_URI, ABS_SEND_TIME_URI)


@dataclass(frozen=True, slots=True)
class SlotNames:
    """How one slot is called in the answer."""

    ssrc: int
    repair_ssrc: int
    cname: str
    stream: str
    track: str


@dataclass(frozen=True, slots=True)
class AnsweredSection:
    """One section of the answer; a refused one has no codecs."""

    offered: OfferedSection
    codecs: tuple[Codec, ...] = ()
    slot: SlotNames | None = None
    """Set where the relay sends; None where it receives."""
    rids: tuple[str, ...] = ()
    off: frozenset[str] = frozenset()
    """Those of them that the sender was told to turn off."""

    @property
    def extensions(self) -> dict[str, int]:
        """The accepted extensions, each offered by this very section."""
        wanted = _PUBLISHING_EXTENSIONS if self.slot is None else _SLOT_EXTENSIONS
        return {
            uri: self.offered.extensions[uri] for uri in wanted if uri in self.offered.extensions
        }


@dataclass(frozen=True, slots=True)
class AnswerTransport:
    """What all sections of a bundle share."""

    origin_id: int
    """Of the description, not of the video session (RFC 8866 §5.2)."""
    origin_version: int
    """Grows with each answer."""
    ufrag: str
    password: str
    fingerprint: str
    addresses: Sequence[str]
    port: int


def write_answer(transport: AnswerTransport, sections: Sequence[AnsweredSection]) -> str:
    """Write the answer; sections keep the order of the offer."""
    bundle = " ".join(section.offered.mid for section in sections if section.codecs)
    lines = [
        "v=0",
        f"o=- {transport.origin_id} {transport.origin_version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {bundle}",
        "a=ice-lite",
        "a=msid-semantic: WMS *",
    ]
    first = True
    for section in sections:
        if section.codecs:
            lines += _section(transport, section, first)
            first = False
        else:
            lines += _refused(section.offered)
    return "\r\n".join(lines) + "\r\n"


def _refused(offered: OfferedSection) -> list[str]:
    lines = [
        f"m={offered.kind} 0 {offered.protocol} {' '.join(offered.formats)}",
        "c=IN IP4 0.0.0.0",
        "a=inactive",
    ]
    if offered.mid:
        lines.append(f"a=mid:{offered.mid}")
    return lines


def _section(transport: AnswerTransport, section: AnsweredSection, first: bool) -> list[str]:
    offered = section.offered
    numbers: list[str] = []
    for codec in section.codecs:
        numbers.append(str(codec.payload_type))
        if codec.redundant_payload_type is not None:
            numbers.append(str(codec.redundant_payload_type))
        if codec.repair_payload_type is not None:
            numbers.append(str(codec.repair_payload_type))
    # The sender uses the first it sends, so the widget's own order decides about redundancy.
    numbers.sort(key=offered.formats.index)
    lines = [
        f"m={offered.kind} 9 {offered.protocol} {' '.join(numbers)}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{offered.mid}",
        f"a={_direction(section)}",
        f"a=ice-ufrag:{transport.ufrag}",
        f"a=ice-pwd:{transport.password}",
        f"a=fingerprint:sha-256 {transport.fingerprint}",
        "a=setup:passive",
        "a=rtcp-mux",
    ]
    if first:
        lines += _candidates(transport)
    if offered.reduced_size:
        lines.append("a=rtcp-rsize")
    if offered.extmap_mixed:
        lines.append("a=extmap-allow-mixed")
    lines += [f"a=extmap:{number} {uri}" for uri, number in section.extensions.items()]
    for codec in section.codecs:
        lines += _codec(codec)
    lines += _redundancy(section)
    if section.rids:
        lines += [f"a=rid:{rid} recv" for rid in section.rids]
        # Unless it is said to be paused, libwebrtc turns a layer on again. RFC 8853 §5.3.2 means it
        # for ends that agree on RFC 7728, which no browser has; Firefox reads over it.
        layers = [f"~{rid}" if rid in section.off else rid for rid in section.rids]
        lines.append(f"a=simulcast:recv {';'.join(layers)}")
    if section.slot is not None:
        lines += _slot(section.slot, any(c.repair_payload_type for c in section.codecs))
    return lines


def _direction(section: AnsweredSection) -> str:
    if section.slot is not None:
        return "sendonly"
    return "recvonly" if section.offered.direction in ("sendonly", "sendrecv") else "inactive"


def _candidates(transport: AnswerTransport) -> list[str]:
    lines: list[str] = []
    for index, address in enumerate(transport.addresses):
        # Host type preference 126 (RFC 8445 §5.1.2); IPv6 first, then in the operator's order.
        local = 65535 - index - (0 if ipaddress.ip_address(address).version == 6 else 256)
        priority = 126 << 24 | local << 8 | 255
        lines.append(
            f"a=candidate:{index + 1} 1 udp {priority} {address} {transport.port} typ host"
        )
    lines.append("a=end-of-candidates")
    return lines


def _codec(codec: Codec) -> list[str]:
    number = codec.payload_type
    if codec.name is CodecName.OPUS:
        lines = [f"a=rtpmap:{number} opus/48000/2"]
        lines.append(f"a=fmtp:{number} minptime=10;useinbandfec=1;usedtx=1")
    elif codec.name is CodecName.VP8:
        lines = [f"a=rtpmap:{number} VP8/90000"]
    else:
        lines = [f"a=rtpmap:{number} H264/90000"]
        profile = codec.parameters.get("profile-level-id", "42e01f")
        lines.append(
            f"a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1;"
            f"profile-level-id={profile}"
        )
    lines += [f"a=rtcp-fb:{number} {name}" for name in FEEDBACK if name in codec.feedback]
    repair = codec.repair_payload_type
    if repair is not None:
        lines.append(f"a=rtpmap:{repair} rtx/{codec.clock_rate}")
        lines.append(f"a=fmtp:{repair} apt={number}")
    return lines


def _redundancy(section: AnsweredSection) -> list[str]:
    lines: list[str] = []
    for codec in section.codecs:
        number, plain = codec.redundant_payload_type, codec.payload_type
        if number is not None:
            lines.append(f"a=rtpmap:{number} red/48000/2")
            lines.append(f"a=fmtp:{number} {plain}/{plain}")
    return lines


def _slot(slot: SlotNames, repaired: bool) -> list[str]:
    lines = [f"a=msid:{slot.stream} {slot.track}"]
    if repaired:
        lines.append(f"a=ssrc-group:FID {slot.ssrc} {slot.repair_ssrc}")
    lines.append(f"a=ssrc:{slot.ssrc} cname:{slot.cname}")
    lines.append(f"a=ssrc:{slot.ssrc} msid:{slot.stream} {slot.track}")
    if repaired:
        lines.append(f"a=ssrc:{slot.repair_ssrc} cname:{slot.cname}")
        lines.append(f"a=ssrc:{slot.repair_ssrc} msid:{slot.stream} {slot.track}")
    return lines
