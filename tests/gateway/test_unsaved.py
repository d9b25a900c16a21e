"""What an actor could not save is kept by the gateway, and brought to the actor after it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from broker.errors import (
    ErrorCode,
    Gone,
    Internal,
    Malformed,
    NotFound,
    SwitchboardError,
    Unavailable,
)
from broker.link import ListeningEnd, Reply
from broker.messages.cluster.base import Done, read
from broker.messages.cluster.tenure import JournalEntry, SessionUnsaved
from broker.messages.cluster.trunk import Location, TrunkHello, TrunkReady
from gateway.connections import unsaved
from gateway.settings import Settings
from tests.gateway.conftest import KEY, World, attached
from tests.gateway.fake_session import FakeSession
from tests.gateway.listening import End, Future
from tests.patience import until

ENDED = JournalEntry(seq=9, at_ms=1, type="session.ended", version=1, body={"reason": "lost"})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsaved, "LOOK_S", 0.05)


class Successor(FakeSession):
    """A session actor that takes what is brought, in the order of all that comes."""

    def __init__(self, epoch: int = 2) -> None:
        super().__init__(KEY, "s-1", epoch)
        self.came: list[str] = []
        self.brought: list[SessionUnsaved] = []
        self.faults: list[SwitchboardError] = []

    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None:
        if read(TrunkHello, hello).backend:
            end.on_call = self._on_call
            end.accept(TrunkReady(participant_id="backend", epoch=self.epoch).to_bytes())
        else:
            self.came.append("somebody")
            super().on_hello(end, hello)

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        self.came.append(method)
        self.brought.append(read(SessionUnsaved, payload))
        if self.faults:
            reply.fault(self.faults.pop())
        else:
            reply.done(Done().to_bytes())
        self.signal.changed()


async def kept(world: World, session: FakeSession, *entries: JournalEntry) -> None:
    """The actor says what is unsaved, and the gateway has heard it."""
    said = SessionUnsaved(session_id="s-1", epoch=session.epoch, entries=list(entries))
    caller = await session.caller()
    assert caller.hello.keeps_unsaved
    caller.end.notify(said.method, said.to_bytes())
    caller.say(type="roster.changed", seq=2, roster=[])
    await world.widgets[-1].until("roster.changed")
    assert len(world.room.unsaved) == bool(entries)


async def test_what_cannot_be_read_costs_nobody_the_trunk(world: World) -> None:
    """It is said on each trunk that there is: who came back by another would lose that as well."""
    widget, session = await attached(world)
    caller = await session.caller()
    caller.end.notify(SessionUnsaved.method, b"{}")
    caller.say(type="roster.changed", seq=2, roster=[])
    assert (await widget.next())["type"] == "roster.changed"
    assert len(session.seen) == 1


async def succeeded(world: World, epoch: int = 2) -> Successor:
    """An actor that continues the session, once the one before is gone."""
    successor = Successor(epoch)
    await successor.start()
    world.sessions.append(successor)
    world.ledger.places["s-1"] = successor.location
    return successor


async def test_the_next_actor_hears_it_before_anybody_comes_in(world: World) -> None:
    widget, session = await attached(world)
    await kept(world, session, ENDED)
    successor = await succeeded(world)
    await session.stop()
    await widget.until("session.moved")
    assert successor.came == ["session.unsaved", "somebody"]
    assert successor.brought[0].entries == [ENDED]
    assert successor.brought[0].epoch == 1
    assert len(world.room.unsaved) == 0


async def test_what_is_saved_is_not_brought(world: World) -> None:
    widget, session = await attached(world)
    await kept(world, session, ENDED)
    await kept(world, session)
    successor = await succeeded(world)
    await session.stop()
    await widget.until("session.moved")
    assert successor.came == ["somebody"]


async def test_it_is_brought_where_nobody_comes_any_more(world: World) -> None:
    _, session = await attached(world)
    await kept(world, session, ENDED)
    (await session.caller()).close(4410, "session_ended")
    assert await world.widgets[-1].closed() == 4410
    await session.stop()
    successor = await succeeded(world)
    await successor.signal.until(lambda: successor.brought)
    assert successor.came == ["session.unsaved"]


UNDERSTANDS = Malformed(ErrorCode.MALFORMED, "What is that?")
DOES = Internal(ErrorCode.INTERNAL, "A mistake.")


@pytest.mark.parametrize(
    "fault",
    [Unavailable(ErrorCode.LEDGER_AWAY, "Not yet."), UNDERSTANDS, DOES],
    ids=["saved", "understood", "done"],
)
async def test_it_is_brought_until_it_is(world: World, fault: SwitchboardError) -> None:
    _, session = await attached(world)
    await kept(world, session, ENDED)
    (await session.caller()).close(4410, "session_ended")
    await world.widgets[-1].closed()
    await session.stop()
    successor = await succeeded(world)
    successor.faults.append(fault)
    await until(lambda: not len(world.room.unsaved), "all forgotten")
    assert len(successor.brought) == 2


@pytest.mark.parametrize("fault", [UNDERSTANDS, DOES], ids=["understand", "do"])
async def test_an_actor_that_cannot_take_it_keeps_nobody_waiting_and_the_next_one_has_it(
    world: World, fault: SwitchboardError
) -> None:
    courier = world.room.unsaved
    unable = await succeeded(world)
    unable.faults = [fault] * (unsaved.TRIES + 1)
    # Until it may be looked for it is brought by who comes alone.
    world.ledger.faults["session.locate"] = Unavailable(ErrorCode.LEDGER_AWAY, "Not now.")
    courier.keep(SessionUnsaved(session_id="s-1", epoch=1, entries=[ENDED]))
    await courier.bring(unable.location)
    assert len(unable.brought) == 1
    await courier.bring(unable.location)
    assert len(unable.brought) == 1, "nobody waits for that again"
    del world.ledger.faults["session.locate"]
    await unable.signal.until(lambda: len(unable.brought) == unsaved.TRIES)
    looks = world.ledger.located
    await until(lambda: world.ledger.located > looks + 2, "it is looked for further on")
    assert len(unable.brought) == unsaved.TRIES
    able = await succeeded(world, epoch=3)
    await until(lambda: not len(courier), "all forgotten")
    assert [each.entries for each in able.brought] == [[ENDED]]


async def test_of_a_session_that_is_over_nothing_is_kept(world: World) -> None:
    _, session = await attached(world)
    await kept(world, session, ENDED)
    gone: Any = Gone(ErrorCode.SESSION_ENDED, "Over.")
    world.ledger.faults["session.locate"] = gone
    await until(lambda: not len(world.room.unsaved), "all forgotten")


class Undecided(Successor):
    """Takes what is brought and does not answer before it is told what."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[Reply] = []

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        self.brought.append(read(SessionUnsaved, payload))
        self.replies.append(reply)
        self.signal.changed()


