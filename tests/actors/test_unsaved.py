"""What was done while the ledger was away is not lost with the actor: gateways keep it, and the
next actor does it again, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from actors.session.admission import admit
from broker.errors import ErrorCode, Gone, Unavailable
from broker.messages.cluster.tenure import SessionUnsaved
from broker.messages.cluster.trunk import Principal
from broker.policy import Policy
from broker.words import Attendance, Mode, Role, Surface
from tests.actors.stage import Stage, Trunk, hello_of
from tests.actors.test_away import BACKEND_REDUCING, HELPER, REDUCING, Scene, by_backend
from tests.actors.test_takeover import succeeding

DEEDS = {
    **{deed: event for deed, (_, _, _, event) in REDUCING.items() if event},
    **{f"{deed} by the backend": event for deed, (_, event) in BACKEND_REDUCING.items() if event},
}
"""What leads to an event, and which; what leads to none is told anew by the widgets themselves."""


@pytest.fixture
def policy() -> Policy:
    return Policy(silent_monitoring=True)


async def unsaved(stage: Stage, deed: str) -> SessionUnsaved:
    """Do it while the ledger is away; returns what a gateway keeps at the actor's death."""
    scene = Scene(stage)
    backend = deed.removesuffix(" by the backend")
    who, type_, fields, _ = REDUCING.get(deed, ("agent", "", {}, ""))
    await scene.begin(rings=who in ("rung", "ringing") or backend == "cancel_invitation")
    assert stage.unsaved == []
    stage.ledger.reachable = False
    if deed in REDUCING:
        assert scene.say(who, type_, fields)["type"] == "request.done"
    else:
        assert by_backend(stage, backend, BACKEND_REDUCING[backend][0]).is_done
    return stage.unsaved[-1]


@asynccontextmanager
async def back(stage: Stage) -> AsyncIterator[Stage]:
    """The actor dies, then the ledger is back and gives the session to another."""
    async with succeeding(stage) as successor:
        successor.ledger.reachable = True
        yield successor


@pytest.mark.parametrize("deed", DEEDS)
async def test_the_next_actor_does_it_again_and_only_once(stage: Stage, deed: str) -> None:
    kept = await unsaved(stage, deed)
    event = DEEDS[deed]
    async with back(stage) as successor:
        before = successor.ledger.types().count(event)
        assert before == stage.ledger.types().count(event), "the journal lacks it"
        answered: list[str] = []
        for gateway in ("one", "two"):
            successor.session.unsaved.recall(kept, partial(answered.append, gateway))
        await successor.settle()
        assert successor.ledger.types().count(event) == before + 1
        assert answered == ["one", "two"]


async def test_who_asks_again_is_answered_by_the_actor_that_did_it_again(stage: Stage) -> None:
    scene = Scene(stage)
    await scene.begin(rings=False)
    stage.ledger.reachable = False
    agent = scene.trunks["agent"]
    stage.ask(stage.agent, agent, "participant.remove", id="out", participant_id=HELPER)
    kept = stage.unsaved[-1]
    async with back(stage) as successor:
        successor.session.unsaved.recall(kept, lambda: None)
        trunk = successor.connect(successor.agent, Surface.AGENT_FRAME)
        await successor.settle()
        successor.ask(successor.agent, trunk, "participant.remove", id="out", participant_id=HELPER)
        await successor.settle()
        assert trunk.last("request.done")["reply_to"] == "out"


