"""What a crafted client sends, packet by packet, with whatever a test wants to be wrong."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TypedDict

from actors.relay import PublishSource
from actors.relay.wire.rtp import (
    AUDIO_LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC_URI,
)
from benchmarks.media.description import Dialect
from benchmarks.media.packet import Numbering, element, write


class Unusual(TypedDict, total=False):
    """What a packet may have otherwise than its track says."""

    sequence: int
    marker: bool
    level: int
    """The voice's loudness (RFC 6464); without it there is no such extension."""
    ssrc: int
    payload_type: int
    mid: str


@dataclass(slots=True, eq=False, kw_only=True)
class Track(Numbering):
    """One thing a client sends, with its running numbers."""

    source: PublishSource
    dialect: Dialect
    rid: str = ""
    rtx_ssrc: int = field(default_factory=lambda: 1 + secrets.randbelow(0xFFFFFFFE))
    rtx_sequence: int = 0

    @property
    def audio(self) -> bool:
        return self.source is PublishSource.MICROPHONE

    @property
    def payload_type(self) -> int:
        return self.dialect.opus if self.audio else self.dialect.camera[0]

    @property
    def clock_rate(self) -> int:
        return 48000 if self.audio else 90000

    @property
    def rtx_payload_type(self) -> int | None:
        return self.dialect.camera[1]

    def packet(self, payload: bytes, counter: int, unusual: Unusual) -> bytes:
        """Write one packet with every extension the dialect has; nothing moves on.

        `counter` is the transport-wide number.
        """
        payload_type = unusual.get("payload_type", self.payload_type)
        values = {
            MID_URI: unusual.get("mid", self.mid).encode(),
            TRANSPORT_CC_URI: counter.to_bytes(2, "big"),
        }
        if self.rid:
            repair = payload_type == self.rtx_payload_type
            values[REPAIRED_RID_URI if repair else RID_URI] = self.rid.encode()
        if "level" in unusual:
            values[AUDIO_LEVEL_URI] = bytes([unusual["level"]])
        numbers = self.dialect.extensions
        view = memoryview(bytearray(200 + len(payload)))
        size = write(
            view,
            payload_type,
            unusual.get("sequence", self.sequence),
            self.timestamp,
            unusual.get("ssrc", self.ssrc),
            b"".join(element(numbers[u], value) for u, value in values.items() if u in numbers),
            payload,
            marker=unusual.get("marker", False),
        )
        return bytes(view[:size])

    def vp8_payload(self, content: bytes, *, key: bool, first: bool) -> bytes:
        """Return a VP8 descriptor and a frame's first byte, then `content`."""
        return self.vp8_head(first=first, key=key) + content
