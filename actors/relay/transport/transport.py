"""The server end of one peer connection: its life, its path and its keys (design-media §1)."""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Protocol

from actors.relay.forwarding.outlet import Outlet
from actors.relay.forwarding.publication import Publication
from actors.relay.forwarding.slot import Slot
from actors.relay.forwarding.wall_clock import WallClock
from actors.relay.listener import SeatKind, TransportState
from actors.relay.network.association import Association
from actors.relay.network.departures import Departures
from actors.relay.network.dtls import DtlsState
from actors.relay.network.ice import Address, Credentials, IceLite
from actors.relay.network.pylibsrtp_private import Buffer, Srtp
from actors.relay.transport.asking import Asking
from actors.relay.transport.intake import Intake
from actors.relay.transport.probing import Probing
from actors.relay.wire import stun
from actors.relay.wire.rtcp import receiver_report, sender_report, source_description

if TYPE_CHECKING:
    from actors.relay.config import RelayConfig
    from actors.relay.forwarding.layer import Layer
    from actors.relay.network.identity import Identity
    from actors.relay.network.port import Endpoint, Socket

log = logging.getLogger(__name__)

_MOVED_AFTER = 0.2
"""Seconds of silence after which a peer may be somewhere else; a voice comes every 20 ms."""

_LEGAL: dict[TransportState, frozenset[TransportState]] = {
    TransportState.CONNECTING: frozenset({TransportState.CONNECTED, TransportState.CLOSED}),
    TransportState.CONNECTED: frozenset({TransportState.RECONNECTING, TransportState.CLOSED}),
    TransportState.RECONNECTING: frozenset({TransportState.CONNECTED, TransportState.CLOSED}),
    TransportState.CLOSED: frozenset(),
}


class TransportOwner(Protocol):
    """What a transport asks of the relay it lives in."""

    @property
    def epoch(self) -> float:
        """Seconds to add to the relay's clock for wall-clock time."""

    def transport_advanced(self, transport: Transport, now: float) -> None: ...

    def layer_added(self, layer: Layer, now: float) -> None: ...

    def ready_to_take_over(self, publication: Publication, now: float) -> None: ...

    def forget_name(self, credentials: Credentials) -> None: ...


