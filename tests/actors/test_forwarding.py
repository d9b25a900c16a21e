"""What the relay is let pass on: a mute, a right withdrawn, a mistake of its own."""

from __future__ import annotations

import pytest

from actors.relay import MediaRights
from broker.words import PublishSource, Surface
from tests.actors.crafted import offer, offered
from tests.actors.stage import Stage
from tests.actors.test_connecting_ahead import transports


async def test_a_mute_by_the_agent_stops_the_forwarding_until_the_person_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, consumer = await stage.talking()
    person = stage.consumer()
    forwarded: list[dict[PublishSource, bool]] = []
    monkeypatch.setattr(
        stage.session.media, "publish", lambda _, sources: forwarded.append(sources)
    )
    sending = {"microphone": True, "camera": True, "screen": False}
    stage.ask(person, consumer, "media.publish", **sending)
    muted = {"participant_id": person.participant_id, "sources": ["camera"]}
    stage.ask(stage.agent, agent, "participant.mute", **muted)
    await stage.settle()
    assert consumer.last("participant.muted")["sources"] == ["camera"]
    assert forwarded[-1] == {
        PublishSource.MICROPHONE: True,
        PublishSource.CAMERA: False,
        PublishSource.SCREEN: False,
    }
    [seen] = [
        entry
        for entry in agent.last("roster.changed")["roster"]
        if entry["participant_id"] == person.participant_id
    ]
    assert (seen["microphone"], seen["camera"]) == (True, False)
    # What was under way to here before the widget heard of it changes nothing.
    stage.ask(person, consumer, "media.publish", **sending)
    assert forwarded[-1][PublishSource.CAMERA] is False
    for camera in (False, True):
        stage.ask(person, consumer, "media.publish", **{**sending, "camera": camera})
    assert forwarded[-1][PublishSource.CAMERA] is True


async def test_a_page_that_comes_back_learns_who_stopped_what_it_sends(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    person, by = stage.consumer(), stage.agent.participant_id
    sending = {"microphone": True, "camera": True, "screen": False}
    stage.ask(person, consumer, "media.publish", **sending)
    # Its page is lost before it hears of that.
    stage.disconnect(person, consumer)
    muted = {"participant_id": person.participant_id, "sources": ["microphone", "screen"]}
    stage.ask(stage.agent, agent, "participant.mute", **muted)
    back = stage.connect(person, Surface.LAUNCHER)
    await stage.settle()
    assert back.types().index("session.snapshot") < back.types().index("participant.muted")
    said = back.last("participant.muted")
    assert (said["by_participant_id"], said["sources"]) == (by, ["microphone"])
    stage.ask(person, back, "media.publish", **sending)
    assert not person.published[PublishSource.MICROPHONE]
    # Once it has said so itself nobody says it again, and it may go on.
    stage.ask(person, back, "media.publish", **{**sending, "microphone": False})
    again = stage.connect(person, Surface.LAUNCHER)
    await stage.settle()
    assert "session.snapshot" in again.types()
    assert "participant.muted" not in again.types()
    stage.ask(person, again, "media.publish", **sending)
    assert person.published[PublishSource.MICROPHONE]


async def test_rights_that_the_relay_failed_to_take_are_taken_at_the_next_change(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, consumer = await stage.talking()
    for person, trunk in ((stage.agent, agent), (stage.consumer(), consumer)):
        assert offered(stage, person, trunk)["type"] == "media.answer"
    people = (stage.agent.participant_id, stage.consumer().participant_id)
    taken: dict[str, MediaRights] = {}
    broken = {people[0]}

    def take(participant_id: str, rights: MediaRights) -> None:
        if participant_id in broken:
            raise RuntimeError("a mistake")
        taken[participant_id] = rights

    monkeypatch.setattr(stage.session.media._relay, "set_rights", take)
    voice = MediaRights(True, False, False, receive_video=False)
    for person, trunk in ((stage.agent, agent), (stage.consumer(), consumer)):
        stage.ask(person, trunk, "media.mode", mode="voice")
    assert taken == {people[1]: voice}, "one's mistake is not another's"
    broken.clear()
    granted = {"participant_id": people[1], "capabilities": ["send_audio"]}
    stage.ask(stage.agent, agent, "participant.grant", **granted)
    assert taken[people[0]] == voice


async def test_what_is_withdrawn_in_mid_call_the_relay_passes_on_no_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, consumer = await stage.talking()
    me = stage.consumer().participant_id
    assert offer(stage, consumer)["type"] == "media.answer"
    told: list[tuple[str, MediaRights]] = []
    monkeypatch.setattr(stage.session.media._relay, "set_rights", lambda *all: told.append(all))

    def grant(*capabilities: str) -> None:
        stage.ask(
            stage.agent,
            agent,
            "participant.grant",
            participant_id=me,
            capabilities=list(capabilities),
        )

    # Less holds at once, more once it is saved.
    stage.ledger.open.clear()
    grant("send_audio")
    assert told.pop() == (me, MediaRights(True, False, False))
    stage.ledger.open.set()
    await stage.settle()
    stage.ledger.open.clear()
    grant("send_audio", "send_video")
    assert told == []
    stage.ledger.open.set()
    await stage.settle()
    assert told.pop() == (me, MediaRights(True, True, False))
    assert consumer.last("rights.changed")["capabilities"] == ["send_audio", "send_video"]
    stage.ask(stage.consumer(), consumer, "media.mode", mode="voice")
    assert told.pop() == (me, MediaRights(True, False, False, receive_video=False))
    stage.ask(stage.agent, agent, "participant.remove", participant_id=me)
    await stage.settle()
    assert transports(stage) == []
    left = consumer.last("session.left")
    assert left["reason"] == "removed"
    assert left["by_participant_id"] == agent.last("session.snapshot")["participant_id"]
