"""Further agents and supervisors: who waits, who takes over, who is heard by whom."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker.commands import (
    Admit,
    Detach,
    End,
    Grant,
    HandOver,
    InviteGuest,
    JoinGuest,
    JoinStaff,
    Leave,
    Mute,
    Remove,
    SetMode,
    Tick,
)
from broker.errors import Conflict, ErrorCode, Forbidden, NotFound, SwitchboardError, TooFast
from broker.events import ParticipantLeft, event_body
from broker.evolve import replay
from broker.past import read_event
from broker.policy import Policy
from broker.rights import initial_capabilities
from broker.state import SessionState
from broker.words import (
    Attendance,
    Capability,
    EndReason,
    LeaveReason,
    Mode,
    PublishSource,
    Role,
    SessionPhase,
    Way,
)
from tests.unit.sessions import (
    AGENT,
    CONSUMER,
    GUEST,
    OTHER_AGENT,
    SUPERVISOR,
    Case,
    monitored,
    talking,
    with_second_agent,
)

CONSULT = JoinStaff(OTHER_AGENT, Role.AGENT)
TAKE_OVER = JoinStaff(OTHER_AGENT, Role.AGENT, way=Way.TAKE_OVER, chatting=True)


def monitor(way: Way) -> JoinStaff:
    return JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=way)


def test_a_second_agent_waits_until_somebody_lets_them_in() -> None:
    case = talking()
    case.do(CONSULT)
    assert case.state.participants[OTHER_AGENT].attendance is Attendance.LOBBY
    with pytest.raises(Conflict):
        case.do(CONSULT)
    case.do(Admit(AGENT, OTHER_AGENT))
    assert case.state.participants[OTHER_AGENT].inside
    assert case.state.owner_id == AGENT


def test_no_more_agents_wait_than_the_session_could_hold() -> None:
    case = talking(Policy(participant_limit=2))
    for number in range(2):
        case.do(JoinStaff(f"p-{number}", Role.AGENT))
    with pytest.raises(TooFast) as refusal:
        case.do(CONSULT)
    assert refusal.value.code is ErrorCode.SESSION_FULL
    case.do(Leave("p-0"))
    case.do(CONSULT)


def test_who_is_inside_comes_in_by_no_other_way() -> None:
    case = with_second_agent()
    for command in (JoinStaff(AGENT, Role.AGENT), CONSULT):
        with pytest.raises(Conflict) as refusal:
            case.do(command)
        assert refusal.value.code is ErrorCode.ALREADY_LIVE


SEND = frozenset({Capability.SEND_AUDIO, Capability.SEND_VIDEO, Capability.SEND_SCREEN})


@pytest.mark.parametrize(
    ("role", "way", "rights"),
    [
        (Role.AGENT, Way.JOIN, frozenset(Capability)),
        (Role.AGENT, Way.CONSULT, frozenset(Capability)),
        (Role.CONSUMER, Way.JOIN, SEND | {Capability.END_FOR_ALL}),
        (Role.GUEST, Way.JOIN, SEND),
        (Role.SUPERVISOR, Way.JOIN, SEND | {Capability.MODERATE, Capability.END_FOR_ALL}),
        (Role.SUPERVISOR, Way.MONITOR, frozenset()),
        (Role.SUPERVISOR, Way.WHISPER, frozenset({Capability.SEND_AUDIO})),
    ],
)
def test_what_each_role_may_do_on_coming_in(
    role: Role, way: Way, rights: frozenset[Capability]
) -> None:
    assert initial_capabilities(role, Policy(), way) == rights


def test_by_policy_a_second_agent_waits_for_nobody() -> None:
    case = talking(Policy(consult_lobby=False))
    case.do(CONSULT)
    assert case.state.participants[OTHER_AGENT].inside


def test_after_a_hand_over_the_first_agent_may_leave_and_come_back() -> None:
    case = with_second_agent()
    case.do(HandOver(AGENT, OTHER_AGENT))
    case.do(Leave(AGENT))
    assert case.state.owner_id == OTHER_AGENT
    assert case.state.phase is SessionPhase.OPEN
    case.do(JoinStaff(AGENT, Role.AGENT))
    case.do(Admit(OTHER_AGENT, AGENT))
    assert case.state.participants[AGENT].inside


@pytest.mark.parametrize("make", [talking, with_second_agent], ids=["from outside", "consulting"])
def test_taking_over_makes_the_owner_and_the_agent_before_them_goes(
    make: Callable[[], Case],
) -> None:
    case = make()
    new = case.do(TAKE_OVER)
    assert case.state.owner_id == OTHER_AGENT
    assert case.state.participants[OTHER_AGENT].inside
    last = new[-1]
    assert isinstance(last, ParticipantLeft)
    assert (last.participant_id, last.reason) == (AGENT, LeaveReason.TRANSFERRED)
    with pytest.raises(Conflict):
        case.do(TAKE_OVER)


def test_a_full_session_can_be_taken_over() -> None:
    case = talking(Policy(participant_limit=2))
    case.do(TAKE_OVER)
    assert case.state.count_inside() == 2


def test_a_full_session_whose_owner_is_away_is_taken_over_once_there_is_a_place() -> None:
    case = talking(Policy(participant_limit=2, guest_lobby=False))
    case.do(InviteGuest(AGENT, "g-1", "h", 1, 60_000))
    case.do(Leave(AGENT))
    case.do(JoinGuest(GUEST, "g-1"))
    with pytest.raises(TooFast) as refusal:
        case.do(TAKE_OVER)
    assert (refusal.value.code, refusal.value.retryable) == (ErrorCode.SESSION_FULL, True)
    case.do(Leave(GUEST))
    case.do(TAKE_OVER)
    assert case.state.owner_id == OTHER_AGENT


def test_nobody_takes_over_without_a_transfer_unless_the_owner_is_away() -> None:
    case = talking()
    mine = JoinStaff(OTHER_AGENT, Role.AGENT, way=Way.TAKE_OVER)
    case.do(Detach(AGENT))
    with pytest.raises(Forbidden):
        case.do(mine)
    case.now_ms += case.state.policy.reconnect_grace_ms
    case.do(Tick())
    case.do(mine)
    assert case.state.owner_id == OTHER_AGENT


def test_a_monitor_has_no_right_takes_no_place_and_keeps_no_session_open() -> None:
    case = monitored()
    person = case.state.participants[SUPERVISOR]
    assert (person.capabilities, person.mode, case.state.count_inside()) == (
        frozenset(),
        Mode.VOICE,
        2,
    )
    case.do(Leave(CONSUMER))
    case.do(Leave(AGENT))
    assert case.state.end_reason is EndReason.NOBODY_LEFT


@pytest.mark.parametrize(
    "command",
    [
        Remove(AGENT, SUPERVISOR),
        Grant(AGENT, SUPERVISOR, frozenset({Capability.SEND_VIDEO})),
        Mute(AGENT, SUPERVISOR, (PublishSource.MICROPHONE,)),
    ],
)
def test_whoever_is_hidden_is_nobodys_to_act_on(command: Remove | Grant | Mute) -> None:
    with pytest.raises(NotFound):
        monitored().do(command)


def test_a_monitor_cannot_ask_for_the_picture() -> None:
    with pytest.raises(Forbidden):
        monitored().do(SetMode(SUPERVISOR, Mode.VIDEO))


def test_a_supervisor_goes_from_listening_to_whispering_to_joining() -> None:
    case = monitored()
    case.do(monitor(Way.WHISPER))
    assert case.state.participants[SUPERVISOR].capabilities == {Capability.SEND_AUDIO}
    case.do(monitor(Way.JOIN))
    person = case.state.participants[SUPERVISOR]
    assert (person.hidden, person.mode, case.state.count_inside()) == (False, Mode.VIDEO, 3)
    assert Capability.MODERATE in person.capabilities
    case.do(monitor(Way.MONITOR))
    assert case.state.participants[SUPERVISOR].capabilities == frozenset()


def test_showing_oneself_needs_a_place() -> None:
    case = talking(Policy(participant_limit=2, silent_monitoring=True))
    case.do(monitor(Way.MONITOR))
    with pytest.raises(TooFast):
        case.do(monitor(Way.JOIN))
    case.do(JoinStaff("p-2", Role.SUPERVISOR, way=Way.MONITOR))
    with pytest.raises(TooFast):
        case.do(JoinStaff("p-3", Role.SUPERVISOR, way=Way.WHISPER))


def refusal(case: Case, command: JoinStaff) -> ErrorCode | None:
    try:
        case.do(command)
    except SwitchboardError as error:
        return error.code
    return None


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("way", Way)
def test_each_role_has_its_own_ways(role: Role, way: Way) -> None:
    case = talking(Policy(silent_monitoring=True))
    allowed = {
        Role.AGENT: {Way.CONSULT, Way.TAKE_OVER},
        Role.SUPERVISOR: {Way.JOIN, Way.WHISPER, Way.MONITOR},
    }.get(role, set())
    code = refusal(case, JoinStaff("p-x", role, way=way, chatting=True))
    assert code == (None if way in allowed else ErrorCode.NOT_PERMITTED)


def test_whether_monitoring_was_allowed_stands_in_the_journal() -> None:
    """A takeover under other settings keeps what the Accept screen said."""
    case = monitored()
    stored = [(e.type, e.version, e.at_ms, event_body(e)) for e in case.events]
    again = replay(SessionState(policy=Policy()), [read_event(*entry) for entry in stored])
    assert again == case.state


@pytest.mark.parametrize("how", ["another way", "going and coming"])
def test_rights_that_were_taken_do_not_come_back_by_themselves(how: str) -> None:
    case = talking(Policy(silent_monitoring=True))
    case.do(JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=Way.JOIN))
    left = frozenset({Capability.SEND_AUDIO, Capability.SEND_VIDEO})
    case.do(Grant(AGENT, SUPERVISOR, left))
    if how == "another way":
        case.do(JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=Way.MONITOR))
        assert case.state.participants[SUPERVISOR].capabilities == frozenset()
    else:
        case.do(Leave(SUPERVISOR))
    case.do(JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=Way.JOIN))
    assert case.state.participants[SUPERVISOR].capabilities == left
    more = left | {Capability.MODERATE}
    case.do(Grant(AGENT, SUPERVISOR, more))
    case.do(JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=Way.MONITOR))
    case.do(JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=Way.JOIN))
    assert case.state.participants[SUPERVISOR].capabilities == more, "what is given back stays"


@pytest.mark.parametrize("how", ["from outside", "from inside", "handed over"])
def test_whoever_is_in_charge_has_all_rights_again(how: str) -> None:
    case = with_second_agent()
    case.do(Grant(AGENT, OTHER_AGENT, frozenset()))
    if how == "from outside":
        case.do(Leave(OTHER_AGENT))
    case.do(HandOver(AGENT, OTHER_AGENT) if how == "handed over" else TAKE_OVER)
    assert case.state.owner_id == OTHER_AGENT
    assert case.state.participants[OTHER_AGENT].capabilities == frozenset(Capability)
    assert not case.state.participants[OTHER_AGENT].withdrawn
    assert case.do(End(OTHER_AGENT))
