"""An SDP offer, read with bounds (RFC 8866, RFC 8843, RFC 8853).

The reader is our own because its input is hostile: size, sections, lines, payload types and SSRCs
are limited before anything is interpreted, and the work is linear in the bytes. Candidates are
passed over, and the widget need gather none before it offers (RFC 8838): a lite agent is dialled.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from actors.relay.config import RelayConfig
from broker.errors import ErrorCode, Malformed

_STRONG_DIGESTS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_ICE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/")
_TOKEN_CHARACTERS = _ICE_CHARACTERS | frozenset("-_.!~{}=")
_RID_CHARACTERS = _ICE_CHARACTERS - frozenset("+/") | frozenset("-_")
_PARAMETERS = frozenset({"apt", "packetization-mode", "profile-level-id"})
FEEDBACK = ("nack", "nack pli", "transport-cc", "goog-remb")
"""What an answer may ask for of what was offered (RFC 4585 §4.2)."""
_MOST_VALUE = 64
_READ_AS_RTCP = range(64, 96)
"""Payload types that nobody can tell from RTCP where a packet has the marker bit."""


@dataclass(slots=True)
class OfferedCodec:
    """One payload type of a section."""

    payload_type: int
    name: str = ""
    """Lower case, such as `opus`; static types keep an empty one."""
    clock_rate: int = 0
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)
    """Those that decide whether it is accepted: what is kept of a line is bounded."""
    blocks: str = ""
    """Of redundant audio: the formats of its blocks, as `111/111` (RFC 2198 §5)."""
    feedback: set[str] = field(default_factory=set)


@dataclass(slots=True)
class OfferedSection:
    """One m= section."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    mid: str = ""
    direction: str = "sendrecv"
    codecs: dict[int, OfferedCodec] = field(default_factory=dict)
    """In the order of preference of the m= line; those that read as RTCP are passed over."""
    feedback: set[str] = field(default_factory=set)
    """What was offered for every codec of the section (`a=rtcp-fb:*`)."""
    extensions: dict[str, int] = field(default_factory=dict)
    """URI → id."""
    ssrcs: list[int] = field(default_factory=list)
    rids: list[str] = field(default_factory=list)
    """Layers the widget can send, in its order (RFC 8853)."""
    mux: bool = False
    reduced_size: bool = False
    extmap_mixed: bool = False
    ice_ufrag: str = ""
    ice_password: str = ""
    fingerprints: dict[str, str] = field(default_factory=dict)
    setup: str = ""


@dataclass(slots=True)
class Offer:
    """A whole offer; session-level attributes stand for every section that has none."""

    sections: list[OfferedSection]
    bundle: list[str]
    ice_ufrag: str
    ice_password: str
    fingerprints: dict[str, str]


def refusal(message: str) -> Malformed:
    """Make the one refusal for anything in an offer that cannot be understood."""
    return Malformed(ErrorCode.OFFER_INVALID, message)


def parse_offer(sdp: str, config: RelayConfig) -> Offer:
    """Read an offer.

    Raises:
        Malformed: `offer_too_large` when a limit is passed, `offer_invalid` for anything else.
    """
    lines = _bounded_lines(sdp, config)
    try:
        return _interpret(lines, config)
    except (ValueError, IndexError, KeyError) as error:
        raise refusal("The offer cannot be read as SDP.") from error


def _bounded_lines(sdp: str, config: RelayConfig) -> list[str]:
    # A character is at least one byte, so the cheap test comes first.
    if len(sdp) > config.max_offer_bytes or (
        len(sdp.encode("utf-8", "replace")) > config.max_offer_bytes
    ):
        raise Malformed(ErrorCode.OFFER_TOO_LARGE, "The offer has too many bytes.")
    lines = [line.rstrip("\r") for line in sdp.split("\n")]
    sections = 0
    count = 0
    for line in lines:
        count += 1
        if line.startswith("m="):
            sections += 1
            count = 1
            if sections > config.max_offer_sections:
                raise Malformed(ErrorCode.OFFER_TOO_LARGE, "The offer has too many sections.")
            # As it will be read: what stands between two words need not be one space.
            if len(line.split()) - 3 > config.max_section_payload_types:
                raise Malformed(ErrorCode.OFFER_TOO_LARGE, "A section has too many payload types.")
        if count > config.max_section_lines:
            raise Malformed(ErrorCode.OFFER_TOO_LARGE, "A section has too many lines.")
    return lines


def _interpret(lines: list[str], config: RelayConfig) -> Offer:
    if not lines or lines[0] != "v=0":
        raise refusal("The offer does not start with v=0.")
    session = OfferedSection("", 0, "", [])
    bundle: list[str] = []
    sections: list[OfferedSection] = []
    section = session
    ssrcs: set[int] = set()
    for line in lines:
        if line.startswith("m="):
            section = _media_line(line)
            sections.append(section)
            ssrcs = set()
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            if name == "group" and section is session:
                words = value.split()
                if words and words[0] == "BUNDLE":
                    bundle = words[1:]
            else:
                _attribute(section, name, value, ssrcs)
                if len(ssrcs) > config.max_section_ssrcs:
                    raise Malformed(ErrorCode.OFFER_TOO_LARGE, "A section has too many SSRCs.")
    for section in sections:
        if not section.fingerprints:
            section.fingerprints = session.fingerprints
        section.ice_ufrag = section.ice_ufrag or session.ice_ufrag
        section.ice_password = section.ice_password or session.ice_password
        section.extmap_mixed = section.extmap_mixed or session.extmap_mixed
    return _checked(sections, bundle)


