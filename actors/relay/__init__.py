"""The session's media plane: one UDP port, ICE-lite, DTLS-SRTP, RTP forwarded without decoding.

Owns everything about media packets. Knows nothing about invitations, rosters, trunks or Ray; the
session actor calls `Relay` and hears from it through a `RelayListener`. aiortc itself is not
imported: it brings libav, 20 MB in every session actor; DTLS comes from pyOpenSSL, SRTP from
pylibsrtp, STUN from aioice.
"""

from .config import RelayConfig
from .listener import Grade, RelayListener, SeatKind, SeatUpdate, TransportState
from .rehearsal import rehearse
from .relay import Relay
from .terms import MediaRights, OfferLayout, PublishSource

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
