"""What one synthetic publisher sends: Opus at 50 packets a second, and VP8.

Frames are split as libwebrtc's packetizer does it: as few packets as fit, sizes that differ by a
byte, the larger ones last. The last bytes of each payload say whose packet it is, so that a
receiver can tell the true delay.
"""

from __future__ import annotations

import random
import struct
import time
from dataclasses import dataclass, field

from actors.relay.network.pylibsrtp_private import Buffer
from actors.relay.wire.rtcp import SenderInfo, ntp_of, sender_report, source_description
from actors.relay.wire.rtp import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from benchmarks.media.description import CNAME, LOAD
from benchmarks.media.packet import AUDIO_TICKS, VIDEO_RATE, Numbering, element, write
from benchmarks.media.peer import Peer

AUDIO_SECONDS = 0.020
KEY_SECONDS = 3.0
KEY_SIZE = 5
"""How many times larger a key frame is than the frames between."""
MOST_PAYLOAD = 1170
"""Bytes of one packet's payload, descriptor included, so that packets stay below 1,200."""
MARK = struct.Struct("!IHH")
"""Magic, publisher's track number, RTP sequence: the end of each payload."""
MAGIC = 0x5B5B5B5B
_LOUDNESS = 0x80 | 30
"""A voice, 30 dB below the loudest (RFC 6464)."""
_FRAME_CELLS = 40


@dataclass(frozen=True, slots=True)
class Camera:
    """What every publisher's video is like."""

    bitrate: float = 800_000
    """Payload bits per second."""
    frames: int = 30
    """Per second; 0: it is off."""


@dataclass(slots=True, eq=False, kw_only=True)
class Track(Numbering):
    """One RTP stream of a load. `sent_at` holds CLOCK_REALTIME by sequence."""

    peer: Peer
    number: int
    audio: bool
    camera: Camera = field(default_factory=Camera)
    frames: int = 0
    key_due: float = 0.0
    key_wanted: bool = True
    sent_at: list[float] = field(default_factory=lambda: [0.0] * 65536)
    _random: random.Random = field(default_factory=random.Random)
    _before: bytes = b""
    """The header extensions before the transport-wide number, and behind it."""
    _behind: bytes = b""
    _payload_type: int = LOAD.camera[0]

    def __post_init__(self) -> None:
        self._random = random.Random(self.number)
        self.sequence = self._random.randrange(1 << 15)
        self.timestamp = self._random.randrange(1 << 31)
        self.picture = 0
        numbers = LOAD.extensions
        # The counter's own head; its two bytes differ from packet to packet.
        counter = element(numbers[TRANSPORT_CC_URI], bytes(2))[:1]
        self._before = element(numbers[MID_URI], self.mid.encode("ascii")) + counter
        if self.audio:
            self._payload_type = LOAD.opus
            self._behind = element(numbers[AUDIO_LEVEL_URI], bytes([_LOUDNESS]))

    @property
    def sends(self) -> bool:
        return self.audio or self.camera.frames > 0

    @property
    def interval(self) -> float:
        return AUDIO_SECONDS if self.audio else 1 / self.camera.frames

    def prepare(self, cells: list[Buffer], counter: int, now: float) -> list[tuple[int, int]]:
        """Write the next frame's packets; returns (sequence, size) of each.

        `counter` is the connection's last transport-wide number; each packet takes one.
        """
        if self.audio:
            size = self._random.randint(60, 120) - MARK.size
            return [self._one(cells[0], counter + 1, _NOISE[:size], AUDIO_TICKS)]
        key = self.key_wanted or now >= self.key_due
        if key:
            self.key_wanted = False
            self.key_due = now + KEY_SECONDS
        per_key = KEY_SECONDS * self.camera.frames
        plain = self.camera.bitrate / 8 * KEY_SECONDS / (per_key - 1 + KEY_SIZE)
        octets = round(plain * (KEY_SIZE if key else self._random.uniform(0.85, 1.15)))
        sizes = split(octets)
        last = len(sizes) - 1
        packets = []
        self.begin_picture()
        for index, size in enumerate(sizes):
            descriptor = self.vp8_head(first=index == 0, key=key)
            payload = descriptor + _NOISE[: max(0, size - len(descriptor) - MARK.size)]
            ticks = VIDEO_RATE // self.camera.frames if index == last else 0
            packets.append(
                self._one(cells[index], counter + 1 + index, payload, ticks, marker=index == last)
            )
        self.frames += 1
        return packets

    def _one(
        self, cell: Buffer, counter: int, payload: bytes, ticks: int, *, marker: bool = False
    ) -> tuple[int, int]:
        """Write one packet, protect it and move on behind it; returns (sequence, size)."""
        elements = self._before + (counter & 0xFFFF).to_bytes(2, "big") + self._behind
        end = write(
            cell.view,
            self._payload_type,
            self.sequence,
            self.timestamp,
            self.ssrc,
            elements,
            payload,
            marker=marker,
        )
        MARK.pack_into(cell.view, end, MAGIC, self.number, self.sequence)
        size = self.peer.outbound.protect(cell, end + MARK.size)
        return self.step(ticks, len(payload) + MARK.size), size

    def report(self, now: float) -> bytes:
        """Write this track's sender report for CLOCK_REALTIME `now`."""
        info = SenderInfo(self.ssrc, ntp_of(now), self.timestamp, self.packets, self.octets)
        return sender_report(info) + source_description(self.ssrc, CNAME)


def split(octets: int) -> list[int]:
    """Divide a frame among packets as libwebrtc does: nearly equal, the larger ones last."""
    count = max(1, -(-octets // MOST_PAYLOAD))
    size, larger = divmod(octets, count)
    return [size] * (count - larger) + [size + 1] * larger


def cells() -> list[Buffer]:
    """Return room for the packets of one frame."""
    return [Buffer() for _ in range(_FRAME_CELLS)]


def realtime() -> float:
    return time.clock_gettime(time.CLOCK_REALTIME)


_NOISE = random.Random(0).randbytes(2048)
