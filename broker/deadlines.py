"""When a session must be looked at again, and what is due then."""

from __future__ import annotations

from collections.abc import Iterator

from broker.events import (
    AnyEvent,
    GuestExpired,
    InvitationExpired,
    ParticipantLeft,
    SessionEnded,
)
from broker.state import SessionState
from broker.words import Attendance, EndReason, InvitationState, LeaveReason, SessionPhase

Deadline = tuple[int, AnyEvent]


def next_deadline(state: SessionState) -> int | None:
    """Return the wall time in milliseconds of the next `Tick` that changes anything."""
    return min((at_ms for at_ms, _ in _deadlines(state, 0)), default=None)


def due_event(state: SessionState, now_ms: int) -> AnyEvent | None:
    """Return the earliest thing that is due by now; apply it and ask again."""
    due = [entry for entry in _deadlines(state, now_ms) if entry[0] <= now_ms]
    return min(due, key=lambda entry: entry[0])[1] if due else None


def _deadlines(state: SessionState, at_ms: int) -> Iterator[Deadline]:
    if state.phase is not SessionPhase.OPEN:
        return
    policy = state.policy
    invitation = state.invitation
    if invitation is not None and invitation.open:
        yield (
            invitation.expires_ms,
            InvitationExpired(at_ms=at_ms, invitation_id=invitation.invitation_id),
        )
    for link in state.guest_links.values():
        yield (
            link.expires_ms,
            GuestExpired(at_ms=at_ms, guest_invitation_id=link.guest_invitation_id),
        )
    for person in state.participants.values():
        if person.attendance is Attendance.RECONNECTING:
            yield (
                person.since_ms + policy.reconnect_grace_ms,
                ParticipantLeft(
                    at_ms=at_ms,
                    participant_id=person.participant_id,
                    reason=LeaveReason.GRACE_OVER,
                ),
            )
    for since_ms, reason in _ends(state):
        yield since_ms, SessionEnded(at_ms=at_ms, reason=reason)


def _ends(state: SessionState) -> Iterator[tuple[int, EndReason]]:
    policy = state.policy
    yield state.started_ms + policy.longest_ms, EndReason.TOO_LONG
    if state.agentless_ms is not None:
        yield state.agentless_ms + policy.absent_agent_ms, EndReason.AGENT_ABSENT
    if state.deserted_ms is not None:
        yield state.deserted_ms + policy.absent_both_ms, EndReason.AGENT_AND_CONSUMER_ABSENT
    invitation = state.invitation
    if (
        invitation is not None
        and invitation.closed_ms is not None
        and invitation.state is not InvitationState.ACCEPTED
        and state.count_inside() < 2
    ):
        yield invitation.closed_ms + policy.lapsed_ms, EndReason.INVITATION_LAPSED