class Transport:
    """One peer connection. Closed by the relay, by the peer, by failure or by silence."""

    def __init__(
        self,
        owner: TransportOwner,
        config: RelayConfig,
        identity: Identity,
        departures: Departures,
        *,
        participant_id: str,
        transport_id: str,
        credentials: Credentials,
        fingerprints: dict[str, str],
        now: float,
    ) -> None:
        self.owner = owner
        self.config = config
        self.participant_id = participant_id
        self.transport_id = transport_id
        self.state = TransportState.CONNECTING
        self.created = now
        self.fingerprints = fingerprints
        self.ice = IceLite(
            credentials,
            config.max_addresses,
            config.integrity_failures_per_second,
            config.checks_per_second,
        )
        self.origin_id = secrets.randbits(62)
        """With the version, what its answers are known by (RFC 8866 §5.2)."""
        self.origin_version = 1
        self.outlet = Outlet(self.ice, departures, self.cname)
        self.estimate = self.outlet.estimate
        self.key_frame_interval = config.key_frame_interval
        self.publications: dict[str, Publication] = {}
        self.published = 0
        """How many publications it has had so far."""
        self.seats: list[tuple[Slot, Slot]] = []
        self.screens: list[Slot] = []
        self.slots_by_ssrc: dict[int, Slot] = {}
        self.view: dict[tuple[SeatKind, int], tuple[int, int] | None] = {}
        """(seat kind, index) → displayed size in pixels; None where hidden."""
        self.occupants: dict[tuple[SeatKind, int], str | None] = {}
        """Who sits where, as it was told to the subscriber; what was not told yet is missing."""
        self.wall_clock = WallClock()
        self.intake = Intake(self)
        self.drops = self.intake.drops
        self.asking = Asking(self.outlet)
        self.reports_due = 0.0
        self.feedback_due = 0.0
        self.starved = False
        """Whether more is wanted than fits; only then the relay probes for more."""
        self.held = 0
        """How many pictures are held back, because the line does not carry them."""
        self.narrow_since: float | None = None
        """Since when a picture that is shown larger fits only in its lowest layer."""
        self._probing = Probing(self.outlet, now)
        self._association = Association(identity, fingerprints, config, now)
        self._path: Address | None = None
        """Where it sent at the last tick."""

    # -- state ---------------------------------------------------------------------------------

    def advance(self, state: TransportState, now: float) -> None:
        """Change state, tell the owner; what is not legal from here is ignored."""
        if state is self.state or state not in _LEGAL[self.state]:
            return
        self.state = state
        self.owner.transport_advanced(self, now)

    @property
    def closed(self) -> bool:
        return self.state is TransportState.CLOSED

    @property
    def live(self) -> bool:
        return self.state in (TransportState.CONNECTED, TransportState.RECONNECTING)

    def ready_to_take_over(self, publication: Publication, now: float) -> None:
        """One of its publications has shown something that can start, and is not passed on."""
        self.owner.ready_to_take_over(publication, now)

    def all_slots(self) -> list[Slot]:
        return [slot for pair in self.seats for slot in pair] + self.screens

    def close(self, now: float, *, notify: bool = True) -> None:
        """Release slots, publications and addresses; harmless when repeated."""
        if self.closed:
            return
        if notify:
            self._association.close(self.ice.selected)
        for slot in self.all_slots():
            slot.close()
        for publication in self.publications.values():
            publication.close(now)
        for address in self.ice.addresses:
            address.socket.peers.pop(address.key, None)
        self.ice.addresses.clear()
        self.ice.selected = None
        self.outlet.close()
        self.intake.close()
        self.advance(TransportState.CLOSED, now)

    # -- ICE -----------------------------------------------------------------------------------

    def binding_request(
        self,
        data: bytes,
        credentials: Credentials,
        socket: Socket,
        endpoint: Endpoint,
        now: float,
    ) -> None:
        """Answer a check that carries one of this transport's names, if its proof holds."""
        ice = self.ice
        address = ice.find(socket, endpoint)
        budget = ice.failures if address is None else ice.known_failures
        drops = self.intake.drops
        if not budget.has(1, now):
            drops.unproved += 1
            return
        if not ice.checks.has(1, now):
            drops.excess += 1
            return
        password = credentials.password.encode()
        message = stun.parse(data, password)
        if message is None:
            drops.unproved += 1
            budget.spend(1)
            return
        ice.checks.spend(1)
        unknown = stun.unknown_attributes(data)
        if unknown:
            socket.send(stun.not_comprehended(message, unknown, password), endpoint)
            return
        if stun.has_role_conflict(message):
            socket.send(stun.role_conflict(message, password), endpoint)
            return
        if address is None:
            address = self._hear(socket, endpoint, credentials, now)
            if address is None:
                return
        address.heard = now
        address.credentials = credentials
        for dropped in ice.credentials_used(credentials):
            self.owner.forget_name(dropped)
        socket.send(stun.success(message, endpoint[0], endpoint[1], password), endpoint)
        if stun.is_nomination(message):
            ice.nominate(address, now)

    def may_have_moved(self, now: float) -> bool:
        """Whether it is not heard where it was: it may have another address."""
        selected = self.ice.selected
        return self.live and selected is not None and now - selected.heard >= _MOVED_AFTER

    def knows(self, ssrc: int, *, feedback: bool) -> bool:
        """Whether this peer has sent authentic RTP, or RTCP (`feedback`), as this SSRC."""
        return self.intake.knows(ssrc, feedback=feedback)

    def heard_elsewhere(
        self,
        inbox: Buffer,
        size: int,
        socket: Socket,
        endpoint: Endpoint,
        now: float,
        *,
        feedback: bool,
    ) -> bool:
        """Take SRTP from an address that has sent no check: a NAT has given the peer another.

        A browser checks a path that works every two and a half seconds only, and knows nothing of
        such a change. What is authentic shows that the peer sends, not that it is there: whether it
        is, is asked of it before anything goes to that address. While the peer is heard where it
        was nothing is looked at. Returns whether it was the peer's.
        """
        selected = self.ice.selected
        if selected is None or not self.may_have_moved(now):
            return False
        receive = self.intake.receive_rtcp if feedback else self.intake.receive_rtp
        if not receive(inbox, size, now):
            return False
        address = self._hear(socket, endpoint, selected.credentials, now)
        if address is not None:
            self.ice.nominate(address, now)
        return True

    def _hear(
        self, socket: Socket, endpoint: Endpoint, credentials: Credentials, now: float
    ) -> Address | None:
        holder = socket.peers.get(socket.key_of(endpoint))
        if holder is not None and now - holder.heard < self.config.silence_before_reconnecting:
            # Somebody's living address cannot be taken over by a forged source.
            return None
        if holder is not None:
            holder.transport.ice.lose(holder)
        address = Address(self, socket, endpoint, credentials, now)
        gone = self.ice.add(address)
        if gone is not None:
            gone.socket.peers.pop(gone.key, None)
        socket.peers[address.key] = address
        return address

    def binding_response(self, data: bytes, address: Address, now: float) -> None:
        self.ice.check_answered(address, data, now)

    # -- DTLS ----------------------------------------------------------------------------------

    def dtls_received(self, data: bytes, address: Address, now: float) -> None:
        """Take a DTLS datagram from a validated address."""
        if not self._association.may_take(now):
            self.intake.drops.excess += 1
            return
        state = self._association.take(data, address, now)
        keys = self._association.keys
        if state is DtlsState.CONNECTED and keys is not None:
            self.outlet.keyed(Srtp(keys.profile, keys.server, inbound=False))
            self.intake.keyed(Srtp(keys.profile, keys.client, inbound=True))
            # The peer answered what was sent here, so this address is the peer's.
            address.heard = now
            self.ice.confirm(address)
            self.advance(TransportState.CONNECTED, now)
        elif state is DtlsState.CLOSED:
            self.close(now, notify=False)
        elif state is DtlsState.FAILED:
            log.info(
                "dtls handshake failed",
                extra={
                    "participant_id": self.participant_id,
                    "transport_id": self.transport_id,
                },
            )
            self.close(now, notify=False)

    @property
    def srtp_profile(self) -> str | None:
        keys = self._association.keys
        return keys.profile.decode("ascii") if keys is not None else None

    # -- time ----------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Do what is due: DTLS repeats, path checks, liveness, key-frame requests, reports."""
        config = self.config
        if self.state is TransportState.CONNECTING:
            if not self._association.tick(now):
                self.close(now, notify=False)
            return
        self.ice.send_check(now)
        self.ice.keep_asking(now)
        self.ice.follow_the_peer(now, config.silence_before_reroute)
        if self.ice.selected is not self._path:
            self._path = self.ice.selected
            self.estimate.moved(now)
        heard = self.ice.last_heard()
        silence = now - heard if heard is not None else config.silence_before_closing + 1
        if silence > config.silence_before_closing:
            self.close(now, notify=False)
            return
        quiet = silence > config.silence_before_reconnecting or self._is_unheard(now)
        self.advance(TransportState.RECONNECTING if quiet else TransportState.CONNECTED, now)
        self.intake.allow(now)
        for publication in self.publications.values():
            for layer in publication.layers.values():
                layer.repeat_key_request(now)
                layer.ask_again(now)
                layer.measure(now)
        for slot in self.slots_by_ssrc.values():
            slot.measure(now)
        self.outlet.tick(now)
        self.probe(now)
        if now >= self.feedback_due:
            self.feedback_due = now + config.feedback_interval
            for message in self.intake.transport_feedback():
                self.outlet.send_rtcp(message)
        if now >= self.reports_due:
            self.reports_due = now + config.report_interval
            self._send_receiver_reports(now)
        for slot in self.slots_by_ssrc.values():
            if slot.layer is not None and now >= slot.report_due:
                self._send_sender_report(slot, now)

    @property
    def pads(self) -> bool:
        """Whether `probe` is wanted more often than `tick` comes."""
        return self.live and self._probing.pads

    def probe(self, now: float) -> None:
        """Find out whether the line carries more, if more is wanted."""
        self._probing.tick(self.all_slots(), starved=self.starved, now=now)

    def _is_unheard(self, now: float) -> bool:
        """Whether nothing shows any more that what is sent arrives: no answer, no feedback."""
        return self.ice.is_unheard and self.estimate.is_untold(now)

    def _send_receiver_reports(self, now: float) -> None:
        reports = [
            report
            for publication in self.publications.values()
            for layer in publication.layers.values()
            if (report := layer.reception_report(now)) is not None
        ]
        if reports:
            self.outlet.send_rtcp(
                receiver_report(self.outlet.feedback_ssrc, reports[:31])
                + source_description(self.outlet.feedback_ssrc, self.cname)
            )

    def _send_sender_report(self, slot: Slot, now: float) -> None:
        info = slot.sender_info(now, self.owner.epoch)
        if info is not None:
            slot.report_due = now + self.config.report_interval
            self.outlet.send_rtcp(sender_report(info) + source_description(slot.ssrc, slot.cname))

    @property
    def cname(self) -> str:
        return f"relay-{self.origin_id:x}"