async def test_whoever_comes_meanwhile_waits_for_the_same_and_shares_how_it_ends(
    world: World,
) -> None:
    """One at a time: else each would say it again, and wait for as long again."""
    courier = world.room.unsaved
    successor = Undecided()
    await successor.start()
    world.sessions.append(successor)
    world.ledger.faults["session.locate"] = Unavailable(ErrorCode.LEDGER_AWAY, "Not now.")
    courier.keep(SessionUnsaved(session_id="s-1", epoch=1, entries=[ENDED]))

    async def brought_twice(number: int) -> list[asyncio.Task[None]]:
        both = [asyncio.create_task(courier.bring(successor.location)) for _ in range(2)]
        await successor.signal.until(lambda: len(successor.replies) == number)
        return both

    first = await brought_twice(1)
    successor.replies[0].fault(Unavailable(ErrorCode.LEDGER_AWAY, "Not yet."))
    ends = await asyncio.gather(*first, return_exceptions=True)
    assert [type(end) for end in ends] == [Unavailable, Unavailable]
    again = await brought_twice(2)
    again[0].cancel()
    successor.replies[1].done(Done().to_bytes())
    await again[1]
    assert len(successor.brought) == 2
    assert len(courier) == 0


async def test_one_that_cannot_be_reached_holds_up_no_other(
    settings: Settings,
) -> None:
    settings = replace(settings, limits=replace(settings.limits, dial_timeout_s=60.0))
    world = World(settings)
    await world.start()
    try:
        deaf = FakeSession(KEY, "s-0")
        deaf.held = True
        await deaf.start()
        world.sessions.append(deaf)
        for number in range(3):
            place = deaf.location.model_copy(update={"session_id": f"deaf-{number}"})
            world.ledger.places[place.session_id] = place
            said = SessionUnsaved(session_id=place.session_id, epoch=1, entries=[ENDED])
            world.room.unsaved.keep(said)
        successor = await succeeded(world)
        world.room.unsaved.keep(SessionUnsaved(session_id="s-1", epoch=1, entries=[ENDED]))
        await successor.signal.until(lambda: successor.brought)
        assert len(deaf.seen) == 3
    finally:
        await world.stop()


async def test_an_actor_that_does_not_know_the_session_is_not_believed(world: World) -> None:
    """It may have moved on; only the ledger says that there is none."""
    successor = await succeeded(world)
    successor.faults.append(NotFound(ErrorCode.UNKNOWN_SESSION, "That session is not here."))
    world.room.unsaved.keep(SessionUnsaved(session_id="s-1", epoch=1, entries=[ENDED]))
    await successor.signal.until(lambda: len(successor.brought) == 2)
    await until(lambda: not len(world.room.unsaved), "all forgotten")


async def test_a_mistake_about_one_session_costs_no_other_and_no_heartbeat(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    successor = await succeeded(world)
    locate = world.directory.locate

    async def mistaken(session_id: str, account_id: str | None) -> Location:
        if session_id == "s-0":
            raise RuntimeError("made for this test")
        return await locate(session_id, account_id)

    monkeypatch.setattr(world.directory, "locate", mistaken)
    for session_id in ("s-0", "s-1"):
        said = SessionUnsaved(session_id=session_id, epoch=1, entries=[ENDED])
        world.room.unsaved.keep(said)
    await successor.signal.until(lambda: successor.brought)
    await until(lambda: len(world.room.unsaved) == 1, "the other is brought")


async def test_of_as_many_sessions_as_may_have_a_widget_here_something_is_kept(
    world: World, settings: Settings
) -> None:
    few = replace(settings, limits=replace(settings.limits, connections=2))
    assert settings.limits.connections > 10_000
    for room, kept_of_them in ((settings, 1_500), (few, 2)):
        holds = unsaved.UnsavedCourier(world.room.directory, room, KEY)
        for number in range(1_500):
            holds.keep(SessionUnsaved(session_id=f"s-{number}", epoch=1, entries=[ENDED]))
        assert len(holds) == kept_of_them
