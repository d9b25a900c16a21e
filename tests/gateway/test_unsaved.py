"""What an actor could not save is kept by the gateway, and brought to the actor after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from broker.errors import ErrorCode, Gone, Internal, Malformed, SwitchboardError, Unavailable
from broker.link import ListeningEnd, Reply
from broker.messages.cluster.base import Done, read
from broker.messages.cluster.tenure import JournalEntry, SessionUnsaved
from broker.messages.cluster.trunk import TrunkHello, TrunkReady
from gateway import unsaved
from gateway.settings import Settings
from tests.gateway.conftest import KEY, World
from tests.gateway.fake_session import FakeSession
from tests.gateway.listening import End, Future
from tests.gateway.test_moving import attached
from tests.patience import until

ENDED = JournalEntry(seq=9, at_ms=1, type="session.ended", version=1, body={"reason": "lost"})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsaved, "LOOK_S", 0.05)


class Successor(FakeSession):
    """A session actor of epoch 2 that takes what is brought, in the order of all that comes."""

    def __init__(self) -> None:
        super().__init__(KEY, "s-1", 2)
        self.came: list[str] = []
        self.brought: list[SessionUnsaved] = []
        self.faults: list[SwitchboardError] = []

    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None:
        if read(TrunkHello, hello).backend:
            end.on_call = self._on_call
            end.accept(TrunkReady(participant_id="backend", epoch=2).to_bytes())
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


async def succeeded(world: World) -> Successor:
    """An actor that continues the session, once the one before is gone."""
    successor = Successor()
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


@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        (Unavailable(ErrorCode.LEDGER_AWAY, "Not yet."), 2),
        (Malformed(ErrorCode.MALFORMED, "What is that?"), 1),
        (Internal(ErrorCode.INTERNAL, "A mistake."), 1),
    ],
    ids=[
        "until it is saved",
        "once to an actor that does not understand it",
        "once to an actor that cannot do it",
    ],
)
async def test_it_is_brought(world: World, fault: SwitchboardError, calls: int) -> None:
    _, session = await attached(world)
    await kept(world, session, ENDED)
    (await session.caller()).close(4410, "session_ended")
    await world.widgets[-1].closed()
    await session.stop()
    successor = await succeeded(world)
    successor.faults.append(fault)
    await successor.signal.until(lambda: len(successor.brought) == calls)
    await until(lambda: not len(world.room.unsaved), "all forgotten")
    assert len(successor.brought) == calls


async def test_of_a_session_that_is_over_nothing_is_kept(world: World) -> None:
    _, session = await attached(world)
    await kept(world, session, ENDED)
    gone: Any = Gone(ErrorCode.SESSION_ENDED, "Over.")
    world.ledger.faults["session.locate"] = gone
    await until(lambda: not len(world.room.unsaved), "all forgotten")


async def test_of_as_many_sessions_as_may_have_a_widget_here_something_is_kept(
    world: World, settings: Settings
) -> None:
    few = replace(settings, limits=replace(settings.limits, connections=2))
    assert settings.limits.connections > 10_000
    for room, kept_of_them in ((settings, 1_500), (few, 2)):
        holds = unsaved.Unsaved(world.room.directory, room, KEY)
        for number in range(1_500):
            holds.keep(SessionUnsaved(session_id=f"s-{number}", epoch=1, entries=[ENDED]))
        assert len(holds) == kept_of_them
