"""What a widget's message means: the command it becomes, who answers it, and when."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from actors.session import guests
from actors.session.commands import SHOWN, command_of, join_staff, reduces
from actors.session.connection import Connection
from actors.session.live import LiveSession, new_id
from actors.session.person import Person, encode_body
from actors.session.repeats import asked_by, request_mark
from broker.close_codes import CloseCode
from broker.commands import (
    AcceptInvitation,
    Command,
    FailInvitation,
    JoinGuest,
)
from broker.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Internal,
    Malformed,
    SwitchboardError,
    TooFast,
    Unavailable,
)
from broker.ids import normal_id
from broker.messages import decode_client_message
from broker.messages.client import (
    ClientMessage,
    ColleagueAsk,
    ColleagueDecline,
    ColleagueList,
    ConflictAdmit,
    ConflictDismiss,
    ConnectionHello,
    ConnectionPing,
    EngagementUpdate,
    GuestInvite,
    InvitationAccept,
    InvitationDecline,
    InvitationTrouble,
    MediaClose,
    MediaOffer,
    MediaPublish,
    MediaReport,
    MediaView,
    SessionJoin,
    SessionStart,
    SurfaceUpdate,
)
from broker.messages.cluster.tenure import Subject
from broker.messages.facts import (
    ColleagueListed,
    GuestInvited,
    MediaAnswer,
    RequestDone,
    RequestRefused,
)
from broker.messages.parts import ColleagueView
from broker.tracing import Span
from broker.words import PublishSource, Role

_LOG = logging.getLogger(__name__)
MALFORMED_LIMIT = 20
_FATAL = frozenset({"no_webrtc"})
"""Troubles with which nobody can take part from a surface."""


class Requests:
    """Handles the messages of all connections of one session."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._span: Span | None = None
        """Of the message that is being handled; it ends with its answer."""

    def handle(
        self, person: Person, connection: Connection, data: bytes, trace: str | None = None
    ) -> None:
        """Handle one message as it came; whatever is wrong with it stays with its sender."""
        request_id: str | None = None
        try:
            message = decode_client_message(data)
            request_id = getattr(message, "id", None)
            if request_id is not None:
                seen, reply = person.remembered_reply(request_id)
                if seen:
                    if reply is not None:
                        person.tell(reply, only=connection)
                    return
                if self._session.frozen:
                    # Whoever continues the session would not know of it.
                    raise Unavailable(ErrorCode.SESSION_AWAY, "The session is moving.")
                person.begin_request(request_id)
                if self._was_done(person, connection, message, request_id):
                    return
            traces = self._session.config.traces
            if trace is None or traces is None:
                self._dispatch(person, connection, message)
            else:
                facts = {"message": message.type}
                self._span = traces.begin("session.request", "server", trace, **facts)
                with self._session.within(self._span):
                    self._dispatch(person, connection, message)
                if request_id is None:
                    self._span.end()
        except SwitchboardError as error:
            self._refuse(person, connection, request_id, error)
        except Exception:
            # A mistake of ours must cost its sender one request, and nobody a connection.
            _LOG.exception("request failed", extra={"session_id": self._session.session_id})
            mistake = Internal(ErrorCode.INTERNAL, "Something went wrong on our side.")
            self._refuse(person, connection, request_id, mistake)
        finally:
            self._span = None

    def _was_done(
        self, person: Person, connection: Connection, message: ClientMessage, request_id: str
    ) -> bool:
        """Answer what an earlier tenure did, and died before it could say so.

        Of a guest link the answer is made of the request, whoever made the link.
        """
        session = self._session
        if isinstance(message, GuestInvite) or not session.did(request_mark(person, request_id)):
            return False
        done = RequestDone(reply_to=request_id)
        session.after_durable(self._answer(person, connection, request_id, done))
        return True

    def _dispatch(self, person: Person, connection: Connection, message: ClientMessage) -> None:
        match message:
            case MediaOffer():
                self._offer(person, connection, message)
            case MediaPublish():
                self._publish(person, connection, message)
            case MediaView():
                self._session.media.view(person.participant_id, connection.widget_id, message)
            case MediaClose():
                self._session.media.close_transport(person.participant_id, message.transport_id)
            case MediaReport():
                self._session.media.report(person.participant_id, message)
            case SurfaceUpdate():
                changed = connection.visible != message.visible
                connection.visible = message.visible
                if connection.ringing and changed:
                    person.require_pace(self._session.now_ms())
                    self._session.visibility_changed()
            case InvitationTrouble():
                self._note_trouble(person, connection, message.trouble)
            case EngagementUpdate():
                if normal_id(message.engagement.account_id) != self._session.account_id:
                    raise Forbidden(ErrorCode.NOT_PERMITTED, "That is another account's.")
                self._session.checkpoints.engagement_changed(person, message.engagement)
            case GuestInvite():
                self._invite_guest(person, connection, message)
            case ColleagueList():
                self._list_colleagues(person, connection, message.id)
            case ColleagueAsk():
                done = self._answer(
                    person, connection, message.id, RequestDone(reply_to=message.id)
                )
                refused = self._refusing(person, connection, message.id)
                self._session.asking.ask(person, message.agent_id, done, refused)
            case ConflictAdmit():
                self._admit(person, connection, message)
            case ConflictDismiss():
                self._session.conflicts.dismiss(person.participant_id, message.conflict_id)
                self._answer(person, connection, message.id, RequestDone(reply_to=message.id))()
            case InvitationAccept() | InvitationDecline() if self._was_let_in(person):
                self._answer_admission(person, connection, message)
            case SessionJoin():
                join = join_staff(person, message.way, self._session.engagement_key)
                self._command(person, connection, message.id, join)
            case ConnectionHello() | ConnectionPing() | SessionStart() | ColleagueDecline():
                raise Conflict(ErrorCode.ALREADY_LIVE, "You are in a session already.")
            case InvitationDecline():
                self._decline(person, connection, message)
            case _:
                self._command(
                    person, connection, message.id, command_of(person, connection, message)
                )

    def _command(
        self,
        person: Person,
        connection: Connection,
        request_id: str,
        command: Command,
        subjects: Sequence[Subject] = (),
    ) -> None:
        if isinstance(command, AcceptInvitation):
            connection.answered = True
            # Who they are may have been proved since they rang.
            subjects = [person.subject()]
        reducing = reduces(command)
        # What reduces needs no pace: it undoes something that had one, or can be done once.
        if not reducing or isinstance(command, SHOWN):
            person.require_pace(self._session.now_ms())
        self._session.do(
            command,
            widens=not reducing,
            subjects=subjects,
            reply=self._answer(person, connection, request_id, RequestDone(reply_to=request_id)),
            mark=request_mark(person, request_id),
        )

    def _decline(self, person: Person, connection: Connection, message: InvitationDecline) -> None:
        """Decline; why stands beside the journal, and nowhere if it could not be declined."""
        command = command_of(person, connection, message)
        before, person.decline_reason = person.decline_reason, message.reason
        try:
            self._command(person, connection, message.id, command, [person.subject()])
        except SwitchboardError:
            person.decline_reason = before
            raise

    def _note_trouble(self, person: Person, connection: Connection, trouble: str) -> None:
        """Show what stands in the way; where nothing that rings could answer, it has failed."""
        session = self._session
        if person.principal.role is not Role.CONSUMER:
            return
        person.require_pace(session.now_ms())
        person.trouble = connection.trouble = trouble
        ringing = [each for each in person.connections.values() if each.ringing]
        is_consumer = person.participant_id == session.decided.consumer_id
        if is_consumer and ringing and all(each.trouble in _FATAL for each in ringing):
            session.do(FailInvitation(trouble), widens=False)
        else:
            session.visibility_changed()

    def _admit(self, person: Person, connection: Connection, message: ConflictAdmit) -> None:
        session = self._session
        person.require_pace(session.now_ms())
        claim, invite = session.conflicts.admission(
            person.participant_id, message.conflict_id, new_id()
        )

        def ring() -> None:
            session.conflicts.admitted(claim)
            session.ring_waiting(claim)

        session.do(
            invite,
            reply=self._answer(person, connection, message.id, RequestDone(reply_to=message.id)),
            then=ring,
            mark=request_mark(person, message.id),
        )

    def _list_colleagues(self, person: Person, connection: Connection, request_id: str) -> None:
        def listed(colleagues: list[ColleagueView]) -> None:
            reply = ColleagueListed(reply_to=request_id, seq=0, colleagues=colleagues)
            self._answer(person, connection, request_id, reply)()

        self._session.asking.list(person, listed, self._refusing(person, connection, request_id))

    def _refusing(
        self, person: Person, connection: Connection, request_id: str
    ) -> Callable[[SwitchboardError], None]:
        span = self._span

        def refuse(error: SwitchboardError) -> None:
            self._refuse(person, connection, request_id, error, span)

        return refuse

    def _was_let_in(self, person: Person) -> bool:
        return self._session.conflicts.link_of(person.principal.claim_hash) is not None

    def _answer_admission(
        self,
        person: Person,
        connection: Connection,
        message: InvitationAccept | InvitationDecline,
    ) -> None:
        """Take the answer of somebody who was let in beside the consumer."""
        link_id = message.invitation_id
        if isinstance(message, InvitationDecline):
            command: Command = self._session.conflicts.decline(person, link_id)
        else:
            command = JoinGuest(
                person.participant_id, link_id, message.mode, person.principal.verified
            )
            connection.answered = True
        self._command(person, connection, message.id, command)

    def _offer(self, person: Person, connection: Connection, offer: MediaOffer) -> None:
        session = self._session
        if offer.epoch != session.epoch:
            raise Conflict(ErrorCode.STALE_EPOCH, "The session has moved; use its new epoch.")
        if not person.offers.take(session.now_ms()):
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many offers; wait a little.")
        participant = session.decided.participants.get(person.participant_id)
        if participant is None or not participant.inside:
            if not session.decided.may_answer(person.participant_id):
                raise Conflict(ErrorCode.NOT_IN_SESSION, "You are not in this session.")
            # It rings: the connection may stand before the answer, without any right. One is
            # enough: of several surfaces that ring the newest has it.
            session.media.close_others(person.participant_id, offer.transport_id)
        sdp = session.media.answer(
            person.participant_id,
            connection.widget_id,
            offer,
            session.rights(person.participant_id),
            person.published,
        )
        person.opener = None
        answer = MediaAnswer(
            reply_to=offer.id,
            seq=0,
            transport_id=offer.transport_id,
            epoch=session.epoch,
            sdp=sdp,
        )
        send = self._answer(person, connection, offer.id, answer)
        of = person.participant_id, connection.widget_id
        session.after_durable(session.media.answering(*of, send))

    def _publish(self, person: Person, connection: Connection, message: MediaPublish) -> None:
        sources = {
            PublishSource.MICROPHONE: message.microphone,
            PublishSource.CAMERA: message.camera,
            PublishSource.SCREEN: message.screen,
        }
        self._session.publishing.say(person, sources)
        self._session.media.settle(person.participant_id)
        if message.id is not None:
            self._answer(person, connection, message.id, RequestDone(reply_to=message.id))()

    def _invite_guest(self, person: Person, connection: Connection, message: GuestInvite) -> None:
        session = self._session
        person.require_pace(session.now_ms())
        link = guests.new_link(
            asked_by(person, message.id),
            session.config.trunk_key,
            person.participant_id,
            message.uses,
            message.expires_in_s,
            session.config.public_url,
        )
        reply = GuestInvited(
            reply_to=message.id,
            seq=0,
            guest_invitation_id=link.command.guest_invitation_id,
            url=link.url,
            expires_in_ms=link.command.expires_in_ms,
        )
        answer = self._answer(person, connection, message.id, reply)
        guests.invite(session, link, message.name, answer)

    def _answer(
        self,
        person: Person,
        connection: Connection,
        request_id: str,
        reply: RequestDone | RequestRefused | MediaAnswer | GuestInvited | ColleagueListed,
    ) -> Callable[[], None]:
        span = self._span

        def send() -> None:
            body = encode_body(reply)
            person.finish_request(request_id, body)
            person.tell(body, only=connection)
            if span is not None:
                span.end()

        return send

    def _refuse(
        self,
        person: Person,
        connection: Connection,
        request_id: str | None,
        error: SwitchboardError,
        span: Span | None = None,
    ) -> None:
        span = span or self._span
        if span is not None:
            span.end(str(error.code))
        refusal = RequestRefused(
            reply_to=request_id,
            code=error.code,
            message=error.message,
            retryable=error.retryable,
        )
        body = encode_body(refusal)
        if request_id is not None:
            person.finish_request(request_id, body)
        person.tell(body, only=connection)
        if isinstance(error, Malformed) and request_id is None:
            connection.malformed += 1
            if connection.malformed >= MALFORMED_LIMIT:
                connection.close(CloseCode.MALFORMED, str(ErrorCode.MALFORMED))
