"""What a fuzzer calls: bytes into everything of the relay that reads the network.

`python -m tests.fuzz` drives it with coverage as the guide, `test_relay_packets` with hypothesis.
"""

from __future__ import annotations

from actors.relay import OfferLayout, RelayConfig
from actors.relay.sdp.offer import parse_offer
from actors.relay.transport.negotiation import plan_sections
from actors.relay.wire import stun
from actors.relay.wire.h264 import starts_key_frame
from actors.relay.wire.redundancy import blocks_of
from actors.relay.wire.rtcp import (
    nacked,
    parts_of,
    remb_of,
    reports_of,
    sender_info,
    whole_pictures_wanted,
)
from actors.relay.wire.rtp import body_of, extension
from actors.relay.wire.transport_feedback import ArrivalReader
from actors.relay.wire.vp8 import frame_height, parse_vp8
from broker.errors import Malformed

_CONFIG = RelayConfig()
_LAYOUT = OfferLayout({}, (), ())


def read(data: bytes) -> None:
    """Feed one input to every reader; only `Malformed`, and only from the offer, may be raised."""
    view = memoryview(data)
    body = body_of(view, len(data))
    if body is not None:
        for number in range(1, 15):
            extension(view, body, number)
        blocks_of(view, body.payload, body.payload_end, 111)
    vp8 = parse_vp8(view, 0, len(data))
    if vp8 is not None:
        frame_height(view, 0, len(data), vp8)
    starts_key_frame(view, 0, len(data))
    for part in parts_of(view):
        sender_info(part.body)
        remb_of(part.body)
        for start in (4, 24):
            list(reports_of(part.body, part.form, start))
        list(nacked(part.body))
        list(whole_pictures_wanted(part.body))
        list(ArrivalReader().read(part.body))
    stun.request_name(data)
    stun.parse(data, b"password")
    stun.unknown_attributes(data)
    try:
        plan_sections(parse_offer(data.decode("latin-1"), _CONFIG), _LAYOUT)
    except Malformed:
        return