def _checked(sections: list[OfferedSection], bundle: list[str]) -> Offer:
    bundled = set(bundle)
    live = [s for s in sections if s.kind in ("audio", "video") and (s.port or s.mid in bundled)]
    if not live:
        raise Malformed(ErrorCode.OFFER_WITHOUT_MEDIA, "The offer has no audio and no video.")
    mids = [section.mid for section in sections if section.mid]
    if len(set(mids)) != len(mids):
        raise refusal("Two sections of the offer have the same mid.")
    first = live[0]
    for section in live:
        if section.mid not in bundled:
            raise refusal("Every section must be in one BUNDLE group.")
        if not section.mux:
            raise refusal("Every section must offer rtcp-mux.")
        if section.setup not in ("", "actpass", "active"):
            raise refusal("The relay answers DTLS passively; the offer must allow that.")
    if not 4 <= len(first.ice_ufrag) <= 256 or not 22 <= len(first.ice_password) <= 256:
        raise refusal("The offer has no ICE credentials of a proper length.")
    if not _ICE_CHARACTERS.issuperset(first.ice_ufrag + first.ice_password):
        raise refusal("The ICE credentials hold characters that are not allowed.")
    if not first.fingerprints:
        raise refusal("The offer has no certificate fingerprint of sha-256 or better.")
    return Offer(sections, bundle, first.ice_ufrag, first.ice_password, first.fingerprints)


def _media_line(line: str) -> OfferedSection:
    words = line[2:].split()
    if len(words) < 4:
        raise refusal("An m= line is too short.")
    kind, port, protocol, *formats = words
    section = OfferedSection(kind, int(port.partition("/")[0]), protocol, formats)
    if kind in ("audio", "video"):
        for word in formats:
            payload_type = int(word)
            if word != str(payload_type):
                raise refusal("A payload type is not written as a plain number.")
            if not 0 <= payload_type <= 127:
                raise refusal("A payload type is out of range.")
            # Every section has both on one port: who offers these cannot mean them (RFC 5761 §4).
            if payload_type not in _READ_AS_RTCP:
                section.codecs[payload_type] = OfferedCodec(payload_type)
    return section


def _attribute(section: OfferedSection, name: str, value: str, ssrcs: set[int]) -> None:
    match name:
        case "mid":
            if not 1 <= len(value) <= 16 or not _TOKEN_CHARACTERS.issuperset(value):
                raise refusal("A mid is not a token of at most 16 characters.")
            section.mid = value
        case "sendrecv" | "sendonly" | "recvonly" | "inactive":
            section.direction = name
        case "rtcp-mux":
            section.mux = True
        case "rtcp-rsize":
            section.reduced_size = True
        case "extmap-allow-mixed":
            section.extmap_mixed = True
        case "ice-ufrag":
            section.ice_ufrag = value
        case "ice-pwd":
            section.ice_password = value
        case "setup":
            section.setup = value
        case "fingerprint":
            algorithm, _, digest = value.partition(" ")
            _fingerprint(section, algorithm.lower(), digest.strip().upper())
        case "rtpmap" | "fmtp" | "rtcp-fb":
            _codec_attribute(section, name, value)
        case "extmap":
            number, _, rest = value.partition(" ")
            identifier = int(number.partition("/")[0])
            uri = rest.partition(" ")[0]
            if 1 <= identifier <= 255 and identifier != 15:
                section.extensions.setdefault(uri, identifier)
        case "ssrc":
            ssrc = int(value.partition(" ")[0])
            if ssrc not in ssrcs:
                ssrcs.add(ssrc)
                if 0 < ssrc <= 0xFFFFFFFF:
                    section.ssrcs.append(ssrc)
        case "rid":
            words = value.split()
            if len(words) >= 2 and words[1] == "send" and _RID_CHARACTERS.issuperset(words[0]):
                if len(words[0]) <= 16:
                    section.rids.append(words[0])


def _fingerprint(section: OfferedSection, algorithm: str, digest: str) -> None:
    length = _STRONG_DIGESTS.get(algorithm)
    if length is None:
        # A weak digest proves nothing; if it is the only one the offer is refused.
        return
    if len(bytes.fromhex(digest.replace(":", ""))) != length:
        raise refusal("A fingerprint has the wrong length.")
    section.fingerprints = {**section.fingerprints, algorithm: digest}


def _codec_attribute(section: OfferedSection, name: str, value: str) -> None:
    number, _, rest = value.partition(" ")
    if number == "*":
        # Kept once: a line per codec would multiply two numbers the offer chooses.
        _note_feedback(section.feedback, rest)
        return
    found = section.codecs.get(int(number))
    if found is None:
        return
    if name == "rtpmap":
        words = rest.split("/")
        found.name = words[0].lower()
        found.clock_rate = int(words[1])
        if len(words) > 2:
            found.channels = int(words[2])
    elif name == "fmtp":
        for pair in rest.split(";"):
            key, _, parameter = pair.strip().partition("=")
            if key.lower() in _PARAMETERS and len(parameter) <= _MOST_VALUE:
                found.parameters[key.lower()] = parameter
            elif "/" in key and len(key) <= _MOST_VALUE and not found.blocks:
                found.blocks = key
    else:
        _note_feedback(found.feedback, rest)


def _note_feedback(known: set[str], value: str) -> None:
    if value.strip() in FEEDBACK:
        known.add(value.strip())
