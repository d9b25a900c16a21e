"""Quality in the record: how a connection was and how long, once, before its person is out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from actors.relay import Grade, TransportState
from actors.session.checkpoints import KEEP_S
from broker.words import Surface
from tests.actors.crafted import offer
from tests.actors.stage import Stage
from tests.patience import until


def connected(stage: Stage, participant_id: str, transport: str = "t") -> None:
    stage.session.media.transport_changed(participant_id, transport, TransportState.CONNECTED)


def closed(stage: Stage, participant_id: str, transport: str = "t") -> None:
    stage.session.media.transport_changed(participant_id, transport, TransportState.CLOSED)


def graded(stage: Stage, participant_id: str, grade: Grade, reason: str) -> None:
    stage.session.media.quality_changed(participant_id, grade, reason)


def measured(stage: Stage) -> list[dict[str, Any]]:
    """The bodies of quality in the journal, without what is zero."""
    return [
        {name: value for name, value in entry.body.items() if value != 0}
        for entry in stage.ledger.entries
        if entry.type == "participant.quality"
    ]


async def test_grades_are_added_up_and_stand_before_the_end(stage: Stage) -> None:
    agent, _ = await stage.talking()
    owner, consumer = stage.agent.participant_id, stage.consumer().participant_id
    connected(stage, owner)
    connected(stage, consumer)
    stage.now_ms += 10_000
    graded(stage, consumer, Grade.POOR, "loss_up")
    stage.now_ms += 3_000
    graded(stage, consumer, Grade.FAIR, "delay")
    stage.now_ms += 2_000
    graded(stage, consumer, Grade.GOOD, "")
    stage.now_ms += 5_000
    stage.ask(stage.agent, agent, "session.end")
    await stage.settle()
    assert measured(stage) == [
        {"participant_id": owner, "good_ms": 20_000},
        {
            "participant_id": consumer,
            "good_ms": 15_000,
            "fair_ms": 2_000,
            "poor_ms": 3_000,
            "loss_up_ms": 3_000,
            "delay_ms": 2_000,
        },
    ]
    assert stage.ledger.types()[-3:] == [
        "participant.quality",
        "participant.quality",
        "session.ended",
    ]


async def test_who_leaves_is_measured_once_and_who_had_no_media_not_at_all(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    person = stage.consumer().participant_id
    connected(stage, person)
    for number in range(500):
        stage.now_ms += 10
        graded(stage, person, (Grade.FAIR, Grade.POOR)[number % 2], "loss_down")
    stage.ask(stage.consumer(), consumer, "session.leave")
    await stage.settle()
    # What the relay says when it lets the transport go is nothing new.
    closed(stage, person)
    stage.ask(stage.agent, agent, "session.end")
    await stage.settle()
    [body] = measured(stage)
    assert body["participant_id"] == person
    assert body["fair_ms"] + body["poor_ms"] == body["loss_down_ms"] == 4_990
    types = stage.ledger.types()
    assert types[types.index("participant.quality") + 1] == "participant.left"


async def test_only_the_time_in_the_session_with_a_transport_counts(stage: Stage) -> None:
    agent, consumer = await stage.ringing()
    person = stage.consumer().participant_id
    connected(stage, person)
    stage.now_ms += 30_000
    stage.accept(consumer)
    await stage.settle()
    stage.now_ms += 1_000
    connected(stage, person, "next")
    closed(stage, person)
    stage.now_ms += 1_000
    closed(stage, person, "next")
    stage.now_ms += 60_000
    connected(stage, person, "third")
    stage.now_ms += 1_000
    stage.ask(stage.agent, agent, "session.end")
    await stage.settle()
    assert measured(stage) == [{"participant_id": person, "good_ms": 3_000}]


async def test_an_actor_that_hands_a_session_on_says_what_it_measured(stage: Stage) -> None:
    await stage.talking()
    person = stage.consumer().participant_id
    connected(stage, person)
    stage.now_ms += 7_000
    assert await stage.session.freeze(5.0)
    assert measured(stage) == [{"participant_id": person, "good_ms": 7_000}]
    stage.session.thaw()
    stage.now_ms += 2_000
    await stage.session.freeze(5.0)
    assert [body["good_ms"] for body in measured(stage)] == [7_000, 2_000]


async def test_what_a_killed_actor_had_measured_is_counted_on_by_the_next(stage: Stage) -> None:
    await stage.talking()
    owner, person = stage.agent.participant_id, stage.consumer().participant_id
    connected(stage, owner)
    connected(stage, person)
    stage.now_ms += 60_000
    graded(stage, person, Grade.POOR, "loss_up")
    stage.now_ms += 5_000
    stage.session.checkpoints.write()
    await stage.settle()
    stage.now_ms += 9_000
    journal = len(stage.ledger.entries)

    second = Stage()
    second.now_ms = stage.now_ms
    await second.take_over(stage.ledger)
    assert len(stage.ledger.appends[-1].subjects) == 2
    back = second.connect(second.agent, Surface.AGENT_FRAME)
    second.connect(second.consumer(), Surface.LAUNCHER)
    # Nothing stands meanwhile, so nothing is counted.
    second.now_ms += 2_000
    connected(second, person, "new")
    second.now_ms += 1_000
    second.ask(second.agent, back, "session.end")
    await second.settle()
    assert journal < len(stage.ledger.entries)
    assert measured(second) == [
        {"participant_id": owner, "good_ms": 65_000},
        {"participant_id": person, "good_ms": 61_000, "poor_ms": 5_000, "loss_up_ms": 5_000},
    ]
    await second.close()


async def test_what_an_event_has_said_is_not_counted_twice(stage: Stage) -> None:
    await stage.talking()
    person = stage.consumer().participant_id
    connected(stage, person)
    stage.now_ms += 10_000
    stage.session.checkpoints.write()
    stage.now_ms += 1_000
    # A move in good order says it all; and what is kept of earlier is still there.
    assert await stage.session.freeze(5.0)
    assert stage.ledger.subjects[person].body["measured"]["good_ms"] == 10_000

    second = Stage()
    second.now_ms = stage.now_ms
    await second.take_over(stage.ledger)
    connected(second, person)
    second.now_ms += 3_000
    second.session.checkpoints.write()
    await second.settle()
    third = Stage()
    third.now_ms = second.now_ms
    await third.take_over(stage.ledger)
    back = third.connect(third.agent, Surface.AGENT_FRAME)
    third.ask(third.agent, back, "session.end")
    await third.settle()
    assert [body["good_ms"] for body in measured(third)] == [11_000, 3_000]
    await second.close()
    await third.close()


async def test_a_connection_costs_two_writes_a_minute_and_a_quiet_one_none(stage: Stage) -> None:
    await stage.talking()
    connected(stage, stage.consumer().participant_id)
    appends = len(stage.ledger.appends)
    for _ in range(3):
        stage.now_ms += int(KEEP_S * 1_000)
        stage.session.checkpoints.write()
        await stage.settle()
    closed(stage, stage.consumer().participant_id)
    for _ in range(3):
        stage.now_ms += int(KEEP_S * 1_000)
        stage.session.checkpoints.write()
        await stage.settle()
    assert len(stage.ledger.appends) - appends == 3
    assert not any(append.entries for append in stage.ledger.appends[appends:])


async def test_while_the_ledger_is_away_nothing_is_kept_and_nothing_piles_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.session.checkpoints.KEEP_S", 0.001)
    await stage.talking()
    stage.session.checkpoints.begin()
    connected(stage, stage.consumer().participant_id)
    appends = len(stage.ledger.appends)
    stage.ledger.reachable = False
    for _ in range(5):
        stage.now_ms += 1_000
        await asyncio.sleep(0.01)
    assert stage.consumer().measured is None
    stage.ledger.reachable = True
    await until(lambda: stage.consumer().measured is not None, "it is kept")
    await stage.settle()
    kept = stage.ledger.subjects[stage.consumer().participant_id].body["measured"]
    assert kept["good_ms"] == 5_000
    # One write, of the newest, however often one was due meanwhile.
    (written,) = stage.ledger.appends[appends:]
    assert [each.participant_id for each in written.subjects] == [stage.consumer().participant_id]


async def test_what_a_widget_measured_stands_beside_what_the_relay_did(stage: Stage) -> None:
    _, consumer = await stage.talking()
    offer(stage, consumer)
    person = stage.consumer()
    for freezes in (1, 2):
        slot = {"index": 0, "freezes": freezes, "freeze_seconds": 0.25 * freezes}
        message = json.dumps({"type": "media.report", "slots": [slot]}).encode()
        stage.requests.handle(person, consumer.connection, message)
    reports = stage.session.media.snapshot()["reports"]
    assert isinstance(reports, dict)
    ((found,),) = reports.values()
    assert list(reports) == [person.participant_id]
    assert (found["kind"], found["index"]) == ("seat", 0)
    assert (found["freezes"], found["freeze_seconds"]) == (2, 0.5)
