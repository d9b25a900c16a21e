"""An agent takes back what they have started."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from broker.errors import ErrorCode, Gone, NotFound
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.presence import PresenceState, PresenceWatch
from broker.messages.cluster.sessions import SessionOpen, SessionWithdraw
from broker.messages.cluster.trunk import Location
from gateway.connections.steward import Steward
from tests.gateway.conftest import ENGAGEMENT, Widget, World

METHOD = SessionWithdraw.method
START: dict[str, Any] = {"type": "session.start", "id": "start", "mode": "video"}
END: dict[str, Any] = {"type": "session.end", "id": "end"}
NO_SESSION = NotFound(ErrorCode.UNKNOWN_SESSION, "This connection has begun no session here.")


class Queue:
    """A ledger without a standby: what is started waits there, and may be taken back."""

    def __init__(self, world: World) -> None:
        self.asked: list[SessionWithdraw] = []
        self._withdrawn = asyncio.Event()
        self._ledger = world.ledger
        world.ledger.on_open = self._open
        world.ledger.others[METHOD] = self._withdraw

    async def _open(self, asked: SessionOpen) -> Location:
        self._ledger.signal.changed()
        await self._withdrawn.wait()
        raise Gone(ErrorCode.WITHDRAWN, "The start was taken back.")

    def _withdraw(self, payload: bytes) -> ClusterMessage:
        self.asked.append(read(SessionWithdraw, payload))
        self._withdrawn.set()
        return Done()


async def starting(world: World) -> Widget:
    """An agent whose start the ledger has."""
    agent = await world.agent()
    await agent.until("reach.changed")
    await agent.say(**START)
    await world.ledger.signal.until(lambda: world.ledger.opened)
    return agent


async def answers(agent: Widget, count: int) -> dict[str, str]:
    """What as many requests are answered, by their ids: a code, or that they are done."""
    said: dict[str, str] = {}
    while len(said) < count:
        message = await agent.next()
        if message.get("reply_to"):
            said[message["reply_to"]] = message.get("code", message["type"])
    return said


async def test_a_start_that_waits_is_taken_back_by_its_own_connection_alone(world: World) -> None:
    queue, agent, other = Queue(world), await starting(world), await world.agent()
    await other.say(**END)
    assert await answers(other, 1) == {"end": "not_in_session"}
    assert queue.asked == []
    await agent.say(**END)
    assert await answers(agent, 2) == {"start": "withdrawn", "end": "request.done"}
    (opened,) = world.ledger.opened
    mine = agent.got[0]["connection_id"]
    assert opened.connection_id == mine
    assert queue.asked == [
        SessionWithdraw(account_id="acc", engagement_key="eng-1", connection_id=mine)
    ]
    # Nothing is left to be taken back, and another start is one of its own.
    await agent.say(**END)
    assert await answers(agent, 1) == {"end": "not_in_session"}
    await agent.say(**START)
    assert await answers(agent, 1) == {"start": "withdrawn"}
    assert (len(world.ledger.opened), len(queue.asked)) == (2, 1)


async def test_what_the_ledger_says_to_it_is_the_answer_and_the_start_goes_on(world: World) -> None:
    Queue(world)
    world.ledger.faults[METHOD] = NO_SESSION
    agent = await starting(world)
    await agent.say(**END)
    assert await answers(agent, 1) == {"end": "unknown_session"}
    del world.ledger.faults[METHOD]
    await agent.say(**END)
    assert await answers(agent, 2) == {"start": "withdrawn", "end": "request.done"}


async def test_it_is_taken_back_at_the_engagement_where_it_was_started(world: World) -> None:
    queue, agent = Queue(world), await starting(world)
    elsewhere = {**ENGAGEMENT, "rt_session_id": "eng-2"}
    await agent.say(type="engagement.update", engagement=elsewhere)
    await agent.say(**END)
    assert await answers(agent, 2) == {"start": "withdrawn", "end": "request.done"}
    assert [each.engagement_key for each in queue.asked] == ["eng-1"]


async def test_it_is_taken_back_though_the_widget_closes_behind_it(world: World) -> None:
    queue, agent = Queue(world), await starting(world)
    await agent.say(**END)
    await agent.socket.close()
    await world.ledger.signal.until(lambda: queue.asked)


async def test_a_connection_is_not_over_before_what_it_takes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that stops waits for its connections, and cuts its link to the ledger then."""
    queue, agent = Queue(world), await starting(world)
    reached, gate = asyncio.Event(), asyncio.Event()
    ask, close = world.directory.ask, Steward.close
    waited: list[bool] = []

    async def held(request: Any, reply: type[ClusterMessage]) -> ClusterMessage:
        reached.set()
        await gate.wait()
        return await ask(request, reply)

    async def watched(steward: Steward) -> None:
        closing = asyncio.ensure_future(close(steward))
        # Many more turns of the loop than a close takes that waits for nothing.
        for _ in range(20):
            await asyncio.sleep(0)
        waited.append(not closing.done())
        gate.set()
        await closing

    monkeypatch.setattr(world.directory, "ask", held)
    monkeypatch.setattr(Steward, "close", watched)
    await agent.say(**END)
    await reached.wait()
    await world.server.stop()
    assert (waited, len(queue.asked)) == ([True], 1)


