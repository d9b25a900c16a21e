"""A session's actor dies or moves: widgets keep their socket."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from broker.errors import ErrorCode, Forbidden, Gone, Unavailable
from broker.link import ListeningEnd
from broker.messages.cluster.sessions import SessionTakeover
from broker.messages.cluster.trunk import Location, Principal
from broker.words import Role
from gateway.connections.connection import Connection
from gateway.proofs.tokens import Audience
from gateway.settings import Settings
from tests.gateway.conftest import KEY, WINDOW, Widget, World, attached
from tests.gateway.fake_session import BusySession, FakeSession
from tests.gateway.listening import Future
from tests.patience import PATIENCE


async def guest_of(world: World, session: FakeSession) -> Widget:
    """A guest's widget in a session."""
    world.ledger.places[session.session_id] = session.location
    guest = Principal(role=Role.GUEST, account_id="acc", guest_invitation_id="g-1", name="Gwen")
    widget = await world.widget()
    token = world.tokens.mint(Audience.GUEST, guest, 600, session_id=session.session_id)
    await widget.greet(token=token, surface="guest_page")
    await widget.until("session.snapshot")
    return widget


async def test_messages_pass_both_ways_as_they_are(world: World) -> None:
    widget, session = await attached(world)
    caller = await session.caller()
    await widget.say(type="media.publish", microphone=True, camera=False, screen=False)
    await widget.say(type="anything", the="actor", may="judge")
    await session.signal.until(lambda: len(caller.messages) == 2)
    assert caller.messages[1] == {"type": "anything", "the": "actor", "may": "judge"}
    caller.say(type="roster.changed", seq=2, roster=[])
    assert (await widget.next())["seq"] == 2


async def test_a_ping_is_answered_by_the_gateway_alone(world: World) -> None:
    widget, session = await attached(world)
    caller = await session.caller()
    await widget.say(type="connection.ping")
    assert (await widget.next()) == {"type": "connection.pong"}
    await widget.say(type="surface.update", visible=False)
    await session.signal.until(lambda: caller.messages)
    assert caller.messages == [{"type": "surface.update", "visible": False}]
    await world.ledger.signal.until(
        lambda: [put.visible for put in world.ledger.puts.values()] == [False]
    )


async def test_a_guest_is_the_same_guest_at_the_new_actor(world: World) -> None:
    session = await world.session()
    widget = await guest_of(world, session)
    successor = await world.session(epoch=2)
    world.ledger.places["s-1"] = successor.location
    await session.stop()
    await widget.until("session.moved")
    (hello,) = successor.seen
    assert session.seen[0].principal.participant_id is None
    assert (hello.principal.participant_id, hello.principal.name) == ("p-1", "Gwen")
    assert hello.token_id == session.seen[0].token_id
    assert hello.token_id is not None, "by which they are known where nobody is bound to them yet"


