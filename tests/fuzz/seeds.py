"""One valid message of each kind, for a fuzzer to start from."""

from __future__ import annotations

import struct

from actors.relay.wire import rtcp, stun
from actors.relay.wire.transport_feedback import ArrivalLog
from tests.relay.test_redundancy import packed

_OFFER = """v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
a=ice-ufrag:abcdefgh
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {digest}
a=setup:actpass
a=mid:0
a=sendonly
a=rtcp-mux
a=rtcp-rsize
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=ssrc:1 cname:x
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102
a=ice-ufrag:abcdefgh
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {digest}
a=setup:actpass
a=mid:1
a=sendonly
a=rtcp-mux
a=rtpmap:96 VP8/90000
a=rtcp-fb:* nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:102 H264/90000
a=fmtp:102 packetization-mode=1;profile-level-id=42e01f
a=rid:q send
a=rid:f send
a=simulcast:send q;f
a=ssrc-group:FID 2 3
a=ssrc:2 cname:x
"""


def _rtp(payload: bytes, *, two_byte: bool = False) -> bytes:
    block = b"\x01\x02ab\x04\x010\x00" if two_byte else b"\x11ab\x400\x00\x00\x00"
    head = struct.pack("!BBHII", 0x90, 0xE0, 1, 2, 3)
    profile = 0x1000 if two_byte else 0xBEDE
    return head + struct.pack("!HH", profile, len(block) // 4) + block + payload


def _feedback() -> bytes:
    log = ArrivalLog()
    for number, at in ((1, 1.0), (2, 1.01), (5, 1.2), (6, 9.0)):
        log.arrived(number, at)
    return log.messages(1, 2)[0]


_VP8_KEY = b"\x90\xc0\x81\x23\x05\x00\x00\x00\x9d\x01\x2a\x40\x01\xb4\x00"
_REPORT = rtcp.Report(1, 12, 34, 56, 78, 90, 12)

SEEDS: tuple[bytes, ...] = (
    _rtp(_VP8_KEY),
    _rtp(_VP8_KEY, two_byte=True),
    _rtp(b"\x78\x00\x03\x67\x42\xe0\x00\x02\x65\x88"),
    _rtp(packed([b"first", b"second"])),
    rtcp.receiver_report(1, (_REPORT,)) + rtcp.source_description(1, "cname"),
    rtcp.sender_report(rtcp.SenderInfo(1, 2 << 32, 3, 4, 5)),
    rtcp.negative_acknowledgement(1, 2, [3, 4, 30]),
    rtcp.picture_loss(1, 2),
    _feedback(),
    stun.check("local:remote", b"password", bytes(12), 1),
    _OFFER.format(digest=":".join(["AB"] * 32)).replace("\n", "\r\n").encode(),
)
