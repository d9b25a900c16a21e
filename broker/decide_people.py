"""The rules about people: coming, going, rights, ownership."""

from __future__ import annotations

from broker.commands import (
    Admit,
    Attach,
    Detach,
    Grant,
    HandOver,
    Leave,
    Prove,
    RefuseEntry,
    Remove,
    SetMode,
    Start,
)
from broker.errors import Conflict, ErrorCode, Forbidden, NotFound, TooFast
from broker.events import (
    AnyEvent,
    CapabilitiesChanged,
    InvitationSent,
    ModeChanged,
    OwnerChanged,
    ParticipantAdmitted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantReconnecting,
    ParticipantReturned,
    ParticipantVerified,
    SessionStarted,
)
from broker.rights import (
    initial_capabilities,
    require_agent,
    require_capability,
    require_inside,
    require_other,
)
from broker.state import Participant, SessionState
from broker.words import Attendance, Capability, LeaveReason, Mode, Role, Way

Events = tuple[AnyEvent, ...]


def ordered(capabilities: frozenset[Capability]) -> tuple[Capability, ...]:
    """Put capabilities in the order of their definition, so that journals compare."""
    return tuple(capability for capability in Capability if capability in capabilities)


def start(state: SessionState, command: Start, now_ms: int) -> Events:
    """The first three events of every session."""
    return (
        SessionStarted(
            at_ms=now_ms,
            session_id=command.session_id,
            account_id=command.account_id,
            engagement_key=command.engagement_key,
            mode=command.mode,
            owner_id=command.owner_id,
            monitoring=state.policy.silent_monitoring,
            policy=state.policy.to_mapping(),
        ),
        joined(
            state, command.owner_id, Role.AGENT, command.mode, now_ms, verified=command.verified
        ),
        InvitationSent(
            at_ms=now_ms,
            invitation_id=command.invitation_id,
            mode=command.mode,
            by=command.owner_id,
            expires_ms=now_ms + state.policy.invitation_ms,
        ),
    )


def joined(
    state: SessionState,
    participant_id: str,
    role: Role,
    mode: Mode,
    now_ms: int,
    *,
    verified: bool,
    lobby: bool = False,
    guest_invitation_id: str | None = None,
    way: Way = Way.JOIN,
) -> ParticipantJoined:
    """Build the event of somebody coming in with the rights of their role and way.

    Without those that were taken from them before: going and coming again gives nothing back.
    Whoever is in charge from now on has them all.
    """
    before = state.participants.get(participant_id)
    withdrawn = before.withdrawn if before is not None and way is not Way.TAKE_OVER else frozenset()
    return ParticipantJoined(
        at_ms=now_ms,
        participant_id=participant_id,
        role=role,
        mode=mode,
        capabilities=ordered(initial_capabilities(role, state.policy, way) - withdrawn),
        verified=verified,
        lobby=lobby,
        guest_invitation_id=guest_invitation_id,
        way=way,
    )


def require_room(state: SessionState) -> None:
    """Refuse when the session's limit is reached. Not a failure: somebody may leave."""
    if state.count_inside() >= state.policy.participant_limit:
        raise TooFast(
            ErrorCode.SESSION_FULL,
            f"This session is full: at most {state.policy.participant_limit} people.",
        )


def require_lobby(state: SessionState) -> None:
    """Refuse when as many wait as the session could hold."""
    waiting = sum(1 for p in state.participants.values() if p.attendance is Attendance.LOBBY)
    if waiting >= state.policy.participant_limit:
        raise TooFast(ErrorCode.SESSION_FULL, "Too many people are waiting already.")


def require_target(state: SessionState, participant_id: str) -> Participant:
    """Return somebody else who takes part; who is hidden is nobody's to act on."""
    person = require_other(state, participant_id)
    if not person.inside or person.hidden:
        raise NotFound(ErrorCode.UNKNOWN_PARTICIPANT, "There is nobody here by that id.")
    return person


def attach(state: SessionState, command: Attach, now_ms: int) -> Events:
    """A connection for somebody known: the end of a grace time, or one more surface."""
    person = require_other(state, command.participant_id)
    if person.attendance is Attendance.RECONNECTING:
        return (ParticipantReturned(at_ms=now_ms, participant_id=person.participant_id),)
    return ()


def detach(state: SessionState, command: Detach, now_ms: int) -> Events:
    """The last connection is gone. Who waited in the lobby is out; others may come back."""
    person = state.participants.get(command.participant_id)
    match None if person is None else person.attendance:
        case Attendance.PRESENT:
            return (ParticipantReconnecting(at_ms=now_ms, participant_id=command.participant_id),)
        case Attendance.LOBBY:
            return (left(command.participant_id, LeaveReason.LEFT, now_ms),)
        case _:
            return ()


