"""Whoever is not in the session can say anything: it is refused or ignored, and nobody notices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.actors.stage import Stage

VECTORS = Path(__file__).parent.parent / "contract" / "vectors" / "client-valid.json"
EVERYTHING = [
    vector["message"]
    for vector in json.loads(VECTORS.read_text())
    # What an invited consumer may do, and everybody may.
    if vector["message"]["type"]
    not in (
        "invitation.accept",
        "invitation.decline",
        "invitation.trouble",
        "session.leave",
        "engagement.update",
    )
]


@pytest.mark.parametrize("who", ["invited consumer", "guest in the lobby"])
async def test_nothing_an_outsider_says_has_an_effect(
    stage: Stage, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    agent, consumer = await stage.ringing()
    person, trunk = stage.consumer(), consumer
    if who == "guest in the lobby":
        person, trunk = await stage.guest()
    await stage.settle()
    heard, journal = len(agent.heard), list(stage.ledger.entries)
    assert len(EVERYTHING) > 20
    for number, vector in enumerate(EVERYTHING):
        message = {**vector, "id": f"m{number}"} if "id" in vector else vector
        stage.requests.handle(person, trunk.connection, json.dumps(message).encode())
        await stage.settle()
    told = {message["type"] for message in agent.heard[heard:]}
    assert told <= {"invitation.changed", "roster.changed"}
    assert stage.ledger.entries == journal
    codes = {m["code"] for m in trunk.heard if m["type"] == "request.refused"}
    assert "internal" not in codes
    assert "not_in_session" in codes
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_nobody_says_that_they_stand_at_another_account(stage: Stage) -> None:
    _, consumer = await stage.talking()
    before = stage.consumer().engagement
    engagement = {"account_id": "other", "conversation_id": "c", "visitor_name": "Kim"}
    message = {"engagement": engagement, "type": "engagement.update"}
    stage.requests.handle(stage.consumer(), consumer.connection, json.dumps(message).encode())
    await stage.settle()
    assert consumer.last("request.refused")["code"] == "not_permitted"
    assert stage.consumer().engagement == before


async def test_a_mistake_of_ours_costs_one_request(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, consumer = await stage.talking()

    def break_down(*_: object) -> None:
        raise RuntimeError("made for this test")

    monkeypatch.setattr(stage.session.media, "view", break_down)
    stage.requests.handle(
        stage.consumer(), consumer.connection, b'{"type":"media.view","slots":[]}'
    )
    assert consumer.last("request.refused")["code"] == "internal"
    stage.ask(stage.agent, agent, "session.end")
    await stage.settle()
    assert consumer.last("session.ended")["reason"] == "ended_by_agent"
