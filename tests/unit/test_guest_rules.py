"""Rules of guests and their links: how many, for how long, by whom let in or withdrawn."""

from __future__ import annotations

import pytest

from broker.commands import Admit, InviteGuest, JoinGuest, Leave, RevokeGuest, Tick
from broker.deadlines import next_deadline
from broker.errors import ErrorCode, Forbidden, Gone, SwitchboardError, TooFast
from broker.events import GuestExpired
from broker.policy import Policy
from broker.words import Attendance
from tests.unit.sessions import AGENT, CLAIM, CONSUMER, GUEST, talking, with_guest


def test_the_limit_of_people_is_a_refusal_that_may_be_tried_again() -> None:
    case = talking(Policy(participant_limit=2, guest_lobby=False))
    case.do(InviteGuest(AGENT, "g-1", "h", 1, 60_000))
    with pytest.raises(TooFast) as refusal:
        case.do(JoinGuest(GUEST, "g-1"))
    assert refusal.value.code is ErrorCode.SESSION_FULL
    assert refusal.value.retryable
    assert case.state.guest_links["g-1"].uses_left == 1


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


def test_a_link_counts_down_and_is_gone() -> None:
    case = with_guest()
    assert case.state.guest_links["g-1"].uses_left == 1
    case.do(JoinGuest("p-2", "g-1"))
    assert "g-1" not in case.state.guest_links


def test_a_link_is_made_once_whatever_became_of_it() -> None:
    case = talking()
    invite = InviteGuest(AGENT, "g-1", "h", 1, 60_000)
    case.do(invite)
    assert case.do(invite) == []
    case.do(RevokeGuest(AGENT, "g-1"))
    assert case.do(invite) == []
    assert not case.state.guest_links