async def test_who_is_in_no_session_is_not_asked_where_they_are_when_one_moves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway may hold twenty thousand, and a node take hundreds of sessions with it."""
    asked: list[str] = []
    on_relocated = Connection.on_relocated

    def noted(connection: Connection, location: Location) -> None:
        asked.append(connection.connection_id)
        on_relocated(connection, location)

    monkeypatch.setattr(Connection, "on_relocated", noted)
    widget, session = await attached(world)
    elsewhere = {**WINDOW, "window_session_id": "eng-2"}
    await world.consumer(engagement=elsewhere)
    assert len(world.room) == 2
    successor = await world.session(epoch=2)
    world.ledger.relocate(successor)
    await widget.until("session.moved")
    await successor.caller()
    assert asked == [session.seen[0].connection_id] == [successor.seen[0].connection_id]
    # Whoever has left is not either.
    (await successor.caller()).close(4410, "session_ended")
    await widget.closed()
    world.ledger.relocate(successor)
    # Behind that word the ledger answers the next who waits.
    await world.consumer(engagement=elsewhere)
    assert len(asked) == 1


async def test_a_dead_actor_is_replaced_and_the_widget_is_told(world: World) -> None:
    widget, session = await attached(world)
    successor = await world.session(epoch=2)
    world.ledger.places["s-1"] = successor.location
    await session.stop()
    kinds = [(await widget.next())["type"] for _ in range(3)]
    assert kinds == ["session.moved", "resume.renewed", "session.snapshot"]
    assert widget.got[-1]["epoch"] == 2
    (asked,) = world.ledger.takeovers
    assert (asked.session_id, asked.observed_epoch) == ("s-1", 1)
    assert successor.seen[0].last_seq is None
    assert world.room.metrics.registry.get_sample_value("switchboard_gateway_moves_total") == 1


async def test_what_a_widget_says_during_a_move_reaches_the_new_actor(world: World) -> None:
    widget, session = await attached(world)
    granted = asyncio.Event()
    successor = await world.session(epoch=2)

    async def takeover(request: SessionTakeover) -> Location:
        await granted.wait()
        return successor.location

    world.ledger.on_takeover = takeover
    await session.stop()
    await world.ledger.signal.until(lambda: world.ledger.takeovers)
    await widget.say(type="media.mode", id="5", mode="voice")
    await widget.say(type="connection.ping")
    assert (await widget.next())["type"] == "connection.pong"
    granted.set()
    caller = await successor.caller()
    await successor.signal.until(lambda: caller.messages)
    assert caller.messages[0]["id"] == "5"


class BriefSession(FakeSession):
    """Sends everybody back to waiting as soon as it has taken them."""

    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None:
        super().on_hello(end, hello)
        for caller in self.callers.values():
            caller.close(1000, "left", to_waiting=True)


async def test_what_was_said_to_one_session_never_reaches_another(world: World) -> None:
    widget, session = await attached(world)
    granted = asyncio.Event()
    successor = BriefSession(KEY, "s-1", epoch=2)
    world.sessions.append(successor)
    await successor.start()

    async def takeover(request: SessionTakeover) -> Location:
        await granted.wait()
        return successor.location

    world.ledger.on_takeover = takeover
    world.ledger.live.clear()
    await session.stop()
    await world.ledger.signal.until(lambda: world.ledger.takeovers)
    await widget.say(type="session.end", id="late")
    await widget.say(type="connection.ping")
    await widget.until("connection.pong")
    granted.set()
    await successor.signal.until(lambda: successor.seen)
    other = await world.session("s-2")
    world.ledger.attach(other)
    caller = await other.caller()
    await widget.say(type="media.mode", id="next", mode="voice")
    await other.signal.until(lambda: caller.messages)
    assert caller.messages[0]["id"] == "next"


async def test_a_relocation_notice_moves_without_waiting_for_a_break(world: World) -> None:
    widget, _ = await attached(world)
    successor = await world.session(epoch=2)
    world.ledger.relocate(successor)
    assert (await widget.until("session.moved"))["epoch"] == 2
    assert (await widget.until("session.snapshot"))["epoch"] == 2


async def test_what_the_actor_before_answers_meanwhile_arrives(world: World) -> None:
    """A request may be on its way to an actor that has just given the session up.

    It tells nothing more by itself: what it knows of the session may be long untrue.
    """
    widget, before = await attached(world)
    caller = await before.caller()
    successor = await world.session(epoch=2)
    successor.held = True
    world.ledger.relocate(successor)
    await successor.signal.until(lambda: bool(successor.seen))
    caller.say(type="roster.changed", roster=[], seq=2)
    caller.say(type="request.refused", reply_to="r-1", code="session_away", seq=3)
    assert (await widget.next())["reply_to"] == "r-1"
    successor.let_in()
    assert (await widget.next())["type"] == "session.moved"
    await before.signal.until(lambda: not before.callers)


async def busy_with(world: World, request_id: str) -> tuple[Widget, BusySession]:
    """A consumer's widget whose request has reached an actor that is too busy to read it."""
    session = BusySession(KEY, "s-1")
    await session.start()
    world.sessions.append(session)
    world.ledger.attach(session)
    widget = await world.consumer()
    await widget.until("session.snapshot")
    session.busy = True
    await widget.say(type="media.mode", id=request_id, mode="voice")
    await session.signal.until(lambda: session.unread)
    return widget, session


async def test_a_move_waits_for_what_the_actor_before_has_still_to_answer(
    settings: Settings,
) -> None:
    """It may be busy with the move itself; nobody else knows whether the request took effect."""
    patient = replace(settings.limits, last_answers_s=60 * PATIENCE)
    world = World(replace(settings, limits=patient))
    await world.start()
    try:
        widget, before = await busy_with(world, "r-1")
        successor = await world.session(epoch=2)
        world.ledger.relocate(successor)
        await successor.caller()
        for _ in range(3):
            await widget.say(type="connection.ping")
            assert (await widget.next())["type"] == "connection.pong"
        before.go_on()
        assert (await widget.next())["reply_to"] == "r-1"
        assert (await widget.next())["type"] == "session.moved"
        await before.signal.until(lambda: not before.callers)
    finally:
        await world.stop()