def prove(state: SessionState, command: Prove, now_ms: int) -> Events:
    """Mark somebody who takes part, or waits to, as verified; once is enough."""
    person = require_other(state, command.participant_id)
    if person.verified:
        return ()
    return (ParticipantVerified(at_ms=now_ms, participant_id=person.participant_id),)


def admit(state: SessionState, command: Admit, now_ms: int) -> Events:
    """Let somebody in."""
    require_capability(state, command.by, Capability.ADMIT)
    person = require_other(state, command.participant_id)
    if person.attendance is not Attendance.LOBBY:
        raise Conflict(ErrorCode.ALREADY_LIVE, "That person is in the session already.")
    require_room(state)
    return (
        ParticipantAdmitted(at_ms=now_ms, participant_id=command.participant_id, by=command.by),
    )


def refuse_entry(state: SessionState, command: RefuseEntry, now_ms: int) -> Events:
    """Send somebody in the lobby away."""
    require_capability(state, command.by, Capability.ADMIT)
    person = require_other(state, command.participant_id)
    if person.attendance is not Attendance.LOBBY:
        raise Conflict(ErrorCode.ALREADY_LIVE, "That person is in the session already.")
    return (left(command.participant_id, LeaveReason.NOT_ADMITTED, now_ms, command.by),)


def remove(state: SessionState, command: Remove, now_ms: int) -> Events:
    """Remove somebody; the owner cannot be removed, only followed by a hand-over."""
    require_capability(state, command.by, Capability.MODERATE)
    person = require_target(state, command.participant_id)
    if person.participant_id == state.owner_id:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "The owner of the session cannot be removed.")
    return (left(command.participant_id, LeaveReason.REMOVED, now_ms, command.by),)


def grant(state: SessionState, command: Grant, now_ms: int) -> Events:
    """Set somebody's capabilities; nobody gives what they do not have."""
    may_give = require_capability(state, command.by, Capability.MODERATE)
    person = require_target(state, command.participant_id)
    if person.participant_id == state.owner_id and command.by != state.owner_id:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "The owner's rights cannot be changed.")
    gained = command.capabilities - person.capabilities
    if not gained <= may_give:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "You cannot give a right you do not have.")
    if command.capabilities == person.capabilities:
        return ()
    return (
        CapabilitiesChanged(
            at_ms=now_ms,
            participant_id=command.participant_id,
            capabilities=ordered(command.capabilities),
            by=command.by,
        ),
    )


def set_mode(state: SessionState, command: SetMode, now_ms: int) -> Events:
    """Voice only, or video again."""
    person = require_inside(state, command.participant_id)
    if person.hidden:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "Whoever listens unseen gets sound only.")
    if person.mode is command.mode:
        return ()
    return (ModeChanged(at_ms=now_ms, participant_id=command.participant_id, mode=command.mode),)


def hand_over(state: SessionState, command: HandOver, now_ms: int) -> Events:
    """The owner, or nobody while the owner is away, makes another agent the owner."""
    require_agent(state, command.by)
    owner = state.participants.get(state.owner_id)
    if command.by != state.owner_id and owner is not None and owner.inside:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "Only the owner may hand the session over.")
    target = require_target(state, command.participant_id)
    if target.role is not Role.AGENT:
        raise Conflict(ErrorCode.NOT_PERMITTED, "A session can be handed only to an agent.")
    if target.participant_id == state.owner_id:
        return ()
    return in_charge(state, command.participant_id, command.by, now_ms)


def in_charge(state: SessionState, participant_id: str, by: str, now_ms: int) -> Events:
    """Make an agent the owner, with every right, whatever was taken from them before."""
    changed = OwnerChanged(at_ms=now_ms, participant_id=participant_id, by=by)
    rights = initial_capabilities(Role.AGENT, state.policy)
    person = state.participants.get(participant_id)
    if person is None or not person.inside or person.capabilities == rights:
        # Who comes in anew has them by coming in (`joined`).
        return (changed,)
    granted = CapabilitiesChanged(
        at_ms=now_ms, participant_id=participant_id, capabilities=ordered(rights), by=by
    )
    return (changed, granted)


def leave(state: SessionState, command: Leave, now_ms: int) -> Events:
    """Go; the session goes on for those who stay."""
    require_other(state, command.participant_id)
    return (left(command.participant_id, LeaveReason.LEFT, now_ms),)


def left(
    participant_id: str, reason: LeaveReason, now_ms: int, by: str | None = None
) -> ParticipantLeft:
    """Build the event of somebody being out."""
    return ParticipantLeft(at_ms=now_ms, participant_id=participant_id, reason=reason, by=by)
