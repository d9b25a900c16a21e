"""Which codecs of a section the relay accepts, by name and parameters, never by number.

The numbers are dynamic payload types of the widget's own offer (RFC 3551 §6), one map a section.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from actors.relay.sdp.offer import OfferedCodec, OfferedSection
from broker.errors import ErrorCode, Malformed

_PROFILE = re.compile("42[0-9a-f]{4}")


class CodecName(StrEnum):
    OPUS = "opus"
    VP8 = "vp8"
    H264 = "h264"


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as one section of one widget's offer numbers it."""

    name: CodecName
    payload_type: int
    repair_payload_type: int | None
    """RTX (RFC 4588); None where it was not offered."""
    clock_rate: int
    feedback: frozenset[str]
    parameters: Mapping[str, str]
    redundant_payload_type: int | None = None
    """RED (RFC 2198) of Opus; None where it was not offered."""


def accepted_codecs(section: OfferedSection, *, publishing: bool) -> tuple[Codec, ...]:
    """Choose the codecs of a section's answer.

    A publisher sends VP8, or H.264 where VP8 is absent; a slot takes both, because whoever is
    put into it may send either.

    Raises:
        Malformed: `no_common_codec`.
    """
    if section.kind == "audio":
        chosen = [_find(section, CodecName.OPUS)]
    else:
        chosen = [_find(section, CodecName.VP8)]
        if not publishing or chosen[0] is None:
            chosen.append(_find(section, CodecName.H264))
    codecs = tuple(codec for codec in chosen if codec is not None)
    if not codecs:
        wanted = "Opus" if section.kind == "audio" else "VP8 or H.264 constrained baseline"
        raise Malformed(
            ErrorCode.NO_COMMON_CODEC, f"This browser offers no {wanted} for {section.kind}."
        )
    return codecs


def _find(section: OfferedSection, name: CodecName) -> Codec | None:
    for codec in section.codecs.values():
        if codec.name != name or not _acceptable(codec, name):
            continue
        return Codec(
            name,
            codec.payload_type,
            _repair_of(section, codec.payload_type),
            codec.clock_rate,
            frozenset(codec.feedback | section.feedback),
            dict(codec.parameters),
            _redundancy_of(section, codec) if name is CodecName.OPUS else None,
        )
    return None


def _acceptable(codec: OfferedCodec, name: CodecName) -> bool:
    match name:
        case CodecName.OPUS:
            return codec.clock_rate == 48000 and codec.channels == 2
        case CodecName.VP8:
            return codec.clock_rate == 90000
        case CodecName.H264:
            profile = codec.parameters.get("profile-level-id", "").lower()
            # Constrained baseline: profile 66 with constraint_set1 (RFC 6184 §8.1).
            return (
                codec.clock_rate == 90000
                and codec.parameters.get("packetization-mode") == "1"
                and _PROFILE.fullmatch(profile) is not None
                and bool(int(profile[2:4], 16) & 0x40)
            )


def _repair_of(section: OfferedSection, payload_type: int) -> int | None:
    for codec in section.codecs.values():
        if codec.name == "rtx" and codec.parameters.get("apt") == str(payload_type):
            return codec.payload_type
    return None


def _redundancy_of(section: OfferedSection, codec: OfferedCodec) -> int | None:
    for other in section.codecs.values():
        if (other.name, other.clock_rate, other.channels) != (
            "red",
            codec.clock_rate,
            codec.channels,
        ):
            continue
        # `a=fmtp:63 111/111`: one format for each block, all of this codec (RFC 2198 §5).
        blocks = other.blocks.split("/")
        if len(blocks) > 1 and all(block == str(codec.payload_type) for block in blocks):
            return other.payload_type
    return None