async def test_a_move_waits_only_so_long_for_the_actor_before(settings: Settings) -> None:
    world = World(replace(settings, limits=replace(settings.limits, last_answers_s=0.05)))
    await world.start()
    try:
        widget, _ = await busy_with(world, "r-1")
        successor = await world.session(epoch=2)
        world.ledger.relocate(successor)
        assert (await widget.next())["type"] == "session.moved"
        await widget.say(type="media.mode", id="r-1", mode="voice")
        caller = await successor.caller()
        await successor.signal.until(lambda: caller.messages)
    finally:
        await world.stop()


async def test_an_actor_that_lives_is_dialled_again_at_its_epoch(world: World) -> None:
    widget, session = await attached(world)
    world.ledger.places["s-1"] = session.location
    (await session.caller()).end.link.abort()
    assert (await widget.next())["type"] == "resume.renewed"
    assert (await widget.next())["type"] == "session.snapshot"
    assert [hello.epoch for hello in session.seen] == [1, 1]


async def test_after_a_session_that_ended_meanwhile_the_next_one_rings(world: World) -> None:
    widget, session = await attached(world)
    world.ledger.faults["session.takeover"] = Gone(ErrorCode.SESSION_ENDED, "It has ended.")
    world.ledger.live.clear()
    await session.stop()
    ended = await widget.until("session.ended")
    assert (ended["session_id"], ended["reason"]) == ("s-1", "lost")
    world.ledger.attach(await world.session("s-2"))
    assert (await widget.until("session.snapshot"))["session_id"] == "s-2"


async def test_whose_grace_was_over_meanwhile_has_left(world: World) -> None:
    widget, session = await attached(world)
    successor = await world.session(epoch=2)
    successor.refusal = Gone(ErrorCode.NOT_IN_SESSION, "You have left this session.")
    world.ledger.places["s-1"] = successor.location
    await session.stop()
    assert (await widget.until("session.left"))["reason"] == "grace_over"


async def test_a_guest_of_a_session_that_ended_meanwhile_is_closed_with_4410(world: World) -> None:
    widget = await guest_of(world, await world.session())
    world.ledger.faults["session.takeover"] = Gone(ErrorCode.SESSION_ENDED, "It has ended.")
    await world.sessions[0].stop()
    assert await widget.closed() == 4410
    assert widget.got[-1]["code"] == "session_ended"


async def test_a_session_that_cannot_be_found_closes_retryable(settings: Settings) -> None:
    world = World(replace(settings, limits=replace(settings.limits, takeover_bound_s=0.1)))
    await world.start()
    try:
        widget, session = await attached(world)
        world.ledger.faults["session.takeover"] = Unavailable(ErrorCode.NO_CAPACITY, "None.")
        await session.stop()
        assert await widget.closed() == 4503
    finally:
        await world.stop()


async def test_an_actor_that_lives_and_cannot_be_reached_from_here_closes_retryable(
    settings: Settings,
) -> None:
    """The widget is sent to another gateway, which may reach it: nobody takes the session away."""
    # The second try comes 20 ms behind the first, and later where the machine stands still.
    bound_s = 0.5 * PATIENCE
    world = World(replace(settings, limits=replace(settings.limits, takeover_bound_s=bound_s)))
    await world.start()
    try:
        widget, session = await attached(world)
        world.ledger.places["s-1"] = session.location
        await session.stop()
        assert await widget.closed() == 4503
        assert len(world.ledger.takeovers) > 1, "it was tried again while there was time"
        assert {asked.observed_epoch for asked in world.ledger.takeovers} == {1}
        assert "session.moved" not in [message["type"] for message in widget.got]
    finally:
        await world.stop()


async def test_nobody_is_led_back_to_a_lower_epoch(settings: Settings) -> None:
    world = World(replace(settings, limits=replace(settings.limits, takeover_bound_s=0.1)))
    await world.start()
    try:
        before, session = await world.session(epoch=1), await world.session(epoch=2)
        world.ledger.attach(session)
        widget = await world.consumer()
        await widget.until("session.snapshot")
        world.ledger.relocate(before)
        await widget.say(type="connection.ping")
        await widget.until("connection.pong")
        assert before.seen == [], "a notice that was late"
        world.ledger.places["s-1"] = before.location
        await session.stop()
        assert await widget.closed() == 4503
        assert before.seen == [], "an answer of a ledger that knows less"
    finally:
        await world.stop()


async def test_a_successor_that_refuses_closes_with_its_reason(world: World) -> None:
    widget, session = await attached(world)
    successor = await world.session(epoch=2)
    successor.refusal = Forbidden(ErrorCode.NOT_PERMITTED, "Removed.")
    world.ledger.places["s-1"] = successor.location
    await session.stop()
    assert await widget.closed() == 4403
