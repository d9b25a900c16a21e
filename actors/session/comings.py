"""People's connections as they come, ring and go, and how long somebody is waited for."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from actors.session.connection import Connection
from actors.session.person import Person, encode_body
from broker.close_codes import CloseCode
from broker.commands import Attach, Detach, Prove, Ring
from broker.errors import ErrorCode, SwitchboardError, Unavailable
from broker.messages.facts import SessionLeft
from broker.state import Participant
from broker.words import Attendance, LeaveReason, Role, SessionPhase

if TYPE_CHECKING:
    from actors.session.live import LiveSession

_LOG = logging.getLogger(__name__)
RING_AGAIN_S = 0.5
CONNECTION_LIMIT = 16
"""Widgets of one person that are connected at once."""
RANG_LIMIT = 16
"""Widgets of one person that rang and are away, which are remembered."""


class Comings:
    """Connects people's widgets with one session, lets the consumer's ring, and sees them go.

    Begun and closed by the session.
    """

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._expected: dict[str, asyncio.TimerHandle] = {}
        """Who is in the lobby, or came in with the session, and has no connection just now."""
        self._unrung: dict[str, asyncio.TimerHandle] = {}
        """Connections that could not ring while the ledger was away, by their ids."""

    def begin(self) -> None:
        """Expect those whom the tenure begins with: nobody has a connection yet."""
        for participant in self._session.decided.participants.values():
            if participant.attendance in (Attendance.PRESENT, Attendance.LOBBY):
                self._expect(participant.participant_id)

    def go_on(self) -> None:
        """Nobody took the session after all: look who went while it decided nothing."""
        for participant_id in tuple(self._session.people):
            self.without_connection(participant_id)

    def without_connection(self, participant_id: str) -> None:
        """Have somebody expected back who has no connection; harmless when they have one.

        Nobody takes part, or waits in the lobby, without a connection or a time at which that ends.
        A frozen session decides nothing; `go_on` looks again.
        """
        session = self._session
        person = session.people.get(participant_id)
        if person is None or person.connections or session.over or session.frozen:
            return
        participant = session.decided.participants.get(participant_id)
        if participant is None:
            self._pass_by(person)
        elif participant.attendance is Attendance.PRESENT:
            session.do(Detach(participant_id), widens=False)
        elif participant.attendance is Attendance.LOBBY:
            self._expect(participant_id)

    def _pass_by(self, person: Person) -> None:
        """Forget who said to be the consumer, never rang, and is gone: anybody can say it, as often
        as they like, each time with another secret."""
        session = self._session
        rang = person.participant_id == session.decided.consumer_id
        if person.principal.role is Role.CONSUMER and not rang:
            if session.conflicts.link_of(person.principal.claim_hash) is None:
                del session.people[person.participant_id]

    def close(self) -> None:
        """Wait for nobody; harmless when closed."""
        for waiting in (self._expected, self._unrung):
            for handle in waiting.values():
                handle.cancel()
            waiting.clear()

    def require_pace_of_return(self, person: Person) -> None:
        """Refuse somebody who goes and comes without end: both are journalled. Raises TooFast."""
        participant = self._session.decided.participants.get(person.participant_id)
        if participant is not None and participant.attendance is Attendance.RECONNECTING:
            person.require_pace(self._session.now_ms())

    def connect(self, person: Person, connection: Connection, last_seq: int | None) -> None:
        """A connection is up: end a grace time, ring, and show what it missed.

        A widget has one: an older connection of the same widget is closed, as what it is told
        nobody hears. Its media belong to the person and go on. One whose hello was held up on the
        way until its widget had given it up is closed itself.
        """
        others = person.connections_of(connection.widget_id)
        if any(each.attempt > connection.attempt for each in others):
            connection.close(CloseCode.REPLACED, str(ErrorCode.REPLACED))
            return
        if len(person.connections) - len(others) >= CONNECTION_LIMIT:
            connection.close(CloseCode.TOO_FAST_OR_SLOW, str(ErrorCode.RATE_LIMITED))
            return
        person.connections[connection.connection_id] = connection
        for older in others:
            self.disconnect(person, older)
            older.close(CloseCode.REPLACED, str(ErrorCode.REPLACED))
        if (expected := self._expected.pop(person.participant_id, None)) is not None:
            expected.cancel()
        participant = self._session.decided.participants.get(person.participant_id)

        widget_id, told = connection.widget_id, person.told
        person.rang.discard(widget_id)
        seq = told.seq

        def show() -> None:
            connection.current, connection.catching_up = True, False
            missed = told.missed_since(last_seq, widget_id) if last_seq else None
            for message in told.alone_since(seq, widget_id) if missed is None else missed:
                connection.send(message)
            if missed is None:
                self._session.show_snapshot(person, only=connection)

        if participant is not None and participant.attendance is not Attendance.LEFT:
            connection.catching_up = True
            self._session.do(Attach(person.participant_id), widens=False, then=show)
            self._prove(person, participant)
        elif person.principal.role is Role.CONSUMER:
            # That it rings no more is among what it missed; it rings anew if it may.
            missed = told.missed_since(last_seq, widget_id) if last_seq else []
            for message in missed or ():
                connection.send(message)
            if missed is None:
                left = SessionLeft(seq=0, reason=LeaveReason.LEFT)
                person.tell(encode_body(left), only=connection)
            self.ring(person, connection)

    def ring(self, person: Person, connection: Connection) -> None:
        """Let one surface of the consumer ring, if an invitation is open for this person."""
        if self._session.conflicts.link_of(person.principal.claim_hash) is not None:
            if not connection.ringing:
                connection.ringing = connection.current = True
                self._session.show_snapshot(person, only=connection)
            return
        invitation = self._session.decided.invitation
        inside = self._session.decided.participants.get(person.participant_id)
        if invitation is None or not invitation.open or (inside is not None and inside.inside):
            return

        def show() -> None:
            now = self._session.durable.invitation
            if (
                now is not None
                and now.open
                and now.invitation_id == invitation.invitation_id
                and not connection.ringing
            ):
                connection.ringing = connection.current = True
                self._session.show_snapshot(person, only=connection)

        def tell() -> None:
            show()
            if connection.ringing and not rang:
                self._session.visibility_changed()

        rang = connection.ringing
        try:
            self._session.do(
                Ring(
                    person.participant_id,
                    connection.surface,
                    person.principal.claim_hash,
                    person.principal.verified,
                ),
                subjects=[person.subject()],
                then=tell,
            )
            # It is the invitation that makes it ring, not what is saved of its ringing.
            show()
        except Unavailable:
            # It rings as soon as it can be saved that it does.
            self._ring_later(person, connection)
        except SwitchboardError as refusal:
            _LOG.info(
                "ring refused", extra={"session_id": self._session.session_id, "code": refusal.code}
            )

    def _prove(self, person: Person, participant: Participant) -> None:
        """Show that somebody who is in the session has proved who they are since."""
        if person.principal.verified and not participant.verified:
            prove = Prove(person.participant_id)
            self._session.do(prove, widens=False, subjects=[person.subject()])
            person.unkept = False

    def disconnect(self, person: Person, connection: Connection) -> None:
        """A connection is gone; when it was the last, the person is expected back."""
        if person.connections.get(connection.connection_id) is not connection or self._session.over:
            return
        del person.connections[connection.connection_id]
        if person.opener == connection.connection_id:
            person.opener = None
        if self._session.frozen:
            return
        if connection.ringing:
            if len(person.rang) < RANG_LIMIT and not person.connections_of(connection.widget_id):
                person.rang.add(connection.widget_id)
            self._session.visibility_changed()
        self.without_connection(person.participant_id)

    def _ring_later(self, person: Person, connection: Connection) -> None:
        def again() -> None:
            del self._unrung[connection.connection_id]
            if (
                person.connections.get(connection.connection_id) is connection
                and not self._session.over
            ):
                self.ring(person, connection)

        if connection.connection_id not in self._unrung:
            self._unrung[connection.connection_id] = asyncio.get_running_loop().call_later(
                RING_AGAIN_S, again
            )

    def _expect(self, participant_id: str) -> None:
        """Wait for the grace time. It keeps a place in the lobby: a reload must not use up a guest
        link; and it lets whoever a session was started for come without a word in the journal.
        """
        if participant_id not in self._expected:
            self._expected[participant_id] = asyncio.get_running_loop().call_later(
                self._session.decided.policy.reconnect_grace_ms / 1000,
                self._on_not_there,
                participant_id,
            )

    def _on_not_there(self, participant_id: str) -> None:
        del self._expected[participant_id]
        session = self._session
        if not session.over and not session.frozen and session.decided.phase is SessionPhase.OPEN:
            session.do(Detach(participant_id), widens=False)
