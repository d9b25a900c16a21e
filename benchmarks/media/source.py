"""What one synthetic publisher sends: Opus at 50 packets a second, VP8 at 30 frames a second.

Frames are split as libwebrtc's packetizer does it: as few packets as fit, sizes that differ by a
byte, the larger ones last. The last bytes of each payload say whose packet it is, so that a
receiver can tell the true delay.
"""

from __future__ import annotations

import random
import struct
import time
from dataclasses import dataclass, field

from actors.relay.pylibsrtp_private import Buffer
from actors.relay.rtcp import SenderInfo, ntp_of, sender_report, source_description
from actors.relay.rtp import AUDIO_LEVEL_URI, MID_URI, TRANSPORT_CC_URI
from benchmarks.media.description import CNAME, LOAD
from benchmarks.media.packet import Numbering, element, write
from benchmarks.media.peer import Peer

AUDIO_SECONDS = 0.020
FRAME_SECONDS = 1 / 30
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


@dataclass(slots=True, eq=False, kw_only=True)
class Track(Numbering):
    """One RTP stream of a load. `sent_at` holds CLOCK_REALTIME by sequence."""

    peer: Peer
    number: int
    audio: bool
    bitrate: float = 0.0
    """Of the video, payload bits per second."""
    frames: int = 0
    key_due: float = 0.0
    key_wanted: bool = True
    sent_at: list[float] = field(default_factory=lambda: [0.0] * 65536)
    _random: random.Random = field(default_factory=random.Random)
    _before: bytes = b""
    """The header extensions before the transport-wide number, and behind it."""
    _behind: bytes = b""
    _payload_type: int = LOAD.vp8

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
    def interval(self) -> float:
        return AUDIO_SECONDS if self.audio else FRAME_SECONDS

    def _write(self, buffer: Buffer, counter: int, payload: bytes, *, marker: bool) -> int:
        """Write one packet and protect it; returns its size."""
        view = buffer.view
        elements = self._before + (counter & 0xFFFF).to_bytes(2, "big") + self._behind
        second = marker << 7 | self._payload_type
        body = write(view, second, self.sequence, self.timestamp, self.ssrc, elements, payload)
        size = body + MARK.size
        MARK.pack_into(view, body, MAGIC, self.number, self.sequence)
        self.packets += 1
        self.octets += len(payload) + MARK.size
        return self.peer.outbound.protect(buffer, size)

    def prepare(self, cells: list[Buffer], counter: int, now: float) -> list[tuple[int, int]]:
        """Write the next frame's packets; returns (sequence, size) of each.

        `counter` is the connection's last transport-wide number; each packet takes one.
        """
        if self.audio:
            size = self._random.randint(60, 120) - MARK.size
            packets = [self._one(cells[0], counter + 1, _NOISE[:size], marker=False)]
            self.timestamp = self.timestamp + 960 & 0xFFFFFFFF
            return packets
        key = self.key_wanted or now >= self.key_due
        if key:
            self.key_wanted = False
            self.key_due = now + KEY_SECONDS
        per_key = KEY_SECONDS / FRAME_SECONDS
        plain = self.bitrate / 8 * KEY_SECONDS / (per_key - 1 + KEY_SIZE)
        octets = round(plain * (KEY_SIZE if key else self._random.uniform(0.85, 1.15)))
        packets = []
        for index, size in enumerate(split(octets)):
            descriptor = self.vp8_head(first=index == 0, key=key)
            filler = _NOISE[: max(0, size - len(descriptor) - MARK.size)]
            last = index == len(split(octets)) - 1
            packets.append(
                self._one(cells[index], counter + 1 + index, descriptor + filler, marker=last)
            )
        self.picture = self.picture + 1 & 0x7FFF
        self.level = self.level + 1 & 0xFF
        self.timestamp = self.timestamp + 3000 & 0xFFFFFFFF
        self.frames += 1
        return packets

    def _one(self, cell: Buffer, counter: int, payload: bytes, *, marker: bool) -> tuple[int, int]:
        sequence = self.sequence
        size = self._write(cell, counter, payload, marker=marker)
        self.sequence = sequence + 1 & 0xFFFF
        return sequence, size

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
