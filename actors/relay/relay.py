"""The session's media plane behind one object (design-media.md).

A packet's journey: `Port` → `Reception` (source check) → `Intake` (unprotect) → `Layer` →
`Slot` → `Outlet` (protect) → `Socket`. All of it is synchronous.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import inf

from actors.relay.config import RelayConfig
from actors.relay.forwarding.layer import Layer
from actors.relay.forwarding.publication import Publication
from actors.relay.listener import RelayListener, SeatKind, SeatUpdate, TransportState
from actors.relay.network.departures import Departures
from actors.relay.network.ice import Credentials
from actors.relay.network.identity import Identity
from actors.relay.network.port import Port, Socket
from actors.relay.network.reception import Reception
from actors.relay.network.stall import Stall
from actors.relay.people.handover import Handover
from actors.relay.people.person import Person
from actors.relay.people.seating import Seating
from actors.relay.pulse import Pulse
from actors.relay.sdp.answer import AnswerTransport, write_answer
from actors.relay.sdp.offer import Offer, parse_offer, refusal
from actors.relay.snapshot import Snapshot, snapshot_of
from actors.relay.tally import Tally, standing_of
from actors.relay.terms import MediaRights, OfferLayout, PublishSource
from actors.relay.transport.negotiation import (
    PlannedSection,
    apply_sections,
    new_publications,
    plan_sections,
)
from actors.relay.transport.transport import Transport
from broker.errors import Conflict, ErrorCode, TooFast
from broker.measures import Count, Standing

log = logging.getLogger(__name__)


class Relay:
    """Forwards RTP among the participants of one session, decoding nothing."""

    def __init__(
        self,
        config: RelayConfig,
        listener: RelayListener,
        *,
        clock: Callable[[], float] = time.monotonic,
        stall_seconds: float = inf,
    ) -> None:
        """Forward what comes, unless the process has stood still for `stall_seconds`.

        By then another relay may forward for these people: the listener is told (`stood_still`),
        and nothing is read or sent until `go_on`.
        """
        self.config = config
        self.people: dict[str, Person] = {}
        self.transports: dict[str, Transport] = {}
        self.epoch = time.time() - clock()
        self._listener = listener
        self._clock = clock
        self._departures = Departures()
        self._stall = Stall(stall_seconds, self._stood_still)
        self._reception = Reception(clock, self._departures, config.drain, self._stall)
        self._seating = Seating(self.people, self.transports, self._seats_changed)
        self._handover = Handover(self.people, self._seating.reseat, config.silence_before_reroute)
        self._pulse = Pulse(
            self.people,
            self.transports,
            listener,
            self._tell,
            clock,
            self._handover.look,
            self._seating.spoken,
            self._stall,
        )
        self._port: Port | None = None
        self._identity: Identity | None = None
        self._tally = Tally()
        self._ended: dict[str, None] = {}
        """The latest transports that were connected and have closed."""

    # -- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Bind the port.

        Raises:
            Unavailable: `no_capacity` when no port of the range is free.
        """
        if self._port is not None:
            return
        config = self.config
        self._port = Port(
            config.bind, config.ports, config.receive_buffer_bytes, left=config.left_port
        )
        loop = asyncio.get_running_loop()
        self._port.start(loop, self._reception.wake, self._is_in_doubt)
        self._pulse.start(loop)

    def fall_silent(self) -> None:
        """Read and send nothing any more, not even a goodbye: somebody else does."""
        self._stall.lose()
        if self._port is not None:
            self._port.pause()

    def go_on(self) -> None:
        """Forward again, what waits first: nobody else does. Harmless when there is no doubt."""
        if self._port is not None and self._stall.settle():
            if self.transports:
                self._stall.beat(self._clock())
            self._port.go_on()

    async def close(self) -> None:
        """Close every transport and give everything back; a second close does nothing."""
        now = self._clock()
        for transport in list(self.transports.values()):
            transport.close(now)
        self._pulse.stop()
        if self._port is not None:
            self._tally.keep_sockets(self._port.sockets)
            self._port.close()
            self._port = None
        self.people.clear()
        self._reception.names.clear()
        self._identity = None

    def _is_in_doubt(self) -> bool:
        """Whether the process has stood still for so long that nothing may be sent."""
        return self._stall.look(self._clock())

    @property
    def port(self) -> int:
        """The UDP port number; the same on every bound address."""
        return self._open_port().number

    def _own_identity(self) -> Identity:
        """Make the certificate when the first offer wants it: a ring need not wait for it."""
        if self._identity is None:
            self._identity = Identity()
        return self._identity

    def _open_port(self) -> Port:
        if self._port is None:
            raise RuntimeError("the relay is not open")
        return self._port

    @property
    def dropped_strangers(self) -> int:
        """Datagrams from addresses that were not validated, and names nobody has."""
        return self._reception.dropped_strangers

    @property
    def mistakes(self) -> int:
        """Datagrams that our own code failed on; anything but 0 is a bug."""
        return self._reception.mistakes

    @property
    def sockets(self) -> Sequence[Socket]:
        return self._port.sockets if self._port is not None else ()

    # -- signalling ----------------------------------------------------------------------------

    def answer(
        self,
        participant_id: str,
        transport_id: str,
        sdp: str,
        layout: OfferLayout,
        rights: MediaRights,
    ) -> str:
        """Answer an offer.

        The same `transport_id` again is a renegotiation or an ICE restart. A new one of a
        participant who has a transport is a handover: the newer takes over at its first key
        frame, then the older closes.

        Raises:
            Malformed: `offer_too_large`, `offer_invalid`, `offer_without_media`,
                `no_common_codec`; nothing has changed then.
            TooFast: `session_full` when the session has too many transports, `rate_limited` when
                this one has published on too many sections.
            Conflict: `replaced` when the transport has ended or is somebody else's.
        """
        offer = parse_offer(sdp, self.config)
        planned = plan_sections(offer, layout)
        now = self._clock()
        transport = self.transports.get(transport_id)
        if transport is None:
            if transport_id in self._ended:
                # Its peer keeps the keys of before, also through an ICE restart (RFC 8842 §4): it
                # would take itself for connected.
                raise Conflict(ErrorCode.REPLACED, "This transport has ended; offer a new one.")
            transport = self._new_transport(participant_id, transport_id, offer, rights, now)
        else:
            self._check_renegotiation(transport, participant_id, offer, planned)
        answered = apply_sections(transport, planned, layout, now)
        credentials = transport.ice.credentials
        if (credentials.remote_ufrag, credentials.remote_password) != (
            offer.ice_ufrag,
            offer.ice_password,
        ):
            self._restart_ice(transport, offer)
        person = self.people[participant_id]
        person.rights = rights
        person.apply(now)
        self._seating.reseat(now)
        credentials = transport.ice.credentials
        transport.origin_version += 1
        return write_answer(
            AnswerTransport(
                transport.origin_id,
                transport.origin_version,
                credentials.ufrag,
                credentials.password,
                self._own_identity().fingerprint,
                self.config.advertise or tuple(s.host for s in self.sockets),
                self.port,
            ),
            answered,
        )

    def _new_transport(
        self,
        participant_id: str,
        transport_id: str,
        offer: Offer,
        rights: MediaRights,
        now: float,
    ) -> Transport:
        if len(self.transports) >= self.config.max_transports:
            raise TooFast(ErrorCode.SESSION_FULL, "The session has too many transports.")
        self._open_port()
        credentials = Credentials.fresh(offer.ice_ufrag, offer.ice_password)
        transport = Transport(
            self,
            self.config,
            self._own_identity(),
            self._departures,
            participant_id=participant_id,
            transport_id=transport_id,
            credentials=credentials,
            fingerprints=offer.fingerprints,
            now=now,
        )
        self.transports[transport_id] = transport
        self._reception.know(transport, credentials)
        person = self.people.setdefault(participant_id, Person(participant_id, rights))
        if person.current is None:
            person.current = transport
        else:
            superseded = person.following
            person.following = transport
            if superseded is not None:
                superseded.close(now)
        self._tell(
            lambda: self._listener.transport_changed(
                participant_id, transport_id, TransportState.CONNECTING
            )
        )
        self._pulse.go_on()
        return transport

    def _check_renegotiation(
        self,
        transport: Transport,
        participant_id: str,
        offer: Offer,
        planned: Sequence[PlannedSection],
    ) -> None:
        if transport.participant_id != participant_id or transport.closed:
            raise Conflict(ErrorCode.REPLACED, "This transport is not yours any more.")
        if transport.fingerprints != offer.fingerprints:
            raise refusal("A renegotiation may not change the certificate.")
        published = transport.published + new_publications(transport, planned)
        if published > self.config.max_publications:
            raise TooFast(
                ErrorCode.RATE_LIMITED,
                "This transport has published on too many sections; offer a new one.",
            )

    def _restart_ice(self, transport: Transport, offer: Offer) -> None:
        credentials = Credentials.fresh(offer.ice_ufrag, offer.ice_password)
        for dropped in transport.ice.restart(credentials):
            self.forget_name(dropped)
        self._reception.know(transport, credentials)

    def set_rights(self, participant_id: str, rights: MediaRights) -> None:
        """Change what a participant may send and receive, from the next packet on."""
        person = self.people.get(participant_id)
        if person is not None:
            person.rights = rights
            now = self._clock()
            person.apply(now)
            self._seating.apply_view(person, now)
            self._seating.reseat(now)

    def set_published(self, participant_id: str, sources: Mapping[PublishSource, bool]) -> None:
        """Mute or camera off: packets stop here, whatever the widget sends."""
        person = self.people.get(participant_id)
        if person is not None:
            person.published.update(sources)
            now = self._clock()
            person.apply(now)
            self._seating.reseat(now)

    def settle(self, participant_id: str) -> None:
        """Note that a widget has just said what it sends: it waits for no device any more."""
        person = self.people.get(participant_id)
        if person is not None:
            person.settled = self._clock()

    def set_view(
        self,
        transport_id: str,
        seat_sizes: Mapping[int, tuple[int, int] | None],
        screen_sizes: Mapping[int, tuple[int, int] | None],
    ) -> None:
        """Take the sizes at which a widget displays its transport's slots; None pauses the video.

        A person may have two transports for a while: one page covers the other, whose sizes say
        nothing of what the newer one shows.
        """
        transport = self.transports.get(transport_id)
        if transport is None:
            return
        for kind, sizes in ((SeatKind.SEAT, seat_sizes), (SeatKind.SCREEN, screen_sizes)):
            for index, size in sizes.items():
                if 0 <= index < self.config.max_offer_sections:
                    transport.view[kind, index] = size
        self._seating.apply_view(self.people[transport.participant_id], self._clock())

    def close_transport(self, transport_id: str) -> None:
        """Close one transport; unknown or closed ones are ignored."""
        transport = self.transports.get(transport_id)
        if transport is not None:
            transport.close(self._clock())

    def remove(self, participant_id: str) -> None:
        """Close all of a participant's transports and forget them."""
        person = self.people.get(participant_id)
        if person is not None:
            now = self._clock()
            for transport in person.transports():
                transport.close(now)
            self.people.pop(participant_id, None)
            self._seating.reseat(now)

    def snapshot(self) -> Snapshot:
        """Describe everything that is alive, for records and for people who look for faults."""
        return snapshot_of(self, self._clock())

    def counts(self) -> Counter[Count]:
        """Say what it has done since it was made, what has closed included."""
        return self._tally.of_all(self)

    def standing(self) -> Counter[Standing]:
        """Say how many transports and people there are now, and how they are."""
        return standing_of(self)

    # -- what transports report ----------------------------------------------------------------

    def transport_advanced(self, transport: Transport, now: float) -> None:
        person = self.people.get(transport.participant_id)
        if transport.closed:
            if self.transports.pop(transport.transport_id, None) is transport:
                self._tally.keep_transport(transport)
            if transport.srtp_profile is not None:
                self._ended[transport.transport_id] = None
                if len(self._ended) > self.config.max_transports:
                    del self._ended[next(iter(self._ended))]
            for credentials in transport.ice.generations:
                self.forget_name(credentials)
            if person is not None and person.following is transport:
                person.following = None
            elif person is not None and person.current is transport:
                person.current = person.following
                person.following = None
                person.apply(now)
        elif person is not None and person.following is transport:
            if transport.state is TransportState.CONNECTED and not transport.publications:
                self._handover.take_over(person, now)
        if person is not None:
            self._seating.apply_view(person, now)
        self._tell(
            lambda: self._listener.transport_changed(
                transport.participant_id, transport.transport_id, transport.state
            )
        )
        self._seating.reseat(now)

    def layer_added(self, layer: Layer, now: float) -> None:
        layer.publication.retarget(now)
        if layer.publication.source is PublishSource.SCREEN:
            self._seating.reseat(now)

    def ready_to_take_over(self, publication: Publication, now: float) -> None:
        self._handover.ready(publication, now)

    def forget_name(self, credentials: Credentials) -> None:
        self._reception.forget(credentials)

    def _stood_still(self, seconds: float) -> None:
        if self._port is not None:
            self._port.pause()
        self._tell(lambda: self._listener.stood_still(seconds))

    # -- telling -------------------------------------------------------------------------------

    def _seats_changed(self, transport: Transport, updates: list[SeatUpdate]) -> None:
        self._tell(
            lambda: self._listener.seats_changed(
                transport.participant_id, transport.transport_id, updates
            )
        )

    def _tell(self, call: Callable[[], None]) -> None:
        """Call the listener; its mistakes stay its own."""
        try:
            call()
        except Exception:
            log.exception("a relay listener failed")
