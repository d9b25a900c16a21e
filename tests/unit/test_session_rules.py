"""Rules of a session that a matrix does not show: consequences, limits and time."""

from __future__ import annotations

import pickle

import pytest

from broker.commands import (
    AcceptInvitation,
    Admit,
    CancelInvitation,
    Command,
    DeclineInvitation,
    Detach,
    End,
    FailInvitation,
    Grant,
    HandOver,
    InviteGuest,
    JoinGuest,
    Leave,
    Remove,
    RevokeGuest,
    Ring,
    SendInvitation,
    Tick,
)
from broker.deadlines import next_deadline
from broker.errors import Conflict, ErrorCode, Forbidden, Gone, SwitchboardError, TooFast
from broker.events import GuestExpired, SessionEnded
from broker.policy import Policy
from broker.words import (
    Attendance,
    Capability,
    EndReason,
    InvitationState,
    Mode,
    SessionPhase,
    Surface,
)
from tests.unit.sessions import (
    AGENT,
    CLAIM,
    CONSUMER,
    GUEST,
    INVITATION,
    OTHER_AGENT,
    Case,
    ringing,
    started,
    talking,
    with_guest,
    with_second_agent,
)

ACCEPTED = AcceptInvitation(CONSUMER, INVITATION, Mode.VIDEO, Surface.LAUNCHER)


def test_a_started_session_has_its_owner_inside_and_an_invitation_out() -> None:
    case = started()
    assert [event.type for event in case.events] == [
        "session.started",
        "participant.joined",
        "invitation.sent",
    ]
    assert case.state.owner_id == AGENT
    assert case.state.invitation is not None
    assert case.state.invitation.state is InvitationState.SENT


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


def test_the_last_to_leave_ends_the_session() -> None:
    case = talking()
    case.do(Leave(CONSUMER))
    assert case.state.phase is SessionPhase.OPEN
    case.do(Leave(AGENT))
    assert case.state.end_reason is EndReason.NOBODY_LEFT


def test_ending_takes_the_open_invitation_back_first() -> None:
    case = ringing()
    assert [event.type for event in case.do(End(AGENT))] == [
        "invitation.cancelled",
        "session.ended",
    ]
    assert case.state.end_reason is EndReason.ENDED_BY_AGENT


def test_grace_runs_out_only_after_its_time() -> None:
    case = talking()
    case.do(Detach(CONSUMER))
    case.now_ms += case.state.policy.reconnect_grace_ms - 1
    assert case.do(Tick()) == []
    case.now_ms += 1
    case.do(Tick())
    assert case.state.participants[CONSUMER].attendance is Attendance.LEFT


def test_without_agent_the_session_ends_after_five_minutes() -> None:
    case = talking()
    case.do(Detach(AGENT))
    case.now_ms += case.state.policy.reconnect_grace_ms
    case.do(Tick())
    assert case.state.phase is SessionPhase.OPEN
    case.now_ms = 1_000_000 + case.state.policy.absent_agent_ms
    case.do(Tick())
    assert case.state.end_reason is EndReason.AGENT_ABSENT


def test_a_guest_alone_does_not_keep_the_session() -> None:
    case = with_guest()
    case.do(Leave(CONSUMER))
    case.do(Leave(AGENT))
    case.now_ms += case.state.policy.absent_both_ms
    case.do(Tick())
    assert case.state.end_reason is EndReason.AGENT_AND_CONSUMER_ABSENT


def test_no_session_lasts_longer_than_policy_says() -> None:
    case = talking()
    case.now_ms += case.state.policy.longest_ms
    case.do(Tick())
    assert case.state.end_reason is EndReason.TOO_LONG


def test_a_lapsed_invitation_ends_a_session_of_one() -> None:
    case = started()
    case.do(CancelInvitation(AGENT))
    case.now_ms += case.state.policy.lapsed_ms
    case.do(Tick())
    assert case.state.end_reason is EndReason.INVITATION_LAPSED


