"""The session's media plane behind one object (design-media.md).

A packet's journey: `Port` → `Relay._received` (source check) → `Intake` (unprotect) → `Layer` →
`Slot` → `Transport.send_rtp` (protect) → `Socket`. All of it is synchronous.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from broker.errors import Conflict, ErrorCode, TooFast

from . import stun
from .answer import AnswerTransport, write_answer
from .config import RelayConfig
from .ice import Credentials
from .identity import Identity
from .layer import Layer
from .layers import choose_layers, needed_rids, simulcast_of
from .listener import RelayListener, SeatKind, SeatUpdate, TransportState
from .negotiation import apply_sections, plan_sections
from .offer import Offer, parse_offer, refusal
from .person import Person
from .port import Endpoint, Port, Socket
from .publication import Publication
from .pylibsrtp_private import Buffer
from .rtp import is_rtcp
from .seating import arrange
from .slot import Slot
from .snapshot import Snapshot, snapshot_of
from .speaker import SpeakerChoice
from .terms import MediaRights, OfferLayout, PublishSource
from .transport import Transport

log = logging.getLogger(__name__)

_TICK = 0.05
_SPEAKER_INTERVAL = 0.2
_QUALITY_INTERVAL = 2.0
_LAYER_INTERVAL = 0.25
_FEWER_LAYERS_SECONDS = 2.0
"""A layer nobody needs is turned off after this long, so that sizes may change freely."""
_HANDOVER_SECONDS = 3.0
"""A newer transport that shows no key frame takes over after this long anyway."""

Name: TypeAlias = tuple[Transport, Credentials]


class Relay:
    """Forwards RTP among the participants of one session, decoding nothing."""

    def __init__(
        self,
        config: RelayConfig,
        listener: RelayListener,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.people: dict[str, Person] = {}
        self.transports: dict[str, Transport] = {}
        self.epoch = time.time() - clock()
        self.dropped_strangers = 0
        """Datagrams from addresses that were not validated, and names nobody has."""
        self.mistakes = 0
        """Datagrams that our own code failed on; anything but 0 is a bug."""
        self._listener = listener
        self._clock = clock
        self._speaker = SpeakerChoice()
        self._speaker_due = 0.0
        self._quality_due = 0.0
        self._layers_due = 0.0
        self._names: dict[bytes, Name] = {}
        self._inbox = Buffer()
        self._outbox = Buffer()
        self._port: Port | None = None
        self._identity: Identity | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- life ----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Bind the port and make the certificate.

        Raises:
            Unavailable: `no_capacity` when no port of the range is free.
        """
        if self._port is not None:
            return
        config = self.config
        self._identity = Identity()
        self._port = Port(config.bind, config.ports, config.receive_buffer_bytes)
        self._loop = asyncio.get_running_loop()
        self._port.start(self._loop, self._inbox, config.drain, self._received)

    async def close(self) -> None:
        """Close every transport and give everything back; a second close does nothing."""
        now = self._clock()
        for transport in list(self.transports.values()):
            transport.close(now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._port is not None:
            self._port.close()
            self._port = None
        self.people.clear()
        self._names.clear()
        self._identity = None

    @property
    def port(self) -> int:
        """The UDP port number; the same on every bound address."""
        return self._open_port().number

    def _open_port(self) -> Port:
        if self._port is None:
            raise RuntimeError("the relay is not open")
        return self._port

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
            TooFast: `session_full` when the session has too many transports.
            Conflict: `replaced` when the transport is closed or of somebody else.
        """
        offer = parse_offer(sdp, self.config)
        planned = plan_sections(offer, layout)
        now = self._clock()
        transport = self.transports.get(transport_id)
        if transport is None:
            transport = self._new_transport(participant_id, transport_id, offer, rights, now)
        else:
            self._check_renegotiation(transport, participant_id, offer)
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
        self._reseat(now)
        credentials = transport.ice.credentials
        transport.session_version += 1
        assert self._identity is not None
        return write_answer(
            AnswerTransport(
                transport.session_version,
                transport.session_id,
                credentials.ufrag,
                credentials.password,
                self._identity.fingerprint,
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
        assert self._identity is not None
        credentials = Credentials.fresh(offer.ice_ufrag, offer.ice_password)
        transport = Transport(
            self,
            self.config,
            self._identity,
            self._outbox,
            participant_id=participant_id,
            transport_id=transport_id,
            credentials=credentials,
            fingerprints=offer.fingerprints,
            now=now,
        )
        self.transports[transport_id] = transport
        self._names[credentials.ufrag.encode()] = (transport, credentials)
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
        self._keep_ticking()
        return transport

    def _check_renegotiation(self, transport: Transport, participant_id: str, offer: Offer) -> None:
        if transport.participant_id != participant_id or transport.closed:
            raise Conflict(ErrorCode.REPLACED, "This transport is not yours any more.")
        if transport.fingerprints != offer.fingerprints:
            raise refusal("A renegotiation may not change the certificate.")

    def _restart_ice(self, transport: Transport, offer: Offer) -> None:
        credentials = Credentials.fresh(offer.ice_ufrag, offer.ice_password)
        dropped = transport.ice.restart(credentials)
        if dropped is not None:
            self.forget_name(dropped)
        self._names[credentials.ufrag.encode()] = (transport, credentials)

    def set_rights(self, participant_id: str, rights: MediaRights) -> None:
        """Change what a participant may send and receive, from the next packet on."""
        person = self.people.get(participant_id)
        if person is not None:
            person.rights = rights
            now = self._clock()
            person.apply(now)
            self._apply_view(person, now)
            self._reseat(now)

    def set_published(self, participant_id: str, sources: Mapping[PublishSource, bool]) -> None:
        """Mute or camera off: packets stop here, whatever the widget sends."""
        person = self.people.get(participant_id)
        if person is not None:
            person.published.update(sources)
            now = self._clock()
            person.apply(now)
            self._reseat(now)

    def set_view(
        self,
        participant_id: str,
        seat_sizes: Mapping[int, tuple[int, int] | None],
        screen_sizes: Mapping[int, tuple[int, int] | None],
    ) -> None:
        """Take the sizes at which the widget displays its slots; None pauses the video."""
        person = self.people.get(participant_id)
        if person is not None:
            for kind, sizes in ((SeatKind.SEAT, seat_sizes), (SeatKind.SCREEN, screen_sizes)):
                for index, size in sizes.items():
                    if 0 <= index < self.config.max_offer_sections:
                        person.view[kind, index] = size
            self._apply_view(person, self._clock())

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
            self._reseat(now)

    def snapshot(self) -> Snapshot:
        """Describe everything that is alive, for records and for people who look for faults."""
        return snapshot_of(self, self._clock())

    # -- what transports report ----------------------------------------------------------------

    def transport_advanced(self, transport: Transport, now: float) -> None:
        person = self.people.get(transport.participant_id)
        if transport.closed:
            self.transports.pop(transport.transport_id, None)
            self.forget_name(transport.ice.credentials)
            if transport.ice.previous is not None:
                self.forget_name(transport.ice.previous)
            if person is not None and person.following is transport:
                person.following = None
            elif person is not None and person.current is transport:
                person.current = person.following
                person.following = None
                person.apply(now)
        elif person is not None and person.following is transport:
            if transport.state is TransportState.CONNECTED and not transport.publications:
                self._hand_over(person, now)
        if person is not None:
            self._apply_view(person, now)
        self._tell(
            lambda: self._listener.transport_changed(
                transport.participant_id, transport.transport_id, transport.state
            )
        )
        self._reseat(now)

    def layer_added(self, layer: Layer, now: float) -> None:
        layer.publication.retarget(now)
        if layer.publication.source is PublishSource.SCREEN:
            self._reseat(now)

    def ready_to_take_over(self, publication: Publication, now: float) -> None:
        """A newer transport shows something that can start: a key frame, or audio alone."""
        person = self.people.get(publication.transport.participant_id)
        if person is None or person.following is not publication.transport:
            return
        camera = person.publication(PublishSource.CAMERA)
        if publication.video or camera is None or not camera.open or not camera.layers:
            self._hand_over(person, now)

    def forget_name(self, credentials: Credentials) -> None:
        self._names.pop(credentials.ufrag.encode(), None)

    def _hand_over(self, person: Person, now: float) -> None:
        older, newer = person.current, person.following
        person.current, person.following = newer, None
        person.apply(now)
        self._reseat(now)
        if older is not None:
            older.close(now)

    # -- seats ---------------------------------------------------------------------------------

    def _reseat(self, now: float) -> None:
        """Give every subscriber the people there are, keeping everybody's place."""
        seated = [p for p in self.people.values() if p.can_be_seated()]
        sharing = [p for p in self.people.values() if p.shows_screen()]
        for transport in list(self.transports.values()):
            if not transport.live:
                continue
            own = transport.participant_id
            updates = self._seat(transport, SeatKind.SEAT, seated, now)
            updates += self._seat(transport, SeatKind.SCREEN, sharing, now)
            if updates:
                self._tell(
                    lambda own=own, updates=updates: self._listener.seats_changed(  # type: ignore[misc]
                        own, updates
                    )
                )

    def _seat(
        self, transport: Transport, kind: SeatKind, people: Sequence[Person], now: float
    ) -> list[SeatUpdate]:
        own = transport.participant_id
        count = len(transport.seats) if kind is SeatKind.SEAT else len(transport.screens)
        before = [transport.occupants.get((kind, index)) for index in range(count)]
        after = arrange(before, [p.participant_id for p in people if p.participant_id != own])
        updates: list[SeatUpdate] = []
        for index, occupant in enumerate(after):
            slots = self._slots_of(transport, kind, index)
            for slot in slots:
                slot.enabled = self._is_wanted(transport, slot)
                slot.follow(self._publication_for(slot, occupant), now)
            if occupant == before[index]:
                continue
            if occupant is None:
                transport.occupants.pop((kind, index), None)
            else:
                transport.occupants[kind, index] = occupant
            updates.append(
                SeatUpdate(
                    kind,
                    index,
                    occupant,
                    slots[0].line.timestamp_at(now) if kind is SeatKind.SEAT else None,
                    slots[-1].line.timestamp_at(now),
                    transport.transport_id,
                )
            )
        return updates

    def _slots_of(self, transport: Transport, kind: SeatKind, index: int) -> Sequence[Slot]:
        return transport.seats[index] if kind is SeatKind.SEAT else [transport.screens[index]]

    def _publication_for(self, slot: Slot, occupant: str | None) -> Publication | None:
        person = self.people.get(occupant) if occupant is not None else None
        if person is None:
            return None
        if slot.kind is SeatKind.SCREEN:
            return person.publication(PublishSource.SCREEN)
        return person.publication(PublishSource.CAMERA if slot.video else PublishSource.MICROPHONE)

    def _is_wanted(self, transport: Transport, slot: Slot) -> bool:
        person = self.people.get(transport.participant_id)
        if person is None or not slot.video:
            return person is not None
        return person.rights.receive_video and (
            person.view.get((slot.kind, slot.index), (0, 0)) is not None
        )

    def _apply_view(self, person: Person, now: float) -> None:
        for transport in person.transports():
            for slot in transport.all_slots():
                slot.enabled = self._is_wanted(transport, slot)
                slot.retarget(now)

    # -- packets and time ----------------------------------------------------------------------

    def _received(self, socket: Socket, endpoint: Endpoint, size: int) -> None:
        """Take one datagram from the inbox; a mistake of ours costs this datagram only."""
        try:
            self._dispatch(socket, endpoint, size)
        except Exception:
            self.mistakes += 1
            log.exception("a datagram could not be handled")

    def _dispatch(self, socket: Socket, endpoint: Endpoint, size: int) -> None:
        """Tell STUN, DTLS and RTP apart (RFC 7983)."""
        address = socket.peers.get(endpoint)
        inbox = self._inbox
        view = inbox.view
        first = view[0] if size else 255
        if address is None:
            if first < 2:
                self._stun(bytes(view[:size]), socket, endpoint)
            else:
                self.dropped_strangers += 1
            return
        now = self._clock()
        transport = address.transport
        if 127 < first < 192 and size > 1:
            intake = transport.intake
            if is_rtcp(view):
                authentic = intake.receive_rtcp(inbox, size, now)
            else:
                authentic = intake.receive_rtp(inbox, size, now)
            if authentic:
                address.heard = now
        elif first < 2:
            self._stun(bytes(view[:size]), socket, endpoint)
        elif 19 < first < 64:
            transport.dtls_received(bytes(view[:size]), address, now)

    def _stun(self, data: bytes, socket: Socket, endpoint: Endpoint) -> None:
        now = self._clock()
        if stun.is_response(data):
            address = socket.peers.get(endpoint)
            if address is not None:
                address.transport.binding_response(data, address, now)
            return
        name = stun.request_name(data)
        found = self._names.get(name) if name is not None else None
        if found is None:
            self.dropped_strangers += 1
            return
        transport, credentials = found
        transport.binding_request(data, credentials, socket, endpoint, now)

    def _keep_ticking(self) -> None:
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(_TICK, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        for transport in list(self.transports.values()):
            try:
                transport.tick(now)
            except Exception:
                log.exception("tick failed", extra={"transport_id": transport.transport_id})
        for person in list(self.people.values()):
            newer = person.following
            if newer is not None and newer.live and now - newer.created > _HANDOVER_SECONDS:
                self._hand_over(person, now)
        if now >= self._speaker_due:
            self._speaker_due = now + _SPEAKER_INTERVAL
            self._choose_speaker(now)
        if now >= self._layers_due:
            self._layers_due = now + _LAYER_INTERVAL
            self._choose_layers(now)
        if now >= self._quality_due:
            self._quality_due = now + _QUALITY_INTERVAL
            self._grade(now)
        if self.transports:
            self._keep_ticking()

    def _choose_speaker(self, now: float) -> None:
        voices = {
            name: loudness
            for name, person in self.people.items()
            if (loudness := person.loudness(now)) is not None
        }
        before = self._speaker.current
        speaker = self._speaker.decide(voices, now)
        if speaker != before:
            self._tell(lambda: self._listener.speaker_changed(speaker))

    def _choose_layers(self, now: float) -> None:
        people = list(self.people.values())
        for person in people:
            choose_layers(person, now)
        for person in people:
            for publication in simulcast_of(person):
                self._tell_layers(person, publication, now)

    def _tell_layers(self, person: Person, publication: Publication, now: float) -> None:
        """Tell the widget which layers are needed, at once for more and after a while for less."""
        needed = needed_rids(publication, now)
        if set(needed) == set(publication.told_rids):
            publication.fewer_since = None
            return
        if set(needed) < set(publication.told_rids):
            if publication.fewer_since is None:
                publication.fewer_since = now
            if now - publication.fewer_since < _FEWER_LAYERS_SECONDS:
                return
        publication.fewer_since = None
        publication.told_rids = needed
        self._tell(
            lambda: self._listener.layers_wanted(person.participant_id, publication.source, needed)
        )

    def _grade(self, now: float) -> None:
        for person in list(self.people.values()):
            measured = person.measured(now)
            if measured is not None and person.quality.measured(measured):
                self._tell_quality(person)

    def _tell_quality(self, person: Person) -> None:
        quality = person.quality
        self._tell(
            lambda: self._listener.quality_changed(
                person.participant_id, quality.grade, quality.reason
            )
        )

    def _tell(self, call: Callable[[], None]) -> None:
        """Call the listener; its mistakes stay its own."""
        try:
            call()
        except Exception:
            log.exception("a relay listener failed")


def freeze_garbage() -> None:
    """Keep what exists after start out of later collections, which would delay packets."""
    gc.collect()
    gc.freeze()