async def test_one_that_cannot_be_done_again_costs_no_other(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    kept = await unsaved(stage, "remove")
    broken = kept.entries[0].model_copy(update={"seq": kept.entries[0].seq - 1, "body": {}})
    kept = kept.model_copy(update={"entries": [broken, *kept.entries]})
    async with back(stage) as successor:
        answered: list[bool] = []
        successor.session.unsaved.recall(kept, lambda: answered.append(True))
        await successor.settle()
        assert successor.ledger.types()[-1] == "participant.left"
        assert answered == [True]
        assert "not recalled" in caplog.messages


async def test_it_is_told_before_anybody_learns_of_it_and_again_when_all_is_saved(
    stage: Stage,
) -> None:
    scene = Scene(stage)
    await scene.begin(rings=False)
    stage.ledger.reachable = False
    helper, told = scene.trunks["helper"], stage.session.unsaved._tell

    def tell(said: SessionUnsaved) -> None:
        assert not said.entries or "session.left" not in helper.types()
        told(said)

    stage.session.unsaved._tell = tell
    scene.say("agent", "participant.remove", {"participant_id": HELPER})
    assert helper.types()[-1] == "session.left"
    await scene.comes_back()
    assert [[entry.type for entry in said.entries] for said in stage.unsaved] == [
        ["participant.left"],
        [],
    ]


async def test_what_is_saved_at_once_is_told_to_nobody(stage: Stage) -> None:
    scene = Scene(stage)
    await scene.begin(rings=False)
    agent = scene.trunks["agent"]
    stage.ask(stage.agent, agent, "participant.remove", participant_id=HELPER)
    await stage.settle()
    assert stage.ledger.types()[-1] == "participant.left"
    assert stage.unsaved == []


async def test_who_was_removed_does_not_come_back(stage: Stage) -> None:
    kept = await unsaved(stage, "remove")
    helper = Principal(
        role=Role.AGENT, account_id="acc", agent_id="8", name="Ben", participant_id=HELPER
    )
    async with back(stage) as successor:
        successor.session.unsaved.recall(kept, lambda: None)
        with pytest.raises(Gone) as refusal:
            admit(successor.session, hello_of(helper, epoch=2), lambda person: None)
        assert refusal.value.code is ErrorCode.NOT_IN_SESSION


async def test_a_later_wish_stands_when_another_gateway_brings_the_same(stage: Stage) -> None:
    kept = await unsaved(stage, "voice")
    async with back(stage) as successor:
        successor.session.unsaved.recall(kept, lambda: None)
        person = successor.consumer()
        trunk = successor.connect(person, Surface.LAUNCHER)
        await successor.settle()
        assert trunk.last("session.snapshot")["mode"] == "voice"
        successor.ask(person, trunk, "media.mode", mode="video")
        await successor.settle()
        successor.session.unsaved.recall(kept, lambda: None)
        await successor.settle()
        assert trunk.last("rights.changed")["mode"] == "video"


@pytest.mark.parametrize("saved", [True, False], ids=["saved after all", "never saved"])
async def test_who_came_back_since_is_not_sent_out_by_what_a_gateway_brings_late(
    stage: Stage, saved: bool
) -> None:
    _, consumer = await stage.talking()
    stage.ledger.reachable = False
    stage.now_ms += 1_000
    stage.ask(stage.consumer(), consumer, "session.leave")
    assert consumer.types()[-1] == "session.left"
    kept = stage.unsaved[-1]
    if saved:
        stage.ledger.reachable = True
        await stage.settle()
        stage.now_ms += 1_000
        await ring_and_accept(stage, stage.connect(stage.agent, Surface.AGENT_FRAME))
    async with back(stage) as second:
        second.now_ms = stage.now_ms + 1_000
        if not saved:
            # One gateway is there at once, the other is not.
            second.session.unsaved.recall(kept, lambda: None)
        agent = second.connect(second.agent, Surface.AGENT_FRAME)
        if not saved:
            await second.settle()
            await ring_and_accept(second, agent)
        async with back(second) as third:
            third.connect(third.consumer(), Surface.LAUNCHER)
            await third.settle()
            third.session.unsaved.recall(kept, lambda: None)
            await third.settle()
            here = third.session.durable.participants[third.consumer().participant_id]
            assert here.attendance is Attendance.PRESENT


async def ring_and_accept(stage: Stage, agent: Trunk) -> None:
    """The agent invites anew, and the consumer takes part again."""
    launcher = stage.connect(stage.consumer(), Surface.LAUNCHER)
    stage.ask(stage.agent, agent, "invitation.send", mode="video")
    await stage.settle()
    stage.now_ms += 1_000
    stage.accept(launcher)
    await stage.settle()
    here = stage.session.durable.participants[stage.consumer().participant_id]
    assert here.attendance is Attendance.PRESENT


async def test_video_wanted_since_stands_also_in_a_later_tenure(stage: Stage) -> None:
    kept = await unsaved(stage, "voice")
    async with back(stage) as second:
        second.session.unsaved.recall(kept, lambda: None)
        second.now_ms = stage.now_ms + 1_000
        person = second.consumer()
        trunk = second.connect(person, Surface.LAUNCHER)
        second.ask(person, trunk, "media.mode", mode="video")
        await second.settle()
        async with back(second) as third:
            third.session.unsaved.recall(kept, lambda: None)
            assert third.session.decided.participants[person.participant_id].mode is Mode.VIDEO


async def test_a_later_invitation_is_not_taken_back(stage: Stage) -> None:
    kept = await unsaved(stage, "cancel")
    async with back(stage) as successor:
        agent = successor.connect(successor.agent, Surface.AGENT_FRAME)
        await successor.settle()
        successor.ask(successor.agent, agent, "invitation.cancel")
        successor.ask(successor.agent, agent, "invitation.send", mode="video")
        await successor.settle()
        successor.session.unsaved.recall(kept, lambda: None)
        await successor.settle()
        assert successor.session.durable.invitation is not None
        assert successor.session.durable.invitation.open


async def test_the_tenure_itself_says_whether_it_is_saved_by_now(stage: Stage) -> None:
    scene = Scene(stage)
    await scene.begin(rings=False)
    stage.ledger.reachable = False
    scene.say("agent", "participant.remove", {"participant_id": HELPER})
    answered: list[bool] = []
    with pytest.raises(Unavailable):
        stage.session.unsaved.recall(stage.unsaved[-1], lambda: answered.append(True))
    await scene.comes_back()
    stage.session.unsaved.recall(stage.unsaved[0], lambda: answered.append(True))
    assert answered == [True]
    assert stage.ledger.types().count("participant.left") == 1
