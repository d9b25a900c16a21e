"""The offers that synthetic peers make, as a browser would: one bundle, nothing gathered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from actors.relay.wire.rtp import (
    AUDIO_LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
)

CNAME = "synthetic"
_VIDEO_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
_H264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one peer numbers what it speaks, None what it does not; two peers rarely agree."""

    opus: int = 111
    opus_feedback: tuple[str, ...] = ("transport-cc",)
    """What RTCP feedback it offers for Opus; browsers offer no `nack` there."""
    red: int | None = None
    """RED (RFC 2198) for Opus."""
    vp8: int | None = 96
    vp8_rtx: int | None = 97
    h264: int | None = 102
    h264_rtx: int | None = 103
    extensions: Mapping[str, int] = field(
        default_factory=lambda: {
            AUDIO_LEVEL_URI: 1,
            TRANSPORT_CC_URI: 3,
            MID_URI: 4,
            RID_URI: 10,
            REPAIRED_RID_URI: 11,
        }
    )
    signals_ssrcs: bool = True
    """Whether offers name the SSRCs of what is sent without layers."""
    signals_layers: bool = False
    """Whether they name those of layers, too, beside their RIDs (Firefox does)."""

    @property
    def camera(self) -> tuple[int, int | None]:
        """The payload types of what a camera sends, VP8 where it is spoken, and of its RTX."""
        if self.vp8 is not None:
            return self.vp8, self.vp8_rtx
        assert self.h264 is not None, "a camera needs a codec"
        return self.h264, self.h264_rtx


LOAD = Dialect(h264=None, extensions={AUDIO_LEVEL_URI: 1, TRANSPORT_CC_URI: 3, MID_URI: 4})
"""What a load speaks, to every server alike."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a peer says about itself in every section."""

    ufrag: str
    password: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an offer: something sent, or a place to receive in."""

    mid: str
    audio: bool
    sends: bool = False
    ssrcs: tuple[tuple[int, int], ...] = ()
    """SSRC and RTX SSRC of what is sent: one pair, or one for each of the RIDs."""
    rids: tuple[str, ...] = ()
    """The layers of what is sent, where there are several (RFC 8853)."""


def offer(
    own: Credentials, sections: Sequence[Section], dialect: Dialect = LOAD, version: int = 1
) -> str:
    """Write an offer; `version` grows with each of the same peer."""
    lines = [*session_lines([s.mid for s in sections], version), "a=extmap-allow-mixed"]
    for section in sections:
        lines += _section(own, section, dialect)
    return "\r\n".join(lines) + "\r\n"


def session_lines(mids: Sequence[str], version: int = 1) -> list[str]:
    """Return what a description begins with."""
    return [
        "v=0",
        f"o=- 4611731400430051336 {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(mids),
    ]


def transport_lines(own: Credentials, setup: str) -> list[str]:
    """Return what a section says of the transport; `setup` is the role in the handshake."""
    return [
        f"a=ice-ufrag:{own.ufrag}",
        f"a=ice-pwd:{own.password}",
        f"a=fingerprint:sha-256 {own.fingerprint}",
        f"a=setup:{setup}",
    ]


def _section(own: Credentials, section: Section, dialect: Dialect) -> list[str]:
    numbers, codec_lines = _audio(dialect) if section.audio else _video(dialect)
    return [
        f"m={'audio' if section.audio else 'video'} 9 UDP/TLS/RTP/SAVPF "
        + " ".join(map(str, numbers)),
        "c=IN IP4 0.0.0.0",
        *transport_lines(own, "actpass"),
        f"a=mid:{section.mid}",
        "a=sendonly" if section.sends else "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *(
            f"a=extmap:{number} {uri}"
            for uri, number in dialect.extensions.items()
            if section.audio or uri != AUDIO_LEVEL_URI
        ),
        *codec_lines,
        *(_sent(section, dialect) if section.sends else ()),
    ]


def _audio(dialect: Dialect) -> tuple[list[int], list[str]]:
    opus = dialect.opus
    numbers = [opus]
    lines = [
        f"a=rtpmap:{opus} opus/48000/2",
        *(f"a=rtcp-fb:{opus} {form}" for form in dialect.opus_feedback),
        f"a=fmtp:{opus} minptime=10;useinbandfec=1",
    ]
    if dialect.red is not None:
        numbers.append(dialect.red)
        lines += [f"a=rtpmap:{dialect.red} red/48000/2", f"a=fmtp:{dialect.red} {opus}/{opus}"]
    return numbers, lines


def _video(dialect: Dialect) -> tuple[list[int], list[str]]:
    numbers: list[int] = []
    lines: list[str] = []
    for number, rtx, name, parameters in (
        (dialect.vp8, dialect.vp8_rtx, "VP8", ""),
        (dialect.h264, dialect.h264_rtx, "H264", _H264),
    ):
        if number is None:
            continue
        numbers.append(number)
        lines.append(f"a=rtpmap:{number} {name}/90000")
        lines += [f"a=rtcp-fb:{number} {form}" for form in _VIDEO_FEEDBACK]
        if parameters:
            lines.append(f"a=fmtp:{number} {parameters}")
        if rtx is not None:
            numbers.append(rtx)
            lines += [f"a=rtpmap:{rtx} rtx/90000", f"a=fmtp:{rtx} apt={number}"]
    return numbers, lines


def _sent(section: Section, dialect: Dialect) -> Iterator[str]:
    yield f"a=msid:{CNAME} {CNAME}-{section.mid}"
    if section.rids:
        yield from (f"a=rid:{rid} send" for rid in section.rids)
        yield "a=simulcast:send " + ";".join(section.rids)
    if not (dialect.signals_layers if section.rids else dialect.signals_ssrcs):
        return
    for ssrc, rtx_ssrc in section.ssrcs:
        if not section.audio and dialect.camera[1] is not None:
            yield f"a=ssrc-group:FID {ssrc} {rtx_ssrc}"
            yield f"a=ssrc:{rtx_ssrc} cname:{CNAME}"
        yield f"a=ssrc:{ssrc} cname:{CNAME}"