def test_next_deadline_is_when_something_happens_and_not_before() -> None:
    case = ringing()
    deadline = next_deadline(case.state)
    assert deadline is not None
    case.now_ms = deadline - 1
    assert case.do(Tick()) == []
    case.now_ms = deadline
    assert case.do(Tick()) != []


def test_an_ended_session_has_no_deadline() -> None:
    case = talking()
    case.do(End(CONSUMER))
    assert next_deadline(case.state) is None


def test_the_limit_of_people_is_a_refusal_that_may_be_tried_again() -> None:
    case = talking(Policy(participant_limit=2, guest_lobby=False))
    case.do(InviteGuest(AGENT, "g-1", "h", 1, 60_000))
    with pytest.raises(TooFast) as refusal:
        case.do(JoinGuest(GUEST, "g-1"))
    assert refusal.value.code is ErrorCode.SESSION_FULL
    assert refusal.value.retryable
    assert case.state.guest_links["g-1"].uses_left == 1


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


def test_no_more_wait_in_the_lobby_than_the_session_could_hold() -> None:
    case = talking(Policy(participant_limit=3))
    case.do(InviteGuest(AGENT, "g-1", "h", 8, 60_000))
    for number in range(3):
        case.do(JoinGuest(f"p-{number}", "g-1"))
    with pytest.raises(TooFast) as refusal:
        case.do(JoinGuest("p-late", "g-1"))
    assert (refusal.value.code, refusal.value.retryable) == (ErrorCode.SESSION_FULL, True)
    assert case.state.guest_links["g-1"].uses_left == 5
    case.do(Leave("p-0"))
    case.do(JoinGuest("p-late", "g-1"))


def test_a_consumer_withdraws_their_own_links_and_the_agent_any() -> None:
    case = talking(Policy(consumer_may_invite=True))
    case.do(InviteGuest(AGENT, "g-agent", "h1", 1, 60_000))
    for number in range(2):
        case.do(InviteGuest(CONSUMER, f"g-{number}", f"c{number}", 1, 60_000))
    with pytest.raises(Forbidden):
        case.do(RevokeGuest(CONSUMER, "g-agent"))
    case.do(RevokeGuest(CONSUMER, "g-0"))
    case.do(RevokeGuest(AGENT, "g-1"))
    assert list(case.state.guest_links) == ["g-agent"]


def test_guest_links_are_limited_and_expire() -> None:
    case = talking()
    for number in range(case.state.policy.guest_links_limit):
        case.do(InviteGuest(AGENT, f"g-{number}", f"h{number}", 1, 60_000))
    with pytest.raises(TooFast):
        case.do(InviteGuest(AGENT, "g-more", "hm", 1, 60_000))
    case.now_ms += 60_000
    case.do(InviteGuest(AGENT, "g-more", "hm", 1, 60_000))
    with pytest.raises(SwitchboardError) as refusal:
        case.do(JoinGuest(GUEST, "g-1"))
    assert refusal.value.code is ErrorCode.UNKNOWN_INVITATION


def test_a_consumer_brings_others_in_where_the_policy_allows_it_and_admits_nobody() -> None:
    invite = InviteGuest(CONSUMER, "g-1", "h1", 1, 60_000)
    with pytest.raises(Forbidden):
        talking().do(invite)
    case = talking(Policy(consumer_may_invite=True))
    case.do(invite)
    case.do(JoinGuest(GUEST, "g-1"))
    assert case.state.participants[GUEST].attendance is Attendance.LOBBY
    with pytest.raises(Forbidden):
        case.do(Admit(CONSUMER, GUEST))
    # Nor a stranger who says they are the consumer.
    with pytest.raises(Forbidden):
        case.do(InviteGuest(CONSUMER, "g-2", CLAIM, 1, 60_000, admitted=True))
    case.do(Admit(AGENT, GUEST))
    assert case.state.participants[GUEST].inside


