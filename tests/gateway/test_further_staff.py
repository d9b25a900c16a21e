"""A second agent or a supervisor at an engagement that has a session: which ways they are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.errors import Conflict, ErrorCode
from broker.words import Role, Way
from gateway.settings import Settings
from tests.gateway.conftest import ENGAGEMENT, Widget, World
from tests.gateway.fake_session import FakeSession

MINE = {**ENGAGEMENT, "agent_id": "8", "chatting_agent_id": "acc.8"}
ANOTHERS = {**ENGAGEMENT, "agent_id": "8", "chatting_agent_id": "acc:7"}


async def live(world: World) -> FakeSession:
    """A session that knows only its own people."""
    session = await world.session()
    session.refusal = Conflict(ErrorCode.ALREADY_LIVE, "Another agent holds a session.")
    world.ledger.live["eng-1"] = world.ledger.places["s-1"] = session.location
    return session


async def second(world: World, engagement: dict[str, Any], role: Role = Role.AGENT) -> Widget:
    token = world.agent_token("8", role)
    return await world.agent(token=token, engagement=engagement)


@pytest.mark.parametrize(
    ("engagement", "role", "ways"),
    [
        (ANOTHERS, Role.AGENT, ["consult"]),
        (MINE, Role.AGENT, ["take_over", "consult"]),
        ({**MINE, "spectating": True}, Role.AGENT, ["consult"]),
        (ANOTHERS, Role.SUPERVISOR, ["join"]),
    ],
    ids=["another's", "transferred", "watching", "supervisor"],
)
async def test_the_ways_in_follow_role_and_conversation(
    world: World, engagement: dict[str, Any], role: Role, ways: list[str]
) -> None:
    await live(world)
    widget = await second(world, engagement, role)
    assert (await widget.until("ways.changed"))["ways"] == ways


async def test_whoever_starts_on_a_live_engagement_is_told_so(world: World) -> None:
    await live(world)
    world.ledger.faults["session.open"] = Conflict(ErrorCode.ALREADY_LIVE, "It has one.")
    widget = await second(world, ANOTHERS)
    await widget.until("ways.changed")
    await widget.say(type="session.start", id="1", mode="video")
    refusal = await widget.until("request.refused")
    assert (refusal["code"], refusal["reply_to"]) == ("already_live", "1")


async def test_taking_a_way_dials_the_session_with_it(world: World) -> None:
    session = await live(world)
    widget = await second(world, ANOTHERS)
    await widget.until("ways.changed")
    session.refusal = None
    await widget.say(type="session.join", id="1", way="consult")
    assert (await widget.until("request.done"))["reply_to"] == "1"
    await widget.until("session.snapshot")
    assert session.seen[-1].way is Way.CONSULT
    assert session.seen[0].way is None


async def test_a_way_that_is_refused_leaves_the_widget_idle(world: World) -> None:
    session = await live(world)
    widget = await second(world, ANOTHERS)
    await widget.until("ways.changed")
    for number in ("1", "2"):
        await widget.say(type="session.join", id=number, way="consult")
        assert (await widget.until("request.refused"))["reply_to"] == number
    assert len(session.seen) == 3


async def test_without_a_session_there_is_nothing_to_join_and_its_end_is_told(
    world: World,
) -> None:
    widget = await second(world, ANOTHERS)
    await widget.until("reach.changed")
    await widget.say(type="session.join", id="1", way="consult")
    assert (await widget.until("request.refused"))["code"] == "not_in_session"
    await live(world)
    world.ledger.tell_watchers()
    assert (await widget.until("ways.changed"))["ways"] == ["consult"]
    world.ledger.live.clear()
    world.ledger.tell_watchers()
    assert (await widget.until("ways.changed"))["ways"] == []


async def test_a_transfer_in_mid_call_changes_the_ways(world: World) -> None:
    await live(world)
    widget = await second(world, ANOTHERS)
    await widget.until("ways.changed")
    await widget.say(type="engagement.update", engagement=MINE)
    assert (await widget.until("ways.changed"))["ways"] == ["take_over", "consult"]


async def test_another_conversation_in_the_same_widget_is_another_engagement(
    world: World,
) -> None:
    await live(world)
    widget = await second(world, ANOTHERS)
    await widget.until("ways.changed")
    other = {**ANOTHERS, "rt_session_id": "eng-2"}
    await widget.say(type="engagement.update", engagement=other)
    assert (await widget.until("ways.changed"))["ways"] == []


@pytest.mark.parametrize(
    ("engagement", "role"),
    [({**MINE, "spectating": True}, Role.AGENT), (MINE, Role.SUPERVISOR)],
    ids=["spectator", "supervisor"],
)
async def test_whoever_watches_a_conversation_starts_nothing(
    world: World, engagement: dict[str, Any], role: Role
) -> None:
    widget = await second(world, engagement, role)
    await widget.until("reach.changed")
    await widget.say(type="session.start", id="1", mode="video")
    assert (await widget.until("request.refused"))["code"] == "not_permitted"
    assert world.ledger.opened == []


class TestMonitoring:
    """An account that lets supervisors listen unseen."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        account = replace(settings.accounts["acc"], policy={"silent_monitoring": True})
        return replace(settings, accounts={"acc": account})

    async def test_a_supervisor_is_offered_to_listen(self, world: World) -> None:
        await live(world)
        widget = await second(world, ANOTHERS, Role.SUPERVISOR)
        assert (await widget.until("ways.changed"))["ways"] == ["join", "monitor", "whisper"]

    async def test_the_session_learns_it_when_it_is_opened(self, world: World) -> None:
        session = await world.session()

        async def opened(_: object) -> object:
            return session.location

        world.ledger.on_open = opened  # type: ignore[assignment]
        widget = await second(world, MINE)
        await widget.until("reach.changed")
        await widget.say(type="session.start", id="1", mode="video")
        await widget.until("session.snapshot")
        assert [asked.policy for asked in world.ledger.opened] == [{"silent_monitoring": True}]
