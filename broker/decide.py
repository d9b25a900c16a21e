"""Commands make events, or a typed refusal: `decide` is where every rule of a session stands.

Pure: no clock, no randomness, no await. The caller makes the events durable, then evolves the
state with them, then lets their consequences out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from broker import decide_invitation, decide_people, decide_staff
from broker.commands import (
    AcceptInvitation,
    Admit,
    AskForScreen,
    Attach,
    CancelInvitation,
    Command,
    DeclineGuest,
    DeclineInvitation,
    Detach,
    End,
    FailInvitation,
    Grant,
    HandOver,
    InviteGuest,
    JoinGuest,
    JoinStaff,
    Leave,
    Mute,
    Prove,
    RefuseEntry,
    Remove,
    RevokeGuest,
    Ring,
    SayText,
    SendInvitation,
    SetMode,
    Start,
    Tick,
)
from broker.deadlines import due_event
from broker.errors import Conflict, ErrorCode, Forbidden
from broker.events import (
    AnyEvent,
    InvitationCancelled,
    SessionEnded,
)
from broker.evolve import replay
from broker.rights import BACKEND, require_capability, require_inside, require_open
from broker.state import SessionState
from broker.words import (
    Capability,
    EndReason,
    PublishSource,
    Role,
    SessionPhase,
)


@dataclass(frozen=True, slots=True)
class Muted:
    """A moderator stopped what somebody sends; not journalled."""

    participant_id: str
    by: str
    sources: tuple[PublishSource, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody said something in writing; not journalled, and kept nowhere."""

    by: str
    text: str
    text_id: str


@dataclass(frozen=True, slots=True)
class ScreenAsked:
    """Somebody is asked to show their screen; not journalled."""

    participant_id: str
    by: str


