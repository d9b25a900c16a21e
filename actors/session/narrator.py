"""Tells people what happened: each durable event becomes messages to those it concerns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, assert_never

from actors.session import guests, views
from actors.session.connection import Connection
from actors.session.media import limits
from actors.session.person import Person, encode_body
from actors.session.roster import RosterWriter
from broker.close_codes import CloseCode
from broker.decide import Muted, Said, ScreenAsked, Signal
from broker.events import (
    AnyEvent,
    CapabilitiesChanged,
    ConsumerChanged,
    GuestExpired,
    GuestInvited,
    GuestRevoked,
    InvitationAccepted,
    InvitationCancelled,
    InvitationDeclined,
    InvitationExpired,
    InvitationFailed,
    InvitationRinging,
    InvitationSent,
    ModeChanged,
    OwnerChanged,
    ParticipantAdmitted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantReconnecting,
    ParticipantReturned,
    ParticipantVerified,
    QualityMeasured,
    SessionEnded,
    SessionStarted,
    WayChanged,
)
from broker.messages.facts import (
    GuestsChanged,
    InvitationChanged,
    InvitationElsewhere,
    ParticipantMuted,
    RightsChanged,
    ScreenRequested,
    SessionLeft,
    SessionMoving,
    SessionSaving,
    SessionSnapshot,
    TextSaid,
)
from broker.messages.facts import SessionEnded as SessionEndedFact
from broker.messages.parts import SeatAssignment
from broker.state import STAFF, SessionState
from broker.words import Attendance, Capability, LeaveReason, PublishSource, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.session.live import LiveSession


class Narrator:
    """The voice of one live session."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._rosters = RosterWriter()
        self._roster_due = False
        self._public_roster = b""
        """What those outside the staff were told last: what is hidden from them moves nothing."""

    def tell(self, event: AnyEvent, before: SessionState, after: SessionState) -> None:
        """Tell what one event, now durable, made of the session."""
        match event:
            case SessionStarted() | QualityMeasured():
                pass
            case GuestInvited():
                self.guests()
            case GuestRevoked() | GuestExpired():
                self.guests()
                link = before.guest_links.get(event.guest_invitation_id)
                if link is not None:
                    self._session.conflicts.on_link_closed(link)
                guests.forget(self._session, event.guest_invitation_id)
            case InvitationSent():
                self.invitation_changed()
                self._ring_everywhere()
            case InvitationRinging():
                self.invitation_changed(to_consumer=False)
            case ConsumerChanged():
                self._displaced(before.consumer_id)
            case InvitationAccepted():
                self.invitation_changed()
                self._answered(event)
            case (
                InvitationDeclined()
                | InvitationExpired()
                | InvitationCancelled()
                | InvitationFailed()
            ):
                self.invitation_changed()
                self._stop_ringing()
            case ParticipantJoined():
                self._joined(event)
            case ParticipantAdmitted():
                self.snapshot(self._session.people[event.participant_id])
                self.roster_changed()
            case (
                ParticipantReconnecting()
                | ParticipantReturned()
                | ParticipantVerified()
                | OwnerChanged()
            ):
                self.roster_changed()
            case ParticipantLeft():
                self._left(event)
            case CapabilitiesChanged() | ModeChanged() | WayChanged():
                self._rights(event.participant_id)
                self.roster_changed()
            case SessionEnded():
                self._ended(event, before)
            case _:
                assert_never(event)

    def signal(self, signal: Signal) -> None:
        """Tell what nobody journals."""
        match signal:
            case Muted(participant_id, by, sources):
                if (person := self._session.people.get(participant_id)) is not None:
                    self._session.publishing.silence(person, sources, by)
                self._session.tell(participant_id, _muted(by, sources))
            case Said(by, text, text_id):
                said = TextSaid(seq=0, participant_id=by, text=text, text_id=text_id)
                self._session.tell(None, said)
            case ScreenAsked(participant_id, by):
                asked = ScreenRequested(seq=0, by_participant_id=by)
                self._session.tell(participant_id, asked)
            case _:
                assert_never(signal)

    def roster_changed(self) -> None:
        """Note that the roster must be told; several changes of one step are told once."""
        if not self._roster_due:
            self._roster_due = True
            asyncio.get_running_loop().call_soon(self.tell_roster)

    def tell_roster(self) -> None:
        """Send a changed roster to all who take part; encoded once for staff, once for others."""
        if not self._roster_due:
            return
        self._roster_due = False
        session = self._session
        whole, public = self._rosters.bodies(session.durable, session.people)
        news = public != self._public_roster
        self._public_roster = public
        for participant in session.durable.inside():
            staff = participant.role in STAFF
            if staff or news:
                session.people[participant.participant_id].tell_roster(whole if staff else public)

    def invitation_changed(self, *, to_consumer: bool = True) -> None:
        """Send the invitation to the staff, and to those surfaces of the consumer that show it."""
        session = self._session
        view = views.invitation_view(session.durable, session.people, session.now_ms())
        if view is None:
            return
        body = encode_body(InvitationChanged(seq=0, invitation=view))
        for participant in session.durable.inside():
            if participant.role in STAFF:
                session.people[participant.participant_id].tell(body)
        consumer = session.people.get(session.durable.consumer_id or "")
        if to_consumer and consumer is not None and self._sees(consumer):
            consumer.tell(body)

    def saving(self, to: Person | None = None, only: Connection | None = None) -> None:
        """Tell the staff, or one of it, whether what was decided is saved."""
        session = self._session
        body = encode_body(SessionSaving(seq=0, saved=session.saved))
        for participant in session.durable.inside():
            asked = to is None or to.participant_id == participant.participant_id
            if participant.role in STAFF and asked:
                session.people[participant.participant_id].tell(body, only=only)

    def moving(self, to: Person | None = None, only: Connection | None = None) -> None:
        """Tell everybody, or one person, by when another actor continues the session."""
        session = self._session
        by_ms = session.moves_by_ms
        within_ms = None if by_ms is None else max(0, by_ms - session.now_ms())
        body = encode_body(SessionMoving(seq=0, within_ms=within_ms))
        for participant in session.durable.inside():
            if to is None or to.participant_id == participant.participant_id:
                session.people[participant.participant_id].tell(body, only=only)

    def guests(self) -> None:
        """Send the open guest links to those who may invite."""
        session = self._session
        body = encode_body(
            GuestsChanged(
                seq=0,
                guest_invitations=views.guest_views(
                    session.durable, session.people, session.now_ms()
                ),
            )
        )
        for participant in session.durable.inside():
            if Capability.INVITE in participant.capabilities:
                session.people[participant.participant_id].tell(body)

    def snapshot(self, person: Person, only: Connection | None = None) -> None:
        """Send the session as this person may see it: outside, no more than the invitation.

        To one of their connections; what goes to all tells that they came in: nobody is seated yet.
        """
        seats = []
        elsewhere = False
        if only is not None:
            seats = self._session.media.seats_of(person.participant_id, only.widget_id)
            elsewhere = self._is_elsewhere(person, only)
        snapshot = self._snapshot(person, seats, elsewhere=elsewhere)
        person.tell(encode_body(snapshot), only=only)
        if not self._session.saved:
            self.saving(person, only)
        if self._session.moves_by_ms is not None:
            self.moving(person, only)
        for by, sources in self._session.publishing.stopped(person).items():
            # A page that was away goes on as it was, unless it hears of it.
            person.tell(encode_body(_muted(by, sources)), only=only)
        self._signals(person, only)

    def _is_elsewhere(self, person: Person, connection: Connection) -> bool:
        """Whether another page of theirs, which is connected, carries their media, or is about to,
        as they began the session there: in that one they stay until a click. A page that was
        reloaded comes back to what it carried itself."""
        carriers = self._session.media.widgets_of(person.participant_id)
        own = {connection.widget_id, connection.former_widget_id}
        if carriers & own:
            return False
        if not carriers and person.opener is not None:
            return person.opener not in own | {connection.connection_id}
        return any(person.connections_of(widget_id) for widget_id in carriers)

    def _snapshot(
        self, person: Person, seats: list[SeatAssignment], *, elsewhere: bool
    ) -> SessionSnapshot:
        session = self._session
        state = session.durable
        participant = state.participants.get(person.participant_id)
        inside = participant is not None and participant.inside
        role = person.principal.role if participant is None else participant.role
        concerned = role in STAFF or role is Role.CONSUMER
        now_ms = session.now_ms()
        rung = person if role is Role.CONSUMER else None
        if participant is None or participant.attendance is Attendance.LEFT:
            attendance = "invited"
        elif participant.attendance is Attendance.LOBBY:
            attendance = "lobby"
        else:
            attendance = "elsewhere" if elsewhere else "present"
        mode = state.mode if participant is None else participant.mode
        return SessionSnapshot(
            seq=0,
            session_id=state.session_id,
            epoch=session.epoch,
            participant_id=person.participant_id,
            role=role,
            mode=mode,
            attendance=attendance,
            capabilities=views.capabilities_of(participant) if participant and inside else [],
            roster=(views.roster(state, session.people, staff=role in STAFF) if inside else []),
            invitation=(
                session.conflicts.invitation(person)
                or views.invitation_view(state, session.people, now_ms, rung)
                if concerned
                else None
            ),
            guest_invitations=(
                views.guest_views(state, session.people, now_ms)
                if participant is not None and Capability.INVITE in participant.capabilities
                else []
            ),
            seats=seats,
            media=limits(session.config, state, now_ms),
            started_ms_ago=max(0, now_ms - state.started_ms),
            conflicts=(
                session.conflicts.views()
                if participant is not None
                and inside
                and Capability.ADMIT in participant.capabilities
                else []
            ),
        )

    def _signals(self, person: Person, only: Connection | None) -> None:
        """Tell beside a snapshot what holds now and was told when it changed: media's signals."""
        session = self._session
        participant = session.durable.participants.get(person.participant_id)
        if participant is None or not participant.inside:
            return
        widget_id = None if only is None else only.widget_id
        for about, signal in session.media.signals_for(person.participant_id, widget_id):
            if views.may_hear(session.durable, participant, about):
                person.tell(encode_body(signal), only=only)

    def _sees(self, consumer: Person) -> bool:
        participant = self._session.durable.participants.get(consumer.participant_id)
        inside = participant is not None and participant.inside
        rings = any(connection.ringing for connection in consumer.connections.values())
        return inside or rings or bool(consumer.rang)

    def _ring_everywhere(self) -> None:
        consumers = (
            each for each in self._session.people.values() if each.principal.role is Role.CONSUMER
        )
        # Who proved it first: the place is theirs before anybody else is shown an invitation.
        for person in sorted(consumers, key=lambda each: not each.principal.verified):
            for connection in tuple(person.connections.values()):
                self._session.comings.ring(person, connection)

    def _answered(self, event: InvitationAccepted) -> None:
        body = encode_body(InvitationElsewhere(seq=0, invitation_id=event.invitation_id))
        self._session.people[event.participant_id].tell_rung(body, also_who_answered=False)

    def _stop_ringing(self) -> None:
        consumer = self._session.people.get(self._session.durable.consumer_id or "")
        if consumer is not None:
            body = encode_body(SessionLeft(seq=0, reason=LeaveReason.LEFT))
            consumer.tell_rung(body, also_who_answered=True)

    def _displaced(self, participant_id: str | None) -> None:
        """Somebody proved to be the consumer: who only said so is a stranger, and waits again."""
        former = self._session.people.get(participant_id or "")
        if former is not None:
            body = encode_body(SessionLeft(seq=0, reason=LeaveReason.LEFT))
            knows = self._sees(former)
            former.part(body if knows else None, CloseCode.NORMAL, "displaced", to_waiting=True)
            former.rang.clear()

    def _joined(self, event: ParticipantJoined) -> None:
        self.roster_changed()
        if event.role is Role.CONSUMER:
            self._rights(event.participant_id)
        elif event.role in STAFF and not event.lobby:
            # Somebody who waited in the lobby and then took over; who is new has no connection.
            self.snapshot(self._session.people[event.participant_id])
        elif event.role is Role.GUEST and not event.lobby:
            self._came_in_at_once(self._session.people[event.participant_id])
        if event.guest_invitation_id is not None:
            self.guests()

    def _came_in_at_once(self, guest: Person) -> None:
        """Whoever was let in as another consumer answered on one surface; the others stop."""
        link_id = self._session.durable.participants[guest.participant_id].guest_invitation_id
        body = encode_body(InvitationElsewhere(seq=0, invitation_id=link_id or ""))
        guest.tell_rung(body, also_who_answered=False)
        self.snapshot(guest)

    def _rights(self, participant_id: str) -> None:
        participant = self._session.durable.participants[participant_id]
        self._session.tell(
            participant_id,
            RightsChanged(
                seq=0,
                mode=participant.mode,
                capabilities=views.capabilities_of(participant),
            ),
        )

    def _left(self, event: ParticipantLeft) -> None:
        person = self._session.people[event.participant_id]
        self._still_unsaved(person, person.principal.role)
        removed = event.reason in (LeaveReason.REMOVED, LeaveReason.NOT_ADMITTED)
        by = event.by if event.reason is LeaveReason.REMOVED else None
        body = encode_body(SessionLeft(seq=0, reason=event.reason, by_participant_id=by))
        _part(person, body, CloseCode.FORBIDDEN if removed else CloseCode.NORMAL, event.reason)
        self.roster_changed()

    def _still_unsaved(self, person: Person, role: Role) -> None:
        """Tell a member of the staff who goes now: nobody could tell them later."""
        if role in STAFF and self._session.saved and not self._session.stored:
            person.tell(encode_body(SessionSaving(seq=0, saved=False)))

    def _ended(self, event: SessionEnded, before: SessionState) -> None:
        session = self._session
        body = encode_body(
            SessionEndedFact(seq=0, session_id=session.session_id, reason=event.reason)
        )
        for person in tuple(session.people.values()):
            participant = before.participants.get(person.participant_id)
            involved = participant is not None and participant.attendance is not Attendance.LEFT
            knows = involved or self._sees(person)
            if participant is not None and involved:
                self._still_unsaved(person, participant.role)
            _part(person, body if knows else None, CloseCode.ENDED, "session_ended")


def _part(person: Person, body: bytes | None, code: int, reason: str) -> None:
    """Take all connections from a person; staff and consumers go back to where they were."""
    role = person.principal.role
    back = role in STAFF or (role is Role.CONSUMER and code != CloseCode.FORBIDDEN)
    person.part(body, code, str(reason), to_waiting=back)


def _muted(by: str, sources: Iterable[PublishSource]) -> ParticipantMuted:
    return ParticipantMuted(seq=0, by_participant_id=by, sources=list(sources))
