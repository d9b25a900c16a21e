"""Who a trunk's hello is in a session: somebody known, a new guest, staff who join, or nobody."""

from __future__ import annotations

from collections.abc import Callable

from actors.session import guests
from actors.session.commands import join_staff
from actors.session.live import LiveSession, new_id
from actors.session.person import Person, seen_here
from broker import consumer
from broker.commands import JoinGuest
from broker.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Gone,
    NotFound,
    SwitchboardError,
    Unavailable,
)
from broker.messages.cluster.trunk import Principal, TrunkHello
from broker.state import STAFF
from broker.words import Attendance, Role, SessionPhase, Way


def admit(session: LiveSession, hello: TrunkHello, ready: Callable[[Person], None]) -> None:
    """Find who says hello, or let them join; `ready` is called once they may be connected.

    Raises:
        SwitchboardError: they may not enter.
    """
    if hello.way is not None and hello.principal.role in STAFF:
        _join_staff(session, hello, hello.way, ready)
        return
    person = _find_person(session, hello)
    if person is not None:
        session.comings.require_pace_of_return(person)
        ready(person)
    else:
        _join_guest(session, hello, ready)


def require_session(session: LiveSession | None, hello: TrunkHello) -> LiveSession:
    """Return the session this hello may enter.

    Raises:
        NotFound, Gone, Unavailable, Conflict, Forbidden: it is not here, over, moving, under
            another epoch, or another account's.
    """
    if session is None or session.session_id != hello.session_id:
        raise NotFound(ErrorCode.UNKNOWN_SESSION, "That session is not here.")
    if session.decided.phase is SessionPhase.ENDED:
        raise Gone(ErrorCode.SESSION_ENDED, "This session has ended.")
    if session.frozen:
        raise Unavailable(ErrorCode.SESSION_AWAY, "The session is moving.")
    if session.epoch != hello.epoch:
        raise Conflict(ErrorCode.STALE_EPOCH, "The session has moved.")
    if hello.principal.account_id != session.account_id:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "This session belongs to another account.")
    return session


def _find_person(session: LiveSession, hello: TrunkHello) -> Person | None:
    """Return who this is; `None` for a guest who is new.

    Raises:
        Forbidden: not somebody of this session.
    """
    principal = hello.principal
    if principal.participant_id is not None:
        person = session.people.get(principal.participant_id)
        if person is None or person.principal.role is not principal.role:
            raise NotFound(ErrorCode.UNKNOWN_PARTICIPANT, "You are not in this session.")
        _require_not_gone(session, person)
        person.recognise(principal)
        return person
    match principal.role:
        case Role.AGENT | Role.SUPERVISOR:
            person = session.people.of_agent(principal.agent_id, principal.role)
            if person is None:
                raise Conflict(
                    ErrorCode.ALREADY_LIVE, "Another agent holds a session on this engagement."
                )
            _require_not_gone(session, person)
            return person
        case Role.CONSUMER:
            return _find_consumer(session, principal, hello)
        case Role.GUEST:
            return None


def _require_not_gone(session: LiveSession, person: Person) -> None:
    participant = session.decided.participants.get(person.participant_id)
    if (
        participant is not None
        and participant.attendance is Attendance.LEFT
        and participant.role is not Role.CONSUMER
    ):
        # Gone, so that who comes back by a resume token starts anew by the other token.
        raise Gone(ErrorCode.NOT_IN_SESSION, "You have left this session.")


def _find_consumer(session: LiveSession, principal: Principal, hello: TrunkHello) -> Person:
    claim = principal.claim_hash
    if claim is None:
        raise Forbidden(ErrorCode.CONSUMER_CONFLICT, "This connection has no claim.")
    person = session.people.of_claim(claim)
    if person is not None:
        person.recognise(principal)
    # Who proved it on one surface need not do so on the others.
    verified = (person.principal if person is not None else principal).verified
    known_as = None if person is None else person.participant_id
    may_ring = consumer.may_come(session.decided, known_as, claim, verified=verified)
    if not may_ring and not _was_admitted(session, person, principal):
        session.conflicts.noticed(hello, new_id())
        raise Forbidden(
            ErrorCode.CONSUMER_CONFLICT, "Another person is invited on this conversation."
        )
    if person is not None:
        return person
    # The consumer's own page proves no name; what the agent's side calls them serves.
    said = session.ids if may_ring else hello.engagement
    name = principal.name or (said.visitor_name if said else None) or ""
    person = Person(
        participant_id=new_id(),
        principal=principal.model_copy(update={"name": name}),
        engagement=hello.engagement,
    )
    session.people[person.participant_id] = person
    return person


def _was_admitted(session: LiveSession, person: Person | None, principal: Principal) -> bool:
    """Whether an agent let this claimant in, who is on the way or in the session."""
    if session.conflicts.link_of(principal.claim_hash) is not None:
        return True
    known = session.decided.participants.get(person.participant_id) if person else None
    return known is not None and known.inside


def _join_staff(
    session: LiveSession,
    hello: TrunkHello,
    way: Way,
    ready: Callable[[Person], None],
) -> None:
    principal = hello.principal
    known = session.people.of_agent(principal.agent_id, principal.role)
    person = known or Person(participant_id=new_id(), principal=principal)
    person.engagement = seen_here(hello.engagement, session.engagement_key)
    session.people[person.participant_id] = person
    try:
        session.do(
            join_staff(person, way, session.engagement_key),
            subjects=[person.subject()],
            then=lambda: ready(person),
        )
    except SwitchboardError as refusal:
        if known is None:
            del session.people[person.participant_id]
        elif refusal.code is ErrorCode.ALREADY_LIVE:
            _come_again(session, known, ready)
            return
        raise


def _come_again(session: LiveSession, person: Person, ready: Callable[[Person], None]) -> None:
    """Connect somebody who asks to join and has: they did not hear that it worked."""
    session.comings.require_pace_of_return(person)
    session.after_durable(lambda: ready(person))


def _join_guest(
    session: LiveSession,
    hello: TrunkHello,
    ready: Callable[[Person], None],
) -> None:
    principal = hello.principal
    link_id = principal.guest_invitation_id
    if link_id is None:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "A guest needs a link.")
    before = session.people.of_token(hello.token_id)
    if before is not None:
        _require_not_gone(session, before)
        _come_again(session, before, ready)
        return
    person = guests.guest_of(session, principal, new_id())
    person.token_id = hello.token_id
    named = session.people.get(person.participant_id)
    session.people[person.participant_id] = person
    try:
        session.do(
            JoinGuest(person.participant_id, link_id),
            subjects=[person.subject()],
            then=lambda: ready(person),
        )
    except SwitchboardError:
        if named is None:
            del session.people[person.participant_id]
        else:
            session.people[person.participant_id] = named
        raise
