"""RTCP as a terminating relay speaks it (RFC 3550 §6, RFC 4585, RFC 5104).

Parsing is a bounded walk over views and never raises; building returns bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

SR = 200
RR = 201
SDES = 202
BYE = 203
RTPFB = 205
PSFB = 206

NACK = 1
TRANSPORT_CC = 15
PLI = 1
FIR = 4
APPLICATION = 15

# Seconds between 1900, where NTP counts from, and 1970.
NTP_EPOCH = 2_208_988_800

_REPORT = struct.Struct("!IIIIII")
_SENDER = struct.Struct("!IIIIII")


class Part(NamedTuple):
    """One packet of a compound."""

    kind: int
    form: int
    """Report count, or the feedback message type."""
    body: memoryview
    """Everything after the first four bytes, padding removed."""


class Report(NamedTuple):
    """A reception report block (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: int
    """In 256ths."""
    lost: int
    highest: int
    jitter: int
    last_sender_report: int
    delay: int
    """Since that sender report, in 1/65536 s."""


class SenderInfo(NamedTuple):
    """The sender's half of an SR."""

    ssrc: int
    ntp: int
    """64-bit NTP time."""
    timestamp: int
    packets: int
    octets: int


def parts_of(data: memoryview) -> Iterator[Part]:
    """Walk a compound; stops at the first packet that does not fit."""
    position = 0
    size = len(data)
    while position + 4 <= size:
        first = data[position]
        if first >> 6 != 2:
            return
        end = position + 4 + 4 * (data[position + 2] << 8 | data[position + 3])
        if end > size:
            return
        body_end = end
        if first & 0x20 and end > position + 4:
            padding = data[end - 1]
            if padding == 0 or padding > end - position - 4:
                return
            body_end -= padding
        yield Part(data[position + 1], first & 0x1F, data[position + 4 : body_end])
        position = end


def sender_info(body: memoryview) -> SenderInfo | None:
    """Read the sender's half of an SR body."""
    if len(body) < 24:
        return None
    ssrc, high, low, timestamp, packets, octets = _SENDER.unpack_from(body)
    return SenderInfo(ssrc, high << 32 | low, timestamp, packets, octets)


def reports_of(body: memoryview, count: int, start: int) -> Iterator[Report]:
    """Read up to `count` report blocks; `start` is 24 in an SR body and 4 in an RR body."""
    for index in range(count):
        position = start + 24 * index
        if position + 24 > len(body):
            return
        ssrc, loss, highest, jitter, last, delay = _REPORT.unpack_from(body, position)
        lost = loss & 0xFFFFFF
        if lost & 0x800000:
            lost -= 1 << 24
        yield Report(ssrc, loss >> 24, lost, highest, jitter, last, delay)


def nacked(body: memoryview) -> Iterator[int]:
    """Read the sequence numbers of a generic NACK body (RFC 4585 §6.2.1)."""
    for position in range(8, len(body) - 3, 4):
        sequence = body[position] << 8 | body[position + 1]
        mask = body[position + 2] << 8 | body[position + 3]
        yield sequence
        following = sequence
        while mask:
            following = following + 1 & 0xFFFF
            if mask & 1:
                yield following
            mask >>= 1


def whole_pictures_wanted(body: memoryview) -> Iterator[int]:
    """Read the SSRC of each entry of a FIR body (RFC 5104 §4.3.1.1); its header names none.

    Whether an entry repeats another, as its number says, is not asked: what somebody may ask for is
    bounded all the same.
    """
    for position in range(8, len(body) - 7, 8):
        yield int.from_bytes(body[position : position + 4], "big")


def remb_of(body: memoryview) -> int | None:
    """Read the bit rate of a REMB body (draft-alvestrand-rmcat-remb-03 §2.2)."""
    if len(body) < 16 or bytes(body[8:12]) != b"REMB":
        return None
    exponent = body[13] >> 2
    mantissa = (body[13] & 3) << 16 | body[14] << 8 | body[15]
    # A larger exponent than any line has would be arithmetic for its own sake.
    return mantissa << min(exponent, 24)


def ntp_of(seconds: float) -> int:
    """Turn seconds since 1970 into a 64-bit NTP time."""
    whole = int(seconds)
    return (whole + NTP_EPOCH) << 32 | int((seconds - whole) * 4_294_967_296)


def seconds_of(ntp: int) -> float:
    """Turn a 64-bit NTP time into seconds since 1970."""
    return (ntp >> 32) - NTP_EPOCH + (ntp & 0xFFFFFFFF) / 4_294_967_296


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def _blocks(reports: Iterable[Report]) -> bytes:
    return b"".join(
        _REPORT.pack(
            report.ssrc,
            report.fraction_lost << 24 | report.lost & 0xFFFFFF,
            report.highest,
            report.jitter,
            report.last_sender_report,
            report.delay,
        )
        for report in reports
    )


def sender_report(info: SenderInfo) -> bytes:
    """Build an SR without report blocks."""
    return _packet(
        SR,
        0,
        _SENDER.pack(
            info.ssrc,
            info.ntp >> 32,
            info.ntp & 0xFFFFFFFF,
            info.timestamp,
            info.packets & 0xFFFFFFFF,
            info.octets & 0xFFFFFFFF,
        ),
    )


def receiver_report(ssrc: int, reports: Sequence[Report]) -> bytes:
    """Build an RR of at most 31 blocks."""
    return _packet(RR, len(reports), struct.pack("!I", ssrc) + _blocks(reports))


def source_description(ssrc: int, cname: str) -> bytes:
    """Build an SDES with one CNAME chunk (RFC 3550 §6.5)."""
    item = cname.encode("ascii")
    chunk = struct.pack("!IBB", ssrc, 1, len(item)) + item
    return _packet(SDES, 1, chunk + bytes(4 - len(chunk) % 4))


def picture_loss(sender: int, media: int) -> bytes:
    """Build a PLI (RFC 4585 §6.3.1)."""
    return _packet(PSFB, PLI, struct.pack("!II", sender, media))


def receiver_estimate(sender: int, bitrate: int, ssrcs: Sequence[int]) -> bytes:
    """Build a REMB for at most 255 SSRCs (draft-alvestrand-rmcat-remb-03 §2.2)."""
    exponent = max(0, bitrate.bit_length() - 18)
    rate = len(ssrcs) << 24 | exponent << 18 | bitrate >> exponent
    body = struct.pack(f"!II4sI{len(ssrcs)}I", sender, 0, b"REMB", rate, *ssrcs)
    return _packet(PSFB, APPLICATION, body)


def negative_acknowledgement(sender: int, media: int, sequences: Sequence[int]) -> bytes:
    """Build a generic NACK for ascending 16-bit sequence numbers, a few hundred at most."""
    entries: list[int] = []
    first = -1
    mask = 0
    for sequence in sequences:
        distance = sequence - first - 1 & 0xFFFF
        if first >= 0 and distance < 16:
            mask |= 1 << distance
            continue
        if first >= 0:
            entries += (first, mask)
        first = sequence
        mask = 0
    if first >= 0:
        entries += (first, mask)
    return _packet(RTPFB, NACK, struct.pack(f"!II{len(entries)}H", sender, media, *entries))
