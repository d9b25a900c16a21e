"""Random commands: whatever is asked, in whatever order, the invariants hold."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    Tick,
)
from broker.deadlines import next_deadline
from broker.errors import SwitchboardError
from broker.events import (
    LaterEvent,
    ModeChanged,
    ParticipantJoined,
    ParticipantReturned,
    PastEvent,
    event_body,
)
from broker.evolve import replay
from broker.past import read_event, retrace
from broker.policy import Policy
from broker.state import DONE_LIMIT, STAFF, SessionState
from broker.words import (
    Attendance,
    Capability,
    Mode,
    PublishSource,
    Role,
    SessionPhase,
    Surface,
    Way,
)
from tests.unit.sessions import AGENT, CLAIM, CONSUMER, START, Case

people = st.sampled_from([AGENT, CONSUMER, "p-1", "p-2", "p-3"])
invitations = st.sampled_from(["i-1", "i-2"])
links = st.sampled_from(["g-1", "g-2"])
modes = st.sampled_from(Mode)
surfaces = st.sampled_from([Surface.LAUNCHER, Surface.WINDOW])
rights = st.frozensets(st.sampled_from(Capability))

commands: st.SearchStrategy[Command] = st.one_of(
    st.just(START),
    st.just(Tick()),
    st.builds(
        Ring, people, surfaces, st.sampled_from([CLAIM, "d" * 64, None]), verified=st.booleans()
    ),
    st.builds(Prove, people),
    st.builds(SendInvitation, people, invitations, modes),
    st.builds(CancelInvitation, people),
    st.builds(AcceptInvitation, people, invitations, modes, surfaces),
    st.builds(DeclineInvitation, people, invitations),
    st.builds(FailInvitation, st.just("no_webrtc")),
    st.builds(
        InviteGuest, people, links, st.just("h"), st.integers(1, 2), st.just(60_000), st.booleans()
    ),
    st.builds(RevokeGuest, people, links),
    st.builds(JoinGuest, people, links),
    st.builds(DeclineGuest, people, links),
    st.builds(SayText, people, st.just("hello")),
    st.builds(AskForScreen, people, people),
    st.builds(
        JoinStaff,
        people,
        st.sampled_from(Role),
        way=st.sampled_from(Way),
        chatting=st.booleans(),
    ),
    st.builds(Attach, people),
    st.builds(Detach, people),
    st.builds(Admit, people, people),
    st.builds(RefuseEntry, people, people),
    st.builds(Remove, people, people),
    st.builds(Grant, people, people, rights),
    st.builds(Mute, people, people, st.just((PublishSource.CAMERA,))),
    st.builds(SetMode, people, modes),
    st.builds(HandOver, people, people),
    st.builds(Leave, people),
    st.builds(End, st.one_of(st.none(), people)),
)
steps = st.lists(st.tuples(commands, st.integers(0, 90_000)), max_size=60)


@settings(max_examples=300)
@given(steps=steps)
def test_any_sequence_keeps_the_invariants(steps: list[tuple[Command, int]]) -> None:
    policy = Policy(participant_limit=3, silent_monitoring=True)
    case = Case(SessionState(policy=policy))
    case.do(START)
    for command, pause_ms in steps:
        case.now_ms += pause_ms
        before = case.state
        try:
            new = case.do(command)
        except SwitchboardError:
            assert case.state is before
            continue
        if before.phase is SessionPhase.ENDED:
            assert new == []
        state = case.state
        assert state.count_inside() <= policy.participant_limit
        assert not any(p.hidden for p in state.participants.values() if p.role not in STAFF)
        assert not any(p.withdrawn & p.capabilities for p in state.participants.values())
        if before.consumer_id != state.consumer_id and before.consumer_id is not None:
            assert not before.consumer_proved
            assert state.consumer_proved
            former = state.participants.get(before.consumer_id)
            assert former is None or not former.inside
        assert state.event_count == len(case.events)
        if state.phase is SessionPhase.ENDED:
            assert not any(p.attendance is not Attendance.LEFT for p in state.participants.values())
            assert state.invitation is None or not state.invitation.open
            assert next_deadline(state) is None
        elif new or isinstance(command, Tick):
            deadline = next_deadline(state)
            assert deadline is not None
            assert deadline > case.now_ms
            assert state.count_inside() > 0
    stored = [(e.type, e.version, e.at_ms, event_body(e)) for e in case.events]
    assert (
        replay(SessionState(policy=policy), [read_event(*entry) for entry in stored]) == case.state
    )


def test_marks_of_the_latest_commands_are_known_and_of_no_more() -> None:
    case = Case()
    case.do(START)
    modes = [Mode.VIDEO if number % 2 else Mode.VOICE for number in range(DONE_LIMIT + 2)]
    journal: list[PastEvent] = [
        ModeChanged(at_ms=number, participant_id=START.owner_id, mode=mode, mark=f"m{number}")
        for number, mode in enumerate(modes)
    ]
    # One of which only a later release knows what it was.
    journal.append(read_event("something.happened", 1, 7, {"mark": "m-later"}))
    bodies = [event_body(each) for each in journal if not isinstance(each, LaterEvent)]
    assert [body["mark"] for body in bodies[:2]] == ["m0", "m1"]
    state = replay(case.state, journal)
    assert len(state.done) == DONE_LIMIT
    assert (state.done[0], state.done[-1]) == ("m3", "m-later")
    assert all("mark" not in event_body(event) for event in case.events)


def case_after(steps: list[tuple[Command, int]]) -> Case:
    """Do these commands, of which some are refused."""
    case = Case()
    case.do(START)
    for command, pause_ms in steps:
        case.now_ms += pause_ms
        with suppress(SwitchboardError):
            case.do(command)
    return case


@settings(max_examples=200)
@given(steps=steps, data=st.data())
def test_what_a_later_release_wrote_between_changes_no_replay(
    steps: list[tuple[Command, int]], data: st.DataObject
) -> None:
    case = case_after(steps)
    journal: list[PastEvent] = []
    later = 0
    for event in case.events:
        version, body = event.version, event_body(event)
        if data.draw(st.booleans()):
            version, body = version + 1, {**body, "something_new": [1]}
        journal.append(read_event(event.type, version, event.at_ms, body))
        for _ in range(data.draw(st.integers(0, 2))):
            journal.append(read_event("something.happened", 1, event.at_ms + 1, {}))
            later += 1
    after = retrace(SessionState(policy=Policy()), journal)
    assert after.event_count == len(case.events) + later
    assert replace(after, event_count=len(case.events)) == case.state


@settings(max_examples=100)
@given(steps=steps, data=st.data())
def test_a_journal_that_cannot_be_followed_is_replayed_as_far_as_it_is_understood(
    steps: list[tuple[Command, int]], data: st.DataObject
) -> None:
    """Some of the events are of types that this release does not know: any subset of them."""
    case = case_after(steps)
    journal: list[PastEvent] = [
        LaterEvent(type="something.happened", at_ms=event.at_ms)
        if index and data.draw(st.booleans())
        else event
        for index, event in enumerate(case.events)
    ]
    after = retrace(SessionState(policy=Policy()), journal)
    assert after.event_count == len(case.events), "what is appended next has the right number"
    known = {event.participant_id for event in journal if isinstance(event, ParticipantJoined)}
    assert set(after.participants) == known, "nobody comes in by an event that was passed over"


def test_a_broken_journal_of_this_release_is_not_glossed_over() -> None:
    broken = [ParticipantReturned(at_ms=1, participant_id="nobody")]
    with pytest.raises(KeyError):
        retrace(SessionState(policy=Policy()), broken)
