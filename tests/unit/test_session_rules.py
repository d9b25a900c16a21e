"""Rules of a session that a matrix does not show: consequences, limits and time."""

from __future__ import annotations

import pickle

import pytest

from broker.commands import CancelInvitation, Detach, End, Grant, HandOver, JoinGuest, Leave, Tick
from broker.deadlines import next_deadline
from broker.errors import ErrorCode, Forbidden, SwitchboardError
from broker.events import SessionEnded
from broker.policy import LONGEST_MS, Policy
from broker.words import Attendance, Capability, EndReason, InvitationState, SessionPhase
from tests.unit.sessions import (
    AGENT,
    CONSUMER,
    GUEST,
    OTHER_AGENT,
    Case,
    ringing,
    started,
    talking,
    with_guest,
    with_second_agent,
)


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


def test_who_ends_a_session_is_who_the_record_names() -> None:
    case = with_guest()
    case.do(Grant(AGENT, GUEST, frozenset({Capability.END_FOR_ALL})))
    [ended] = case.do(End(GUEST))
    assert ended == SessionEnded(at_ms=case.now_ms, reason=EndReason.ENDED_BY_GUEST, by=GUEST)


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
        {"longest_ms": LONGEST_MS + 1},
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