async def test_one_that_another_errand_holds_up_never_reaches_the_ledger(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, agent = Queue(world), await world.agent()
    await agent.until("reach.changed")
    reached, gate, watch = asyncio.Event(), asyncio.Event(), world.directory.watch_presence

    async def held(said: PresenceWatch) -> PresenceState:
        reached.set()
        await gate.wait()
        return await watch(said)

    monkeypatch.setattr(world.directory, "watch_presence", held)
    await agent.say(type="engagement.update", engagement=ENGAGEMENT)
    await reached.wait()
    await agent.say(**START)
    await agent.say(**END)
    assert await answers(agent, 2) == {"start": "withdrawn", "end": "request.done"}
    gate.set()
    await agent.say(**END)
    assert await answers(agent, 1) == {"end": "not_in_session"}
    assert (world.ledger.opened, queue.asked) == ([], [])


async def test_one_that_waits_for_the_ledger_is_taken_back_without_it(world: World) -> None:
    queue, agent = Queue(world), await world.agent()
    await agent.until("reach.changed")
    await world.ledger.stop()
    await agent.say(**START)
    await agent.say(**END)
    assert await answers(agent, 2) == {"start": "withdrawn", "end": "request.done"}
    await agent.say(**END)
    assert await answers(agent, 1) == {"end": "not_in_session"}
    await world.ledger.start(world.ledger.port)
    await world.ledger.signal.until(lambda: world.ledger.watches)
    assert (world.ledger.opened, queue.asked) == ([], [])
    # The next is asked for, and taken back by the ledger.
    await agent.say(**START)
    await world.ledger.signal.until(lambda: world.ledger.opened)
    await agent.say(**END)
    assert await answers(agent, 2) == {"start": "withdrawn", "end": "request.done"}
    assert len(queue.asked) == 1


@pytest.mark.parametrize("comes", ["in", "too late"])
async def test_until_the_widget_is_in_its_session_the_ledger_is_asked(
    world: World, comes: str
) -> None:
    session = await world.session()
    session.held = True

    async def opened(asked: SessionOpen) -> Location:
        return session.location

    withdrawn: list[bytes] = []

    def withdraw(payload: bytes) -> ClusterMessage:
        withdrawn.append(payload)
        return Done()

    world.ledger.on_open = opened
    world.ledger.others[METHOD] = withdraw
    agent = await starting(world)
    await session.signal.until(lambda: session.seen)
    if comes == "too late":
        session.let_in()
        await agent.until("session.snapshot")
    await agent.say(**END)
    if comes == "in":
        assert await answers(agent, 2) == {"start": "request.done", "end": "request.done"}
    else:
        # It is the session's, as any other.
        caller = await session.caller()
        await session.signal.until(lambda: caller.messages)
        assert [each["type"] for each in caller.messages] == ["session.end"]
    assert bool(withdrawn) is (comes == "in")