def test_a_link_whose_time_is_over_is_let_go_and_journalled_once() -> None:
    case = talking()
    case.do(InviteGuest(AGENT, "g-1", "h1", 1, 60_000))
    case.do(InviteGuest(AGENT, "g-2", "h2", 1, 90_000))
    case.now_ms += 59_999
    assert case.do(Tick()) == []
    assert next_deadline(case.state) == case.now_ms + 1
    case.now_ms += 1
    with pytest.raises(Gone) as refusal:
        case.do(JoinGuest(GUEST, "g-1"))
    assert refusal.value.code is ErrorCode.LINK_USED
    [expired] = case.do(Tick())
    assert expired == GuestExpired(at_ms=case.now_ms, guest_invitation_id="g-1")
    assert list(case.state.guest_links) == ["g-2"]
    assert case.do(Tick()) == []


def test_who_ends_a_session_is_who_the_record_names() -> None:
    case = with_guest()
    case.do(Grant(AGENT, GUEST, frozenset({Capability.END_FOR_ALL})))
    [ended] = case.do(End(GUEST))
    assert ended == SessionEnded(at_ms=case.now_ms, reason=EndReason.ENDED_BY_GUEST, by=GUEST)


def test_a_link_counts_down_and_is_gone() -> None:
    case = with_guest()
    assert case.state.guest_links["g-1"].uses_left == 1
    case.do(JoinGuest("p-2", "g-1"))
    assert "g-1" not in case.state.guest_links


def test_nobody_gives_a_right_they_do_not_have() -> None:
    case = with_second_agent()
    case.do(Grant(AGENT, OTHER_AGENT, frozenset({Capability.MODERATE})))
    with pytest.raises(Forbidden):
        case.do(Grant(OTHER_AGENT, CONSUMER, frozenset({Capability.INVITE})))


def test_only_the_owner_hands_over_until_they_are_gone() -> None:
    case = with_second_agent()
    with pytest.raises(Forbidden):
        case.do(HandOver(OTHER_AGENT, OTHER_AGENT))
    case.do(Leave(AGENT))
    case.do(HandOver(OTHER_AGENT, OTHER_AGENT))
    assert case.state.owner_id == OTHER_AGENT


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


def test_unless_an_account_says_otherwise_the_designs_values_hold() -> None:
    policy = Policy()
    assert (policy.participant_limit, policy.guest_links_limit) == (8, 5)
    minutes = (
        policy.reconnect_grace_ms,
        policy.absent_both_ms,
        policy.absent_agent_ms,
        policy.lapsed_ms,
        policy.longest_ms,
    )
    assert [each / 60_000 for each in minutes] == [1, 2, 5, 10, 240]
    assert (policy.guest_lobby, policy.consumer_may_invite) == (True, False)
    assert not policy.silent_monitoring


@pytest.mark.parametrize(
    "values",
    [
        {"participant_limit": 0},
        {"participant_limit": 251},
        {"invitation_ms": "2"},
        {"nonsense": 1},
        {"guest_lobby": 1},
    ],
)
def test_a_bad_policy_is_refused_in_a_sentence(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        Policy.from_mapping(values)


def test_every_error_survives_pickling() -> None:
    def leaves(cls: type[SwitchboardError]) -> list[type[SwitchboardError]]:
        return [cls, *(leaf for sub in cls.__subclasses__() for leaf in leaves(sub))]

    for cls in leaves(SwitchboardError):
        error = pickle.loads(pickle.dumps(cls(ErrorCode.INTERNAL, "A sentence.")))
        assert (type(error), error.code, error.message) == (cls, "internal", "A sentence.")


def test_states_are_not_changed_in_place() -> None:
    case = with_guest()
    before = case.state
    people, links = dict(before.participants), dict(before.guest_links)
    Case(before).do(JoinGuest("p-2", "g-1"))
    Case(before).do(Leave(CONSUMER))
    assert (dict(before.participants), dict(before.guest_links)) == (people, links)
