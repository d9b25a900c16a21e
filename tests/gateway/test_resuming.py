"""A widget comes back with its resume token."""

from __future__ import annotations

import asyncio

from broker.errors import ErrorCode, Gone
from broker.messages.cluster.sessions import SessionTakeover
from broker.messages.cluster.trunk import Location
from tests.gateway.conftest import WINDOW, Widget, World, attached


def resume_of(widget: Widget) -> str:
    """Return the token that a widget in a session got first."""
    return next(str(m["resume"]) for m in widget.got if m["type"] == "resume.renewed")


async def test_resuming_needs_no_ledger(world: World) -> None:
    widget, session = await attached(world)
    resume = resume_of(widget)
    await widget.socket.close()
    await session.signal.until(lambda: not session.callers)
    await world.ledger.stop()
    again = await world.widget()
    await again.greet(resume=resume, last_seq=9, engagement=WINDOW)
    kinds = [(await again.next())["type"] for _ in range(3)]
    assert kinds == ["connection.welcome", "resume.renewed", "session.snapshot"]
    assert (again.got[0]["in_session"], again.got[0]["resumed"]) == (True, True)
    hello = session.seen[-1]
    assert hello.last_seq == 9
    assert hello.principal.participant_id == "p-1"
    first = session.seen[0]
    assert (hello.widget_id, first.widget_id) == (first.connection_id, first.connection_id)
    assert hello.connection_id != first.connection_id
    await world.ledger.start()


async def test_resuming_after_a_takeover_finds_the_new_actor(world: World) -> None:
    widget, session = await attached(world)
    resume = resume_of(widget)
    await widget.socket.close()
    successor = await world.session(epoch=2)
    world.ledger.places["s-1"] = successor.location
    await session.stop()
    again = await world.widget()
    await again.greet(resume=resume, last_seq=9)
    assert (await again.until("session.snapshot"))["epoch"] == 2
    assert successor.seen[-1].last_seq is None
    # Before it has a pass for the new tenure, in which its `last_seq` would mean something else.
    kinds = [message["type"] for message in again.got]
    assert kinds[:3] == ["connection.welcome", "session.moved", "resume.renewed"]


async def test_resuming_an_ended_session_falls_back_to_the_other_token(world: World) -> None:
    widget, session = await attached(world)
    resume = resume_of(widget)
    await widget.socket.close()
    await session.stop()
    world.ledger.live.clear()
    world.ledger.faults["session.takeover"] = Gone(ErrorCode.SESSION_ENDED, "It has ended.")
    again = await world.widget()
    welcome = await again.hello(resume=resume, token=world.waiting_token(), engagement=WINDOW)
    assert (welcome["type"], welcome["in_session"]) == ("connection.welcome", False)
    assert not welcome["resumed"]


async def test_a_connection_closed_in_its_greeting_leaves_no_presence(world: World) -> None:
    widget, session = await attached(world)
    resume = resume_of(widget)
    await widget.socket.close()
    await world.ledger.signal.until(lambda: not world.ledger.puts)
    granted = asyncio.Event()

    async def takeover(request: SessionTakeover) -> Location:
        await granted.wait()
        raise Gone(ErrorCode.SESSION_ENDED, "It has ended.")

    world.ledger.on_takeover = takeover
    world.ledger.live.clear()
    await session.stop()
    again = await world.widget()
    await again.greet(resume=resume, token=world.waiting_token(), engagement=WINDOW)
    await world.ledger.signal.until(lambda: world.ledger.takeovers)
    (connection,) = world.room.connections
    connection.close(1001, "The gateway is stopping.")
    granted.set()
    assert await again.closed() == 1001
    await world.consumer()
    assert connection.connection_id not in world.ledger.puts


async def test_a_widget_that_went_while_it_was_greeted_replaces_nobody(world: World) -> None:
    """It may be back by another connection, of which the session would think it the newer one."""
    widget, session = await attached(world)
    resume = resume_of(widget)
    successor = await world.session(epoch=2)
    granted = asyncio.Event()

    async def takeover(request: SessionTakeover) -> Location:
        await granted.wait()
        return successor.location

    world.ledger.on_takeover = takeover
    await session.stop()
    impatient = await world.widget()
    await impatient.greet(resume=resume, last_seq=9)
    await world.ledger.signal.until(lambda: len(world.ledger.takeovers) == 2)
    await impatient.socket.close()
    granted.set()
    assert (await widget.until("session.snapshot"))["epoch"] == 2
    await widget.say(type="connection.ping")
    await widget.until("connection.pong")
    # The closed one is let go by then, and the session has seen one connection.
    assert len(world.room) == 1
    assert len(successor.seen) == 1


async def test_the_session_is_told_which_attempt_of_its_page_a_connection_is(world: World) -> None:
    widget, session = await attached(world)
    resume = resume_of(widget)
    back = await world.widget()
    await back.greet(resume=resume, last_seq=9, attempt=4)
    await back.until("session.snapshot")
    assert [hello.attempt for hello in session.seen] == [0, 4]
    # And the actor after it, who has seen neither.
    successor = await world.session(epoch=2)
    world.ledger.relocate(successor)
    await successor.signal.until(lambda: len(successor.seen) == 2)
    assert sorted(hello.attempt for hello in successor.seen) == [0, 4]


async def test_a_page_that_is_new_is_another_widget_though_it_resumes(world: World) -> None:
    """A copied or reloaded page: the one that it was copied from keeps its connection."""
    widget, session = await attached(world)
    resume = resume_of(widget)
    copied = await world.widget()
    await copied.greet(resume=resume)
    await copied.until("session.snapshot")
    first, second = session.seen
    assert second.principal.participant_id == "p-1"
    assert first.widget_id != second.widget_id
    assert (first.former_widget_id, second.former_widget_id) == (None, first.widget_id)


async def test_who_came_back_is_nobody_known_in_the_next_session(world: World) -> None:
    widget, first = await attached(world)
    resume = resume_of(widget)
    await widget.socket.close()
    await first.signal.until(lambda: not first.callers)
    again = await world.widget()
    await again.greet(resume=resume, last_seq=9, engagement=WINDOW)
    await again.until("session.snapshot")
    del world.ledger.live["eng-1"]
    (await first.caller()).close(4410, "over", to_waiting=True)
    await first.signal.until(lambda: not first.callers)
    second = await world.session("s-2")
    world.ledger.attach(second)
    assert (await again.until("session.snapshot"))["session_id"] == "s-2"
    # A session that is asked for somebody of another one turns them away.
    known_as = [hello.principal.participant_id for hello in (*first.seen, *second.seen)]
    assert known_as == [None, "p-1", None]