Signal = Muted | Said | ScreenAsked


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command leads to: events to journal, signals to show."""

    events: tuple[AnyEvent, ...] = ()
    signals: tuple[Signal, ...] = ()


def decide(state: SessionState, command: Command, now_ms: int) -> Decision:
    """Decide one command at wall time `now_ms`.

    Raises:
        SwitchboardError: the refusal, with its stable code; nothing has changed.
    """
    match command:
        case Start():
            if state.phase is not SessionPhase.NEW:
                raise Conflict(ErrorCode.ALREADY_LIVE, "This actor holds a session already.")
            return _with_rules(state, decide_people.start(state, command, now_ms), now_ms)
        case Tick():
            return _with_rules(state, (), now_ms)
        case End():
            require_open(state)
            return Decision(_end(state, command, now_ms))
        case Mute():
            require_open(state)
            return _mute(state, command)
        case SayText():
            require_open(state)
            return _say(state, command)
        case AskForScreen():
            require_open(state)
            return _ask_for_screen(state, command)
        case _:
            require_open(state)
            return _with_rules(state, _events(state, command, now_ms), now_ms)


def _events(
    state: SessionState,
    command: JoinStaff
    | JoinGuest
    | Attach
    | Detach
    | Prove
    | Ring
    | SendInvitation
    | CancelInvitation
    | AcceptInvitation
    | DeclineInvitation
    | FailInvitation
    | InviteGuest
    | RevokeGuest
    | DeclineGuest
    | Admit
    | RefuseEntry
    | Remove
    | Grant
    | SetMode
    | HandOver
    | Leave,
    now_ms: int,
) -> tuple[AnyEvent, ...]:
    match command:
        case Ring():
            return decide_invitation.ring(state, command, now_ms)
        case SendInvitation():
            return decide_invitation.send(state, command, now_ms)
        case CancelInvitation():
            return decide_invitation.cancel(state, command, now_ms)
        case AcceptInvitation():
            return decide_invitation.accept(state, command, now_ms)
        case DeclineInvitation():
            return decide_invitation.decline(state, command, now_ms)
        case FailInvitation():
            return decide_invitation.fail(state, command, now_ms)
        case InviteGuest():
            return decide_invitation.invite_guest(state, command, now_ms)
        case RevokeGuest():
            return decide_invitation.revoke_guest(state, command, now_ms)
        case DeclineGuest():
            return decide_invitation.decline_guest(state, command, now_ms)
        case JoinGuest():
            return decide_invitation.join_guest(state, command, now_ms)
        case JoinStaff():
            return decide_staff.join_staff(state, command, now_ms)
        case Attach():
            return decide_people.attach(state, command, now_ms)
        case Detach():
            return decide_people.detach(state, command, now_ms)
        case Prove():
            return decide_people.prove(state, command, now_ms)
        case Admit():
            return decide_people.admit(state, command, now_ms)
        case RefuseEntry():
            return decide_people.refuse_entry(state, command, now_ms)
        case Remove():
            return decide_people.remove(state, command, now_ms)
        case Grant():
            return decide_people.grant(state, command, now_ms)
        case SetMode():
            return decide_people.set_mode(state, command, now_ms)
        case HandOver():
            return decide_people.hand_over(state, command, now_ms)
        case Leave():
            return decide_people.leave(state, command, now_ms)
        case _:
            assert_never(command)


def _with_rules(state: SessionState, events: tuple[AnyEvent, ...], now_ms: int) -> Decision:
    """Add what the rules of time and of an empty session make of these events."""
    found = events
    state = replay(state, events)
    while more := _consequences(state, now_ms):
        found += more
        state = replay(state, more)
    return Decision(found)


def _consequences(state: SessionState, now_ms: int) -> tuple[AnyEvent, ...]:
    match due_event(state, now_ms):
        case SessionEnded() as due:
            return _closing(state, due.reason, None, now_ms)
        case None:
            pass
        case due:
            return (due,)
    if state.phase is SessionPhase.OPEN and not state.count_inside():
        return _closing(state, EndReason.NOBODY_LEFT, None, now_ms)
    return ()


def _end(state: SessionState, command: End, now_ms: int) -> tuple[AnyEvent, ...]:
    if command.by is None or command.by == BACKEND:
        return _closing(state, command.reason or EndReason.ENDED_BY_BACKEND, None, now_ms)
    require_capability(state, command.by, Capability.END_FOR_ALL)
    role = state.participants[command.by].role
    return _closing(state, _END_REASONS[role], command.by, now_ms)


def _closing(
    state: SessionState, reason: EndReason, by: str | None, now_ms: int
) -> tuple[AnyEvent, ...]:
    ended = SessionEnded(at_ms=now_ms, reason=reason, by=by)
    invitation = state.invitation
    if invitation is None or not invitation.open:
        return (ended,)
    cancelled = InvitationCancelled(at_ms=now_ms, invitation_id=invitation.invitation_id, by=by)
    return (cancelled, ended)


def _mute(state: SessionState, command: Mute) -> Decision:
    require_capability(state, command.by, Capability.MODERATE)
    decide_people.require_target(state, command.participant_id)
    return Decision(
        signals=(
            Muted(participant_id=command.participant_id, by=command.by, sources=command.sources),
        )
    )


def _say(state: SessionState, command: SayText) -> Decision:
    if require_inside(state, command.participant_id).hidden:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "Whoever listens unseen writes nothing.")
    return Decision(signals=(Said(command.participant_id, command.text, command.text_id),))


def _ask_for_screen(state: SessionState, command: AskForScreen) -> Decision:
    require_capability(state, command.by, Capability.MODERATE)
    person = decide_people.require_target(state, command.participant_id)
    if Capability.SEND_SCREEN not in person.capabilities:
        raise Conflict(ErrorCode.NOT_PERMITTED, "That person may not share a screen.")
    return Decision(signals=(ScreenAsked(command.participant_id, command.by),))


_END_REASONS = {
    Role.AGENT: EndReason.ENDED_BY_AGENT,
    Role.CONSUMER: EndReason.ENDED_BY_CONSUMER,
    Role.SUPERVISOR: EndReason.ENDED_BY_SUPERVISOR,
    Role.GUEST: EndReason.ENDED_BY_GUEST,
}
