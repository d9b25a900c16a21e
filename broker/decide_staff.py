"""The rules about further members of the staff: who comes in which way, and what that changes."""

from __future__ import annotations

from broker.commands import JoinStaff
from broker.decide_people import in_charge, joined, left, ordered, require_lobby, require_room
from broker.errors import Conflict, ErrorCode, Forbidden, TooFast
from broker.events import AnyEvent, WayChanged
from broker.rights import initial_capabilities
from broker.state import HIDDEN_WAYS, Participant, SessionState
from broker.words import Attendance, LeaveReason, Mode, Role, Way

Events = tuple[AnyEvent, ...]

WAYS_OF = {
    Role.AGENT: frozenset({Way.CONSULT, Way.TAKE_OVER}),
    Role.SUPERVISOR: frozenset({Way.JOIN, Way.WHISPER, Way.MONITOR}),
}


def join_staff(state: SessionState, command: JoinStaff, now_ms: int) -> Events:
    """Let a second agent or a supervisor come in, or go on in another way."""
    if command.way not in WAYS_OF.get(command.role, ()):
        raise Forbidden(ErrorCode.NOT_PERMITTED, "There is no such way in for you.")
    if command.way in HIDDEN_WAYS and not state.policy.silent_monitoring:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "Nobody may listen unseen in this session.")
    known = state.participants.get(command.participant_id)
    here = known if known is not None and known.inside else None
    if command.way is Way.TAKE_OVER:
        return _take_over(state, command, here, now_ms)
    if here is not None:
        return _another_way(state, command, here, now_ms)
    if known is not None and known.attendance is Attendance.LOBBY:
        raise Conflict(ErrorCode.ALREADY_LIVE, "You are waiting to be let in already.")
    _require_place(state, command.way)
    return (_come_in(state, command, now_ms),)


def _take_over(
    state: SessionState, command: JoinStaff, here: Participant | None, now_ms: int
) -> Events:
    """Make the agent of a transferred conversation the owner; the agent before them leaves.

    Also without a transfer while the owner is away: somebody must be in charge.
    """
    owner = state.participants.get(state.owner_id)
    before = owner if owner is not None and owner.inside else None
    me = command.participant_id
    if me == state.owner_id and before is not None:
        raise Conflict(ErrorCode.ALREADY_LIVE, "You are in charge already.")
    if before is not None and not command.chatting:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "The conversation is another agent's.")
    comes = () if here is not None else (_come_in(state, command, now_ms),)
    changed = in_charge(state, me, me, now_ms)
    if before is None:
        if comes:
            require_room(state)
        return (*comes, *changed)
    # The place of who leaves is the place of who comes: a full session can be taken over, too.
    goes = left(before.participant_id, LeaveReason.TRANSFERRED, now_ms, me)
    return (*comes, *changed, goes)


def _another_way(state: SessionState, command: JoinStaff, here: Participant, now_ms: int) -> Events:
    if here.role is not Role.SUPERVISOR or here.way is command.way:
        raise Conflict(ErrorCode.ALREADY_LIVE, "You are in this session already.")
    if here.hidden:
        _require_place(state, command.way)
    capabilities = initial_capabilities(here.role, state.policy, command.way) - here.withdrawn
    return (
        WayChanged(
            at_ms=now_ms,
            participant_id=command.participant_id,
            way=command.way,
            mode=_mode(state, command.way),
            capabilities=ordered(capabilities),
        ),
    )


def _come_in(state: SessionState, command: JoinStaff, now_ms: int) -> AnyEvent:
    return joined(
        state,
        command.participant_id,
        command.role,
        _mode(state, command.way),
        now_ms,
        verified=command.verified,
        lobby=_waits(state, command.way),
        way=command.way,
    )


def _mode(state: SessionState, way: Way) -> Mode:
    # Whoever is hidden gets sound only: a picture more would change what others are asked to send.
    return Mode.VOICE if way in HIDDEN_WAYS else state.mode


def _require_place(state: SessionState, way: Way) -> None:
    limit = state.policy.participant_limit
    if way in HIDDEN_WAYS:
        if sum(1 for person in state.inside() if person.hidden) >= limit:
            raise TooFast(ErrorCode.SESSION_FULL, "Too many supervisors listen already.")
    elif _waits(state, way):
        require_lobby(state)
    else:
        require_room(state)


def _waits(state: SessionState, way: Way) -> bool:
    return way is Way.CONSULT and state.policy.consult_lobby
