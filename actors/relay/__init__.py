"""The session's media plane: one UDP port, ICE-lite, DTLS-SRTP, RTP forwarded without decoding.

Owns everything about media packets. Knows nothing about invitations, rosters, trunks or Ray; the
session actor calls `Relay` and hears from it through a `RelayListener`. aiortc itself is not
imported: it brings libav, 20 MB in every session actor; DTLS comes from pyOpenSSL, SRTP from
pylibsrtp, STUN from aioice.

A packet's way, and the packages from the bottom up, each importing those before it only:
`wire`, `congestion`, `sdp`, `network`, `forwarding`, `transport`, `people`. All but the first two
know the words that the relay shares with its session actor (`config`, `listener`, `terms`) and the
`budget` of what one peer may cause. `relay` puts them together, `pulse` drives them by the clock.
"""

from actors.relay.config import RelayConfig
from actors.relay.listener import Grade, RelayListener, SeatKind, SeatUpdate, TransportState
from actors.relay.rehearsal import rehearse
from actors.relay.relay import Relay
from actors.relay.terms import MediaRights, OfferLayout, PublishSource

__all__ = [
    "Grade",
    "MediaRights",
    "OfferLayout",
    "PublishSource",
    "Relay",
    "RelayConfig",
    "RelayListener",
    "SeatKind",
    "SeatUpdate",
    "TransportState",
    "rehearse",
]
