"""One slot's way to its subscriber without a network: real forwarding, repairs and SRTP.

For tests of states that hold hundreds of calls a second. What leaves is decrypted by a receiver's
own SRTP, so that a number that is used twice, or a rollover guessed wrongly, is found here.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

from actors.relay import PublishSource, SeatKind
from actors.relay.forwarding.layer import Layer
from actors.relay.forwarding.numbering import TURNS, Numbering
from actors.relay.forwarding.outlet import Outlet
from actors.relay.forwarding.picture import Picture
from actors.relay.forwarding.publication import Publication
from actors.relay.forwarding.slot import Slot
from actors.relay.forwarding.voice import Voice
from actors.relay.forwarding.wall_clock import WallClock
from actors.relay.network.departures import Departures
from actors.relay.network.drops import Drops
from actors.relay.network.ice import Credentials, IceLite
from actors.relay.network.pylibsrtp_private import Buffer, Srtp
from actors.relay.sdp.codec import Codec
from actors.relay.wire.redundancy import Redundant
from actors.relay.wire.rtcp import SenderInfo, ntp_of
from actors.relay.wire.rtp import (
    AUDIO_LEVEL_URI,
    HEADER,
    MID_URI,
    SILENT,
    TRANSPORT_CC_URI,
    Body,
    body_of,
    unwrap,
)

PROFILE = b"SRTP_AEAD_AES_128_GCM"
EXTENSIONS = {MID_URI: 4, TRANSPORT_CC_URI: 3, AUDIO_LEVEL_URI: 1}
THEIR_CLOCK = 5000.0
"""By so many seconds a publisher's wall clock is ahead of the relay's."""


class Arrived(NamedTuple):
    """A packet at the subscriber; sequences do not wrap here."""

    sequence: int
    timestamp: int
    marker: bool
    payload_type: int
    payload: bytes


class End:
    """What forwarding knows of a transport."""

    def __init__(self, name: str, departures: Departures, path: Any = None) -> None:
        self.participant_id = self.transport_id = name
        ice = IceLite(Credentials.fresh("ufrag", "password"), 8, 20, 100)
        ice.selected = path
        self.outlet = Outlet(ice, departures, name)
        self.wall_clock = WallClock()
        self.drops = Drops()
        self.key_frame_interval = 0.5

    def ready_to_take_over(self, publication: Publication, now: float) -> None:
        """Nobody is about to hand over."""


class Line:
    """A subscriber with one slot, and all that has reached them."""

    def __init__(self, codec: Codec, *, first: int, stamp: int) -> None:
        """Begin the slot's numbers at `first` and `stamp`; the codec says whether there is RTX."""
        self.departures = Departures(batched=False)
        path: Any = SimpleNamespace(
            socket=SimpleNamespace(send=self._arrive), endpoint=("subscriber", 1), name=None
        )
        self.end = End("subscriber", self.departures, path)
        key = bytes(range(28))
        self.end.outlet.keyed(Srtp(PROFILE, key, inbound=False))
        self._inbound = Srtp(PROFILE, key, inbound=True)
        video = codec.clock_rate == 90_000
        self.slot = Slot(self.end, SeatKind.SEAT, 0, "7", video=video, cname="c", now=0.0)
        self.slot.negotiated((codec,), EXTENSIONS)
        turns = TURNS if video else 1
        self.slot.numbering = Numbering(codec.clock_rate, 0.0, first, stamp, turns=turns)
        self.arrived: list[Arrived] = []
        """On the slot's own SSRC, in the order in which it came."""
        self.repaired: list[Arrived] = []
        """On its RTX SSRC."""
        self.datagrams: dict[int, bytes] = {}
        """By sequence what came on its own SSRC, as it was on the wire."""
        self.repeated: list[bytes] = []
        """What came once more, byte for byte."""
        self._highest = first - 1

    def _arrive(self, datagram: memoryview, endpoint: object) -> bool:
        data = bytes(datagram)
        if data in self.datagrams.values():
            self.repeated.append(data)
            return True
        buffer = Buffer()
        buffer.view[: len(data)] = data
        size = self._inbound.unprotect(buffer, len(data))
        assert size, "a receiver cannot decrypt it"
        _, second, sequence, timestamp, ssrc = HEADER.unpack_from(buffer.view)
        body = body_of(buffer.view, size)
        assert body is not None
        payload = bytes(buffer.view[body.payload : body.payload_end])
        own = ssrc == self.slot.ssrc
        assert own or ssrc == self.slot.repairs.ssrc
        if own:
            sequence = unwrap(sequence, self._highest, 16)
            self._highest = max(self._highest, sequence)
            self.datagrams[sequence] = data
        packet = Arrived(sequence, timestamp, second > 127, second & 127, payload)
        (self.arrived if own else self.repaired).append(packet)
        return True


class Source:
    """One encoding, with its running numbers, as its sender's browser makes it."""

    def __init__(
        self,
        publication: Publication,
        codec: Codec,
        rid: str,
        *,
        sequence: int,
        origin: int,
    ) -> None:
        self.name = f"{publication.transport.participant_id}/{rid}"
        kind = Voice if codec.clock_rate == 48_000 else Picture
        self.layer: Layer = kind(publication, len(publication.layers) + 1, codec, rid)
        publication.layers[rid] = self.layer
        self.sequence = sequence
        """Of the packet that is made next; it does not wrap here."""
        self.origin = origin
        """The time stamp of the relay's moment 0."""
        self.codec = codec

    def stamp_of(self, captured: float) -> int:
        return self.origin + round(captured * self.codec.clock_rate) & 0xFFFFFFFF

    def deliver(
        self,
        sequence: int,
        captured: float,
        payload: bytes,
        now: float,
        *,
        marker: bool = False,
        repaired: bool = False,
        redundant: Redundant | None = None,
    ) -> None:
        """Let a packet reach the relay, which has decrypted it."""
        data = memoryview(payload)
        body = Body(0, 0, False, 0, len(payload))
        numbers = sequence & 0xFFFF, self.stamp_of(captured), 0x80 * marker, now
        if repaired:
            self.layer.repair(data, body, *numbers)
        else:
            self.layer.receive(data, body, *numbers, SILENT, redundant)

    def report(self, moment: float, now: float) -> None:
        """Let the sender report that left at `moment` reach the relay."""
        ntp = ntp_of(moment + THEIR_CLOCK)
        self.layer.clock.reported(SenderInfo(1, ntp, self.stamp_of(moment), 1, 1), now)


def publication_of(name: str, source: PublishSource, departures: Departures) -> Publication:
    publication = Publication(End(name, departures), "0", source)
    publication.open = True
    return publication
