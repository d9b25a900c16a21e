"""Rules of an invitation that a matrix does not show: who answers it, and what comes after it."""

from __future__ import annotations

import pytest

from broker.commands import (
    AcceptInvitation,
    CancelInvitation,
    Command,
    DeclineInvitation,
    Detach,
    FailInvitation,
    InviteGuest,
    JoinGuest,
    Leave,
    Remove,
    Ring,
    SendInvitation,
    Tick,
)
from broker.errors import Conflict, ErrorCode, TooFast
from broker.policy import Policy
from broker.words import Attendance, InvitationState, Mode, Surface
from tests.unit.sessions import AGENT, CLAIM, CONSUMER, GUEST, INVITATION, ringing, talking

ACCEPTED = AcceptInvitation(CONSUMER, INVITATION, Mode.VIDEO, Surface.LAUNCHER)


def test_a_second_surface_rings_without_a_second_consumer() -> None:
    case = ringing()
    case.do(Ring(CONSUMER, Surface.WINDOW, CLAIM))
    assert case.do(Ring(CONSUMER, Surface.WINDOW, CLAIM)) == []
    assert case.state.invitation is not None
    assert case.state.invitation.surfaces == {Surface.LAUNCHER, Surface.WINDOW}
    assert case.state.consumer_id == CONSUMER


def test_an_invitation_by_voice_is_never_answered_with_video() -> None:
    case = ringing()
    case.do(CancelInvitation(AGENT))
    case.do(SendInvitation(AGENT, "i-2", Mode.VOICE))
    case.do(Ring(CONSUMER, Surface.LAUNCHER, CLAIM))
    case.do(AcceptInvitation(CONSUMER, "i-2", Mode.VIDEO, Surface.LAUNCHER))
    assert case.state.participants[CONSUMER].mode is Mode.VOICE


def test_an_expired_invitation_cannot_be_accepted_even_before_the_tick() -> None:
    case = ringing()
    case.now_ms += case.state.policy.invitation_ms
    with pytest.raises(Conflict) as refusal:
        case.do(AcceptInvitation(CONSUMER, INVITATION, Mode.VIDEO, Surface.LAUNCHER))
    assert refusal.value.code is ErrorCode.INVITATION_CLOSED
    case.do(Tick())
    assert case.state.invitation is not None
    assert case.state.invitation.state is InvitationState.EXPIRED


def test_an_invitation_into_a_full_session_stays_open_until_there_is_room() -> None:
    case = ringing(Policy(participant_limit=2, guest_lobby=False))
    case.do(InviteGuest(AGENT, "g-1", "h", 1, 60_000))
    case.do(JoinGuest(GUEST, "g-1"))
    with pytest.raises(TooFast) as refusal:
        case.do(ACCEPTED)
    assert (refusal.value.code, refusal.value.retryable) == (ErrorCode.SESSION_FULL, True)
    case.do(Leave(GUEST))
    case.do(ACCEPTED)
    assert case.state.participants[CONSUMER].inside


def test_only_who_rings_answers() -> None:
    case = ringing()
    for answer in (
        AcceptInvitation("p-stranger", INVITATION, Mode.VIDEO, Surface.LAUNCHER),
        DeclineInvitation("p-stranger", INVITATION),
    ):
        with pytest.raises(Conflict) as refusal:
            case.do(answer)
        assert refusal.value.code is ErrorCode.NO_INVITATION
    assert list(case.state.participants) == [AGENT]


def test_a_removed_consumer_can_be_invited_again() -> None:
    case = talking()
    case.do(Remove(AGENT, CONSUMER))
    case.do(SendInvitation(AGENT, "i-2", Mode.VIDEO))
    case.do(Ring(CONSUMER, Surface.WINDOW, CLAIM))
    case.do(AcceptInvitation(CONSUMER, "i-2", Mode.VIDEO, Surface.WINDOW))
    assert case.state.participants[CONSUMER].attendance is Attendance.PRESENT


ENDS: dict[str, list[Command]] = {
    "declined": [DeclineInvitation(CONSUMER, INVITATION)],
    "cancelled": [CancelInvitation(AGENT)],
    "failed": [FailInvitation("no_webrtc")],
    "expired": [Tick()],
    "left": [ACCEPTED, Leave(CONSUMER)],
    "removed": [ACCEPTED, Remove(AGENT, CONSUMER)],
    "lost": [ACCEPTED, Detach(CONSUMER), Tick()],
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("answered", [AcceptInvitation, DeclineInvitation])
def test_whatever_became_of_an_invitation_the_next_one_rings_and_is_answered(
    end: str, answered: type[Command]
) -> None:
    case = ringing()
    for command in ENDS[end]:
        if isinstance(command, Tick):
            case.now_ms += case.state.policy.invitation_ms
        case.do(command)
    case.do(SendInvitation(AGENT, "i-2", Mode.VIDEO))
    case.do(Ring(CONSUMER, Surface.WINDOW, CLAIM))
    assert case.state.invitation is not None
    assert case.state.invitation.open
    # The earlier one is answered by nobody any more.
    with pytest.raises(Conflict):
        case.do(ACCEPTED)
    if answered is DeclineInvitation:
        case.do(DeclineInvitation(CONSUMER, "i-2"))
        assert case.state.invitation.state is InvitationState.DECLINED
        return
    case.do(AcceptInvitation(CONSUMER, "i-2", Mode.VIDEO, Surface.WINDOW))
    assert case.state.participants[CONSUMER].attendance is Attendance.PRESENT
    assert case.state.consumer_id == CONSUMER
