"""Nothing an event caused leaves the actor before the ledger has the event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import NoReturn

import pytest

from actors.session.journal import BATCH_SUBJECTS, Journal
from actors.session.person import Person
from broker.errors import Conflict, ErrorCode, Internal, Unavailable
from broker.messages.cluster.tenure import JournalAppend, JournalEntry, Subject
from broker.words import Surface
from tests.actors.stage import WAIT_S, FakeLedger, Stage, Trunk
from tests.patience import until
from tests.relay.virtual_time import run_in_virtual_time


async def test_the_ring_waits_for_its_invitation_and_not_for_what_is_saved_of_it(
    stage: Stage,
) -> None:
    agent = await stage.begin()
    stage.ledger.open.clear()
    consumer = stage.connect(stage.consumer(), Surface.LAUNCHER)
    await stage.settle()
    assert consumer.types() == ["session.snapshot"]
    assert consumer.heard[0]["attendance"] == "invited"
    assert consumer.heard[0]["invitation"]["from_name"] == "Alex"
    assert consumer.heard[0]["roster"] == []
    # That it rings is no fact yet: neither the agent hears it nor does a second person's surface.
    assert "invitation.changed" not in agent.types()
    invitation_id = consumer.heard[0]["invitation"]["invitation_id"]
    stage.ask(stage.consumer(), consumer, "invitation.decline", invitation_id=invitation_id)
    stage.ask(stage.agent, agent, "invitation.send", mode="video")
    await stage.settle()
    assert consumer.types() == ["session.snapshot"]
    stage.ledger.open.set()
    await stage.settle()
    states = [each["invitation"]["state"] for each in agent.heard if "invitation" in each]
    assert states[1:] == ["ringing", "ringing", "declined", "sent", "ringing", "ringing"]
    assert consumer.types() == [
        "session.snapshot",
        "request.done",
        "invitation.changed",
        "session.left",
        "session.snapshot",
    ]


async def test_an_acceptance_is_told_once_it_is_durable_and_in_order(stage: Stage) -> None:
    agent, consumer = await stage.ringing()
    stage.ledger.open.clear()
    before = len(agent.heard)
    stage.accept(consumer)
    await stage.settle()
    assert agent.heard[before:] == []
    stage.ledger.open.set()
    await stage.settle()
    told = [message["type"] for message in agent.heard[before:]]
    assert told == ["invitation.changed", "roster.changed"]
    assert consumer.types()[1:] == [
        "request.done",
        "invitation.changed",
        "rights.changed",
        "roster.changed",
    ]
    assert [m["seq"] for m in consumer.heard] == list(range(1, len(consumer.heard) + 1))


async def test_a_surface_that_came_while_the_ledger_was_away_rings_when_it_is_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session.comings.RING_AGAIN_S", 0.01)
    await stage.begin()
    stage.ledger.reachable = False
    consumer = stage.connect(stage.consumer(), Surface.LAUNCHER)
    gone = stage.connect(stage.consumer(), Surface.WINDOW)
    stage.disconnect(stage.consumer(), gone)
    assert consumer.heard == []
    stage.ledger.grew.clear()
    stage.ledger.reachable = True
    async with asyncio.timeout(WAIT_S):
        await stage.ledger.grew.wait()
    await stage.settle()
    assert consumer.last("session.snapshot")["invitation"]["state"] == "ringing"
    assert gone.heard == []


async def test_while_the_ledger_is_away_nothing_widens(stage: Stage) -> None:
    agent, consumer = await stage.ringing()
    stage.ledger.reachable = False
    stage.accept(consumer)
    refusal = consumer.last("request.refused")
    assert (refusal["code"], refusal["retryable"]) == ("ledger_away", True)
    stage.ask(stage.agent, agent, "guest.invite")
    assert agent.last("request.refused")["code"] == "ledger_away"


async def test_while_the_ledger_is_away_ending_acts_at_once_and_is_journalled_later(
    stage: Stage,
) -> None:
    agent, consumer = await stage.talking()
    stage.ledger.reachable = False
    stage.ask(stage.agent, agent, "session.end")
    assert consumer.last("session.ended")["reason"] == "ended_by_agent"
    assert consumer.transport.closes[0]["to_waiting"] is True
    assert "session.ended" not in stage.ledger.types()
    # Whoever goes cannot be told later, so the staff is told on the way out.
    assert agent.types()[-2:] == ["session.saving", "session.ended"]
    assert saved(agent) == [False]
    assert saved(consumer) == []
    stage.ledger.reachable = True
    await stage.settle()
    assert stage.ledger.types()[-1] == "session.ended"


async def test_an_end_that_is_saved_is_not_told_as_unsaved(stage: Stage) -> None:
    agent, _ = await stage.talking()
    stage.ask(stage.agent, agent, "session.end")
    await stage.settle()
    assert agent.types()[-1] == "session.ended"
    assert saved(agent) == []


async def test_an_agent_who_leaves_while_the_ledger_is_away_is_told_so(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    stage.ledger.reachable = False
    stage.ask(stage.agent, agent, "session.leave")
    assert agent.types()[-2:] == ["session.saving", "session.left"]
    assert saved(agent) == [False]
    assert saved(consumer) == []


async def test_while_the_ledger_is_away_what_makes_no_event_is_answered(stage: Stage) -> None:
    agent, _ = await stage.talking()
    stage.ledger.reachable = False
    person = stage.consumer()
    asked = stage.ask(
        stage.agent,
        agent,
        "participant.mute",
        participant_id=person.participant_id,
        sources=["camera"],
    )
    assert agent.last("request.done")["reply_to"] == asked
    window = stage.connect(person, Surface.WINDOW)
    assert window.last("session.snapshot")["attendance"] == "present"


def saved(trunk: Trunk) -> list[bool]:
    """What somebody was told of whether all is saved, in order."""
    return [each["saved"] for each in trunk.heard if each["type"] == "session.saving"]


@pytest.mark.parametrize("away", ["silent", "gone"])
async def test_what_waits_for_long_is_told_to_the_staff_as_unsaved_until_all_is_saved(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    agent, consumer = await stage.talking()
    monkeypatch.setattr("actors.session.journal.UNSAVED_S", 0.01)
    if away == "silent":
        stage.ledger.open.clear()
    else:
        stage.ledger.reachable = False
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    assert saved(agent) == [], "it is told once it has waited for long"
    await until(lambda: saved(agent) == [False], "the agent is told")
    later = stage.connect(stage.agent, Surface.POP_OUT)
    if away == "gone":
        assert later.types()[-2:] == ["session.snapshot", "session.saving"]
    stage.ledger.reachable = True
    stage.ledger.open.set()
    await stage.settle()
    assert stage.ledger.types()[-1] == "participant.mode_changed"
    assert (saved(agent), saved(later)) == ([False, True], [False, True])
    assert saved(consumer) == []
    newest = stage.connect(stage.agent, Surface.AGENT_FRAME)
    assert newest.types()[-1] == "session.snapshot"


async def test_what_is_saved_in_time_is_not_told_as_unsaved(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    stage.ledger.open.clear()
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    await stage.settle()
    stage.ledger.open.set()
    await stage.settle()
    assert consumer.last("rights.changed")["mode"] == "voice"
    assert saved(agent) == []


async def test_what_ends_a_call_does_not_let_an_unsaved_acceptance_out(stage: Stage) -> None:
    agent, consumer = await stage.ringing()
    stage.ledger.open.clear()
    stage.accept(consumer)
    await stage.settle()
    stage.ledger.reachable = False
    heard = len(agent.heard)
    stage.ask(stage.consumer(), consumer, "session.leave")
    assert agent.heard[heard:] == []
    assert consumer.types()[-1] == "session.snapshot"
    assert stage.session.rights(stage.consumer().participant_id) is None
    stage.ledger.reachable = True
    stage.ledger.open.set()
    await stage.settle()
    assert stage.ledger.types()[-3:] == [
        "invitation.accepted",
        "participant.joined",
        "participant.left",
    ]
    assert consumer.types()[-1] == "session.left"


async def test_a_fenced_actor_says_nothing_more(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    stage.ledger.failure = Conflict(ErrorCode.STALE_EPOCH, "Another tenure holds it.")
    before = len(agent.heard) + len(consumer.heard)
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    await stage.settle()
    assert len(agent.heard) + len(consumer.heard) == before
    assert stage.over == [stage.session]


async def test_what_piles_up_while_the_ledger_is_away_is_bounded(stage: Stage) -> None:
    agent, _ = await stage.talking()
    stage.ledger.reachable = False
    stage.ledger.appends.clear()
    for number in range(1_000):
        engagement = {"account_id": "acc", "rt_session_id": "eng", "visitor_name": f"n{number}"}
        message = json.dumps({"type": "engagement.update", "engagement": engagement})
        stage.requests.handle(stage.agent, agent.connection, message.encode())
    stage.ledger.reachable = True
    stage.session.checkpoints.write()
    await stage.settle()
    owner = stage.ledger.subjects[stage.agent.participant_id]
    assert owner.body["engagement"]["visitor_name"] == "n999"
    assert [len(append.subjects) for append in stage.ledger.appends] == [1]


async def test_whatever_an_append_fails_by_it_is_tried_again(stage: Stage) -> None:
    agent, _ = await stage.talking()
    stage.ledger.failure = ValueError("an answer that cannot be read")
    stage.ask(stage.agent, agent, "guest.invite")
    await stage.ledger.refused.wait()
    stage.ledger.failure = None
    await stage.settle()
    assert "guest.invited" in agent.types()


async def test_a_mistake_in_the_relay_costs_nobody_the_journal(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, consumer = await stage.talking()

    def broken(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(stage.session.media, "apply", broken)
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    await stage.settle()
    assert consumer.last("request.done")
    stage.ask(stage.agent, agent, "session.end")
    await stage.settle()
    assert stage.ledger.types()[-2:] == ["participant.mode_changed", "session.ended"]


async def test_a_fenced_journal_is_not_waited_for(stage: Stage) -> None:
    agent, _ = await stage.talking()
    stage.ledger.reachable = False
    stage.ask(stage.agent, agent, "session.end")
    stage.ledger.failure = Conflict(ErrorCode.STALE_EPOCH, "Another tenure holds it.")
    stage.ledger.reachable = True
    async with asyncio.timeout(WAIT_S):
        assert not await stage.session.flush(3600)
    assert "session.ended" not in stage.ledger.types()


async def test_another_actor_continues_with_the_same_people(stage: Stage) -> None:
    await stage.talking()
    successor = Stage(epoch=2)
    ledger: FakeLedger = stage.ledger
    await stage.close()
    await successor.take_over(ledger)
    try:
        agent = successor.connect(successor.agent, Surface.AGENT_FRAME)
        await successor.settle()
        snapshot = agent.last("session.snapshot")
        assert snapshot["epoch"] == 2
        assert [(entry["name"], entry["attendance"]) for entry in snapshot["roster"]] == [
            ("Alex", "present"),
            ("Casey", "reconnecting"),
        ]
        consumer = successor.connect(successor.consumer(), Surface.LAUNCHER)
        await successor.settle()
        assert consumer.last("session.snapshot")["attendance"] == "present"
        seqs = [entry.seq for entry in ledger.entries]
        assert seqs == list(range(1, len(seqs) + 1))
    finally:
        await successor.close()


async def test_a_frozen_session_saves_what_it_decided_and_decides_nothing_more(
    stage: Stage,
) -> None:
    agent, consumer = await stage.talking()
    stage.ledger.open.clear()
    stage.ask(stage.agent, agent, "guest.invite")
    freezing = asyncio.ensure_future(stage.session.freeze(5.0))
    await stage.settle()
    assert not freezing.done(), "it waits for the ledger"
    stage.ledger.open.set()
    assert await freezing
    assert agent.types()[-1] != "request.refused"
    assert "guest.invited" in stage.ledger.types()
    saved = list(stage.ledger.types())
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    refusal = consumer.last("request.refused")
    assert (refusal["code"], refusal["retryable"]) == ("session_away", True)
    publish = {"microphone": True, "camera": True, "screen": False}
    stage.ask(stage.agent, agent, "media.publish", id="p-1", **publish)
    assert agent.last("request.refused")["code"] == "session_away", "the successor would not know"
    stage.disconnect(stage.consumer(), consumer)
    await stage.settle()
    assert stage.ledger.types() == saved, "who goes over to the successor has not left"
    stage.session.thaw()
    await stage.settle()
    assert stage.ledger.types()[len(saved) :] == ["participant.reconnecting"]
    stage.ask(stage.agent, agent, "media.publish", id="p-1", **publish)
    assert agent.last("request.done")["reply_to"] == "p-1", "nothing was done under this id before"
    stage.ask(stage.agent, agent, "media.mode", mode="voice")
    await stage.settle()
    assert agent.types()[-1] != "request.refused"


@pytest.mark.parametrize("way", ["refuses", "stalls"])
async def test_what_ends_a_call_is_told_though_only_then_the_ledger_turns_out_to_be_away(
    stage: Stage, way: str
) -> None:
    agent, consumer = await stage.talking()
    if way == "refuses":
        stage.ledger.failure = Unavailable(ErrorCode.LEDGER_AWAY, "The database is away.")
    else:
        stage.ledger.open.clear()
    request_id = stage.ask(stage.consumer(), consumer, "session.leave")
    await until(lambda: answered(consumer, request_id), "the answer")
    roster = agent.last("roster.changed")["roster"]
    assert [entry["role"] for entry in roster] == ["agent"]
    assert "participant.left" not in stage.ledger.types()
    stage.ledger.failure = None
    stage.ledger.open.set()
    await until(lambda: "participant.left" in stage.ledger.types(), "the event")
    assert stage.ledger.types().count("participant.left") == 1


def answered(widget: Trunk, request_id: str) -> bool:
    return any(message.get("reply_to") == request_id for message in widget.heard)


async def test_more_people_than_an_append_takes_are_saved_before_what_they_did(
    stage: Stage,
) -> None:
    """An append that no frame holds would never be taken, and nothing behind it either."""
    agent, _ = await stage.talking()
    stage.ledger.open.clear()
    some = [
        Person(f"p-{number}", stage.agent.principal) for number in range(2 * BATCH_SUBJECTS + 1)
    ]
    before = len(stage.ledger.appends)
    # What is at work when they come is the first append.
    stage.session.keep([stage.agent])
    for _ in range(3):
        await asyncio.sleep(0)
    stage.session.keep(some)
    stage.ask(stage.agent, agent, "guest.invite")
    stage.ledger.open.set()
    await stage.settle()
    appends = stage.ledger.appends[before + 1 :]
    assert [(len(each.subjects), len(each.entries)) for each in appends] == [
        (BATCH_SUBJECTS, 0),
        (BATCH_SUBJECTS, 0),
        (1, 1),
    ]
    assert agent.last("guest.invited")


@pytest.mark.parametrize("mistake", ["roster", "saving", "unsaved"])
async def test_a_mistake_in_telling_what_is_saved_costs_nobody_the_journal(
    stage: Stage, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session.journal.UNSAVED_S", 0.0)
    agent, _ = await stage.talking()
    guest, widget = await stage.guest(admitted=True)

    def fail(*_: object) -> NoReturn:
        raise RuntimeError("made for this test")

    where, name = {
        "roster": (stage.session.narrator, "tell_roster"),
        "saving": (stage.session.narrator, "saving"),
        "unsaved": (stage.session.unsaved, "changed"),
    }[mistake]
    with monkeypatch.context() as wrong:
        wrong.setattr(where, name, fail)
        if mistake != "roster":
            away = Unavailable(ErrorCode.LEDGER_AWAY, "The ledger cannot write now.")
            stage.ledger.failure = away
        request_id = stage.ask(guest, widget, "session.leave")
        await until(lambda: answered(widget, request_id), "the answer")
        stage.ledger.failure = None
        await until(lambda: "participant.left" in stage.ledger.types(), "the event")
    stage.ask(stage.agent, agent, "session.end")
    await until(lambda: "session.ended" in stage.ledger.types(), "the end")


class Nobody:
    """Is told what became of the entries, and does nothing about it."""

    def on_durable(self, seq: int) -> None: ...
    def on_unsaved(self, entries: Sequence[JournalEntry]) -> None: ...
    def on_saving(self, saved: bool) -> None: ...
    def on_fenced(self) -> None: ...


class Tries(FakeLedger):
    """Counts how often it is asked."""

    def __init__(self, failure: Exception) -> None:
        super().__init__()
        self.failure = failure
        self.count = 0

    async def append(self, append: JournalAppend) -> None:
        self.count += 1
        await super().append(append)


def test_what_no_database_takes_is_tried_ever_more_seldom_and_saved_once_it_is_taken() -> None:
    """Each try has the ledger look for it among what all the others write."""

    async def tried(failure: Exception) -> int:
        ledger = Tries(failure)
        journal = Journal("s-1", 1, 1, ledger, Nobody())
        journal.add((), [Subject(participant_id="p-1", body={})])
        await asyncio.sleep(100.0)
        count, ledger.failure = ledger.count, None
        assert await journal.flush(30.0)
        assert list(ledger.subjects) == ["p-1"]
        await journal.close()
        return count

    async def both() -> tuple[int, int]:
        unfit = Internal(ErrorCode.INTERNAL, "The write does not fit the database.")
        away = Unavailable(ErrorCode.LEDGER_AWAY, "The ledger cannot write now.")
        return await asyncio.gather(tried(unfit), tried(away))

    unfit, away = run_in_virtual_time(both())
    assert unfit < 15
    # A database that is back is found so within a second.
    assert away >= 100
