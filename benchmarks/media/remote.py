"""The description of the other side, as far as synthetic peers need it, and an answer to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.media.description import Credentials, session_lines, transport_lines


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
    lines = session_lines([s.mid for s in remote.sections])
    for section in remote.sections:
        words = section.head[2:].split()
        lines += [
            f"m={words[0]} 9 {words[2]} {' '.join(words[3:])}",
            "c=IN IP4 0.0.0.0",
            *transport_lines(own, "active"),
            f"a=mid:{section.mid}",
            "a=recvonly",
            "a=rtcp-mux",
            *(f"a=extmap:{number} {uri}" for uri, number in section.extensions.items()),
            *section.codec_lines,
        ]
    return "\r\n".join(lines) + "\r\n"
