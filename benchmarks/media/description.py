"""As much SDP as synthetic peers need: write an offer, read the other side's, answer one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from actors.relay.rtp import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI

OPUS, VP8, RTX = 111, 96, 97
EXTENSIONS = {AUDIO_LEVEL_URI: 1, TRANSPORT_CC_URI: 3, MID_URI: 4}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a peer says about itself in every section."""

    ufrag: str
    password: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Section:
    """One section of an offer: something sent, under these SSRCs, or a place to receive in."""

    mid: str
    audio: bool
    ssrc: int | None = None
    rtx_ssrc: int | None = None


def offer(own: Credentials, sections: Sequence[Section]) -> str:
    """Write an offer as a browser would: one bundle, nothing gathered."""
    lines = [*_session([s.mid for s in sections]), "a=extmap-allow-mixed"]
    for section in sections:
        lines += _offered(own, section)
    return "\r\n".join(lines) + "\r\n"


def _session(mids: Sequence[str]) -> list[str]:
    return [
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE " + " ".join(mids),
    ]


def _offered(own: Credentials, section: Section) -> list[str]:
    kind, types = ("audio", f"{OPUS}") if section.audio else ("video", f"{VP8} {RTX}")
    lines = [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {types}",
        "c=IN IP4 0.0.0.0",
        *_transport(own, "actpass"),
        f"a=mid:{section.mid}",
        "a=sendonly" if section.ssrc is not None else "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]
    lines += [
        f"a=extmap:{number} {uri}"
        for uri, number in EXTENSIONS.items()
        if section.audio or uri != AUDIO_LEVEL_URI
    ]
    if section.audio:
        lines += [
            f"a=rtpmap:{OPUS} opus/48000/2",
            f"a=rtcp-fb:{OPUS} transport-cc",
            f"a=fmtp:{OPUS} minptime=10;useinbandfec=1",
        ]
    else:
        lines.append(f"a=rtpmap:{VP8} VP8/90000")
        lines += [
            f"a=rtcp-fb:{VP8} {form}"
            for form in ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
        ]
        lines += [f"a=rtpmap:{RTX} rtx/90000", f"a=fmtp:{RTX} apt={VP8}"]
    if section.ssrc is not None:
        lines.append(f"a=msid:load load-{section.mid}")
        if section.rtx_ssrc is not None:
            lines.append(f"a=ssrc-group:FID {section.ssrc} {section.rtx_ssrc}")
            lines.append(f"a=ssrc:{section.rtx_ssrc} cname:load")
        lines.append(f"a=ssrc:{section.ssrc} cname:load")
    return lines


def _transport(own: Credentials, setup: str) -> list[str]:
    return [
        f"a=ice-ufrag:{own.ufrag}",
        f"a=ice-pwd:{own.password}",
        f"a=fingerprint:sha-256 {own.fingerprint}",
        f"a=setup:{setup}",
    ]


@dataclass(slots=True)
class RemoteSection:
    """One section of what the other side wrote."""

    kind: str
    head: str
    mid: str = ""
    direction: str = ""
    ssrcs: list[int] = field(default_factory=list)
    """In the order of the description; the first is the stream, the second its RTX."""
    extensions: dict[str, int] = field(default_factory=dict)
    codec_lines: list[str] = field(default_factory=list)

    @property
    def rejected(self) -> bool:
        return self.head.split()[1] == "0"


@dataclass(slots=True)
class Remote:
    """Where the other side is reached, and what it sends."""

    ufrag: str = ""
    password: str = ""
    fingerprint: str = ""
    setup: str = ""
    address: tuple[str, int] = ("", 0)
    sections: list[RemoteSection] = field(default_factory=list)


def read(sdp: str) -> Remote:
    """Read an answer or an offer; its first IPv4 host candidate is where media go."""
    remote = Remote()
    for line in sdp.splitlines():
        if line.startswith("m="):
            remote.sections.append(RemoteSection(line[2:].split()[0], line))
            continue
        section = remote.sections[-1] if remote.sections else None
        name, _, value = line.partition(":")
        match name:
            case "a=ice-ufrag":
                remote.ufrag = value
            case "a=ice-pwd":
                remote.password = value
            case "a=fingerprint" if value.lower().startswith("sha-256"):
                remote.fingerprint = value.split()[1]
            case "a=setup":
                remote.setup = value
            case "a=candidate" if not remote.address[1]:
                words = value.split()
                if words[2].lower() == "udp" and ":" not in words[4]:
                    remote.address = (words[4], int(words[5]))
            case _ if section is not None:
                _read_media_line(section, line, name, value)
    return remote


def _read_media_line(section: RemoteSection, line: str, name: str, value: str) -> None:
    match name:
        case "a=mid":
            section.mid = value
        case "a=sendonly" | "a=recvonly" | "a=sendrecv" | "a=inactive":
            section.direction = name[2:]
        case "a=ssrc-group":
            section.ssrcs = [int(word) for word in value.split()[1:]]
        case "a=ssrc":
            number = int(value.split()[0])
            if number not in section.ssrcs:
                section.ssrcs.append(number)
        case "a=extmap":
            number_text, uri = value.split()[:2]
            section.extensions[uri] = int(number_text.partition("/")[0])
        case "a=rtpmap" | "a=fmtp" | "a=rtcp-fb":
            section.codec_lines.append(line)


def answer(own: Credentials, remote: Remote) -> str:
    """Accept an offer whole: everything it sends is received, as it numbers it."""
    lines = _session([s.mid for s in remote.sections])
    for section in remote.sections:
        words = section.head[2:].split()
        lines += [
            f"m={words[0]} 9 {words[2]} {' '.join(words[3:])}",
            "c=IN IP4 0.0.0.0",
            *_transport(own, "active"),
            f"a=mid:{section.mid}",
            "a=recvonly",
            "a=rtcp-mux",
            *(f"a=extmap:{number} {uri}" for uri, number in section.extensions.items()),
            *section.codec_lines,
        ]
    return "\r\n".join(lines) + "\r\n"
