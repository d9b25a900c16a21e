"""Somebody inside who goes too far: every privileged word of a guest, floods of invitations."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from actors.session.comings import CONNECTION_LIMIT
from actors.session.person import (
    HOUR_COUNT,
    HOUR_MS,
    OFFER_COUNT,
    PACE_COUNT,
    PACE_MS,
)
from actors.session.publishing import SWITCH_COUNT, Publishing
from broker.words import Mode, PublishSource, Surface
from tests.actors.stage import Stage, Trunk
from tests.patience import until

VECTORS = json.loads(
    (Path(__file__).parent.parent / "contract" / "vectors" / "client-valid.json").read_text()
)
OWN = {
    "connection.hello",
    "connection.ping",
    "engagement.update",
    "media.close",
    "media.mode",
    "media.offer",
    "media.publish",
    "media.report",
    "media.view",
    "session.leave",
    "surface.update",
    "text.send",
}
"""What a guest may say: about themselves only. Every other message is privileged."""
PRIVILEGED = sorted({v["message"]["type"] for v in VECTORS} - OWN)


def aimed(stage: Stage, message: dict[str, object], number: int) -> bytes:
    """Fill a vector with ids that exist, so that nothing but rights can refuse it."""
    real = {
        "id": f"m{number}",
        "participant_id": stage.consumer().participant_id,
        "guest_invitation_id": "guest",
    }
    return json.dumps({name: real.get(name, value) for name, value in message.items()}).encode()


@pytest.mark.parametrize("kind", PRIVILEGED)
async def test_a_guest_does_nothing_that_is_privileged(stage: Stage, kind: str) -> None:
    agent, _ = await stage.talking()
    guest, trunk = await stage.guest(admitted=True)
    journal, heard = list(stage.ledger.entries), len(agent.heard)
    vectors = [v["message"] for v in VECTORS if v["message"]["type"] == kind]
    for number, message in enumerate(vectors):
        stage.requests.handle(guest, trunk.connection, aimed(stage, message, number))
        await stage.settle()
    refused = [each for each in trunk.heard if each["type"] == "request.refused"]
    # What carries no id is not answered, and has no effect either.
    assert len(refused) == sum("id" in each for each in vectors)
    assert {each["code"] for each in refused}.isdisjoint({"internal", "malformed"})
    assert stage.ledger.entries == journal
    assert len(agent.heard) == heard


async def test_ten_thousand_invitations_change_nothing_and_stop_nobody(stage: Stage) -> None:
    agent, _ = await stage.ringing()
    journal = len(stage.ledger.entries)
    agent.heard.clear()
    for number in range(10_000):
        message = {"type": "invitation.send", "id": str(number), "mode": "video"}
        stage.requests.handle(stage.agent, agent.connection, json.dumps(message).encode())
    await stage.settle()
    assert len(stage.ledger.entries) == journal
    codes = [each["code"] for each in agent.heard]
    assert codes == ["invitation_open"] * PACE_COUNT + ["rate_limited"] * (10_000 - PACE_COUNT)
    stage.requests.handle(
        stage.agent, agent.connection, b'{"type": "invitation.cancel", "id": "last"}'
    )
    await stage.settle()
    assert stage.ledger.types()[-1] == "invitation.cancelled"


async def test_no_more_guest_links_are_open_than_the_policy_says(stage: Stage) -> None:
    agent, _ = await stage.talking()
    for number in range(PACE_COUNT):
        message = {"type": "guest.invite", "id": str(number), "uses": 1, "expires_in_s": 600}
        stage.requests.handle(stage.agent, agent.connection, json.dumps(message).encode())
    await stage.settle()
    assert len(stage.session.decided.guest_links) == 5
    assert agent.types().count("guest.invited") == 5
    codes = [each["code"] for each in agent.heard if each["type"] == "request.refused"]
    assert codes == ["too_many_links"] * (PACE_COUNT - 5)


FLOODS: dict[str, dict[str, Any]] = {
    "mode": {"type": "media.mode"},
    "mute": {"type": "participant.mute", "sources": ["camera"]},
    "rights": {"type": "participant.grant"},
    "text": {"type": "text.send", "text": "again"},
    "wish": {"type": "screen.request"},
    "links": {"type": "guest.invite", "uses": 1, "expires_in_s": 600},
}
"""What makes events, or is shown to others each time."""


def flooding(kind: str, number: int, agent: str, consumer: str) -> bytes:
    """The message of a flood: each differs from the one before, so that each would count."""
    message = FLOODS[kind] | {"id": str(number)}
    match kind:
        case "mode":
            message["mode"] = ("voice", "video")[number % 2]
        case "mute" | "wish":
            message["participant_id"] = consumer
        case "rights":
            message["participant_id"] = consumer
            message["capabilities"] = [[], ["send_audio"]][number % 2]
    return json.dumps(message).encode()


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_flood_of_one_participant_fills_no_journal_and_disturbs_nobody(
    stage: Stage, kind: str
) -> None:
    agent, consumer = await stage.talking()
    stage.now_ms += PACE_MS
    known = stage.agent.participant_id, stage.consumer().participant_id
    journal, heard = len(stage.ledger.entries), len(consumer.heard)
    for number in range(500):
        message = flooding(kind, number, *known)
        stage.requests.handle(stage.agent, agent.connection, message)
    await stage.settle()
    assert len(stage.ledger.entries) - journal <= 2 * PACE_COUNT + 1
    assert len(consumer.heard) - heard <= 3 * PACE_COUNT
    refused = [each for each in agent.heard if each["type"] == "request.refused"]
    assert refused[-1]["code"] == "rate_limited"
    assert refused[-1]["retryable"]
    assert agent.transport.closes == []

    # The others go on, and so does whoever flooded: out at once, and as before after a while.
    stage.ask(stage.consumer(), consumer, "text.send", text="still here")
    assert agent.last("text.said")["text"] == "still here"
    stage.now_ms += PACE_MS
    stage.ask(stage.agent, agent, "text.send", text="sorry")
    assert consumer.last("text.said")["text"] == "sorry"
    stage.ask(stage.agent, agent, "session.end")
    await stage.settle()
    assert consumer.last("session.ended")["reason"] == "ended_by_agent"


async def test_one_person_has_so_many_connections_and_the_next_is_told_to_come_later(
    stage: Stage,
) -> None:
    agent, consumer = await stage.talking()
    guest, first = await stage.guest(admitted=True)
    journal, told = len(stage.ledger.entries), len(agent.heard)
    more = [stage.connect(guest, Surface.GUEST_PAGE) for _ in range(CONNECTION_LIMIT + 4)]
    await stage.settle()
    taken, refused = more[: CONNECTION_LIMIT - 1], more[CONNECTION_LIMIT - 1 :]
    assert [each.transport.closes for each in (first, *taken)] == [[]] * CONNECTION_LIMIT
    assert {each.transport.closes[0]["code"] for each in refused} == {4429}
    assert (len(stage.ledger.entries), len(agent.heard)) == (journal, told)
    # One that is back in place of its own older one has its place, and so has whom it gave up.
    back = stage.connect(
        guest, Surface.GUEST_PAGE, last_seq=1, widget_id=taken[0].connection.widget_id
    )
    stage.disconnect(guest, taken[1])
    again = stage.connect(guest, Surface.GUEST_PAGE)
    await stage.settle()
    assert back.transport.closes == again.transport.closes == []
    assert consumer.transport.closes == []


async def test_whoever_flooded_may_leave_at_once(stage: Stage) -> None:
    _, consumer = await stage.talking()
    for number in range(500):
        message = flooding("mode", number, "", "")
        stage.requests.handle(stage.consumer(), consumer.connection, message)
    stage.ask(stage.consumer(), consumer, "session.leave")
    await stage.settle()
    assert stage.ledger.types()[-1] == "participant.left"


SILENT = dict.fromkeys(("microphone", "camera", "screen"), False)


async def test_who_turns_a_camera_on_and_off_without_end_disturbs_nobody(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    person = stage.consumer()
    rosters = agent.types().count("roster.changed")
    for number in range(500):
        camera = number % 2 == 0
        stage.ask(person, consumer, "media.publish", **{**SILENT, "camera": camera})
        await asyncio.sleep(0)
    assert 1 <= agent.types().count("roster.changed") - rosters <= 2 * SWITCH_COUNT
    assert agent.transport.closes == consumer.transport.closes == []
    # Nothing is refused: the last word is kept, and here it was to be off.
    assert consumer.types().count("request.done") >= 500
    assert not person.published[PublishSource.CAMERA]


@pytest.fixture
async def hasty(stage: Stage) -> Trunk:
    """A consumer who turned the camera on too often within a moment; it is off, and shown so."""
    agent, consumer = await stage.talking()
    session = stage.session
    session.publishing = Publishing(
        session.media, session.narrator.roster_changed, lambda: stage.now_ms, window=(2, 20)
    )
    for number in range(5):
        sent = {**SILENT, "microphone": True, "camera": number % 2 == 0}
        stage.ask(stage.consumer(), consumer, "media.publish", **sent)
    await stage.settle()
    assert not agent.last("roster.changed")["roster"][1]["camera"]
    return agent


async def test_the_newest_wish_comes_true_once_the_pace_lets_it(stage: Stage, hasty: Trunk) -> None:
    stage.now_ms += 20
    await until(lambda: hasty.last("roster.changed")["roster"][1]["camera"], "the camera is on")


async def test_a_wish_that_waits_does_not_outlive_a_mute(stage: Stage, hasty: Trunk) -> None:
    person, publishing = stage.consumer(), stage.session.publishing
    publishing.silence(person, [PublishSource.CAMERA], "p-agent")
    publishing.say(person, {**person.published, PublishSource.SCREEN: True})
    assert not person.published[PublishSource.SCREEN]
    stage.now_ms += 20
    await until(lambda: person.published[PublishSource.SCREEN], "the screen is shown")
    assert person.published[PublishSource.MICROPHONE]
    assert not person.published[PublishSource.CAMERA]


async def test_what_one_person_puts_into_the_journal_in_an_hour_is_bounded(stage: Stage) -> None:
    _, consumer = await stage.talking()
    stage.now_ms += HOUR_MS
    journal = len(stage.ledger.entries)
    for number in range(3 * HOUR_COUNT):
        stage.now_ms += PACE_MS // PACE_COUNT
        message = flooding("mode", number, "", "")
        stage.requests.handle(stage.consumer(), consumer.connection, message)
    await stage.settle()
    # Each way into video takes one; the way back to voice is always open.
    assert len(stage.ledger.entries) - journal <= 2 * HOUR_COUNT + 1
    assert consumer.last("request.refused")["code"] == "rate_limited"
    stage.now_ms += HOUR_MS
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    stage.ask(stage.consumer(), consumer, "media.mode", mode="video")
    await stage.settle()
    assert stage.session.decided.participants[stage.consumer().participant_id].mode is Mode.VIDEO


async def test_ids_of_the_host_that_change_without_end_are_written_seldom_and_the_newest_kept(
    stage: Stage,
) -> None:
    agent, _ = await stage.talking()
    stage.now_ms += PACE_MS
    appends = len(stage.ledger.appends)
    for number in range(500):
        ids = {"account_id": "acc", "rt_session_id": "eng", "visitor_name": str(number)}
        message = {"type": "engagement.update", "engagement": ids}
        stage.requests.handle(stage.agent, agent.connection, json.dumps(message).encode())
        await stage.settle()
    assert len(stage.ledger.appends) - appends == PACE_COUNT
    stage.session.checkpoints.write()
    stage.session.checkpoints.write()
    await stage.settle()
    assert len(stage.ledger.appends) - appends == PACE_COUNT + 1
    kept = stage.ledger.subjects[stage.agent.participant_id].body["engagement"]
    assert kept["visitor_name"] == "499"


async def test_offers_without_end_are_refused_before_they_cost_anything(stage: Stage) -> None:
    _, consumer = await stage.talking()
    for _ in range(3 * OFFER_COUNT):
        offer = {"transport_id": "t", "epoch": 1, "sdp": "none", "publish": [], "seats": []}
        stage.ask(stage.consumer(), consumer, "media.offer", **offer, screens=[])
    codes = [each["code"] for each in consumer.heard if each["type"] == "request.refused"]
    assert codes == ["offer_invalid"] * OFFER_COUNT + ["rate_limited"] * (2 * OFFER_COUNT)
