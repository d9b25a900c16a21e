"""A start that is taken back, or whose agent's widget is gone meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from actors.ledger import keeping
from actors.ledger.database import Work
from actors.ledger.presence import Watching
from actors.ledger.rows import Ending, NewSession
from actors.ledger.standbys import Actor, Standbys
from actors.ledger.under_way import UnderWay
from actors.ledger.writer import Writer
from actors.link import DialledEnd, promise
from broker.errors import Conflict, ErrorCode, Gone, NotFound, Unavailable
from broker.messages.cluster.base import Done
from broker.messages.cluster.members import SessionMember
from broker.messages.cluster.presence import PresenceState, PresenceUnwatch, PresenceWatch
from broker.messages.cluster.records import RecordPage, RecordQuery
from broker.messages.cluster.sessions import SessionOpen, SessionQueued, SessionWithdraw
from broker.messages.cluster.trunk import Location
from broker.words import EndReason, SessionPhase
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, BRIEF, KEY, POLICY, FakeGateway, opening
from tests.ledger.keepers import keeper_link
from tests.patience import until

PAGE = "c1"
"""The connection by which the agent starts."""


class Open(asyncio.Transport):
    """The way to a standby that is there and is asked nothing."""

    def is_closing(self) -> bool:
        return False

    def write(self, data: object) -> None: ...


def asked(connection_id: str | None = PAGE) -> SessionOpen:
    return opening().model_copy(update={"connection_id": connection_id})


async def start(town: Town, gateway: FakeGateway, ask: SessionOpen) -> asyncio.Future[Location]:
    """Ask for a session while none stands by."""
    started = asyncio.ensure_future(gateway.link.call(ask, Location, timeout=8.0))
    await until(lambda: town.ledger.level().queued == 1, "the start in the queue")
    return started


async def withdraw(gateway: FakeGateway, connection_id: str = PAGE) -> None:
    ask = SessionWithdraw(account_id=ACCOUNT, engagement_key="eng-1", connection_id=connection_id)
    await gateway.link.call(ask, Done)


async def watch(gateway: FakeGateway, connection_id: str, agent_id: str | None = "7") -> None:
    ask = PresenceWatch(
        connection_id=connection_id, account_id=ACCOUNT, key="eng-1", starter_id=agent_id
    )
    await gateway.link.call(ask, PresenceState)


async def unwatch(gateway: FakeGateway, connection_id: str) -> None:
    await gateway.link.call(PresenceUnwatch(connection_id=connection_id), Done)


async def sessions(gateway: FakeGateway) -> list[tuple[SessionPhase, EndReason | None]]:
    page = await gateway.link.call(RecordQuery(account_id=ACCOUNT), RecordPage)
    return [(record.phase, record.end_reason) for record in page.records]


async def is_withdrawn(started: asyncio.Future[Location]) -> bool:
    with pytest.raises(Gone) as refused:
        await started
    return refused.value.code is ErrorCode.WITHDRAWN


async def test_one_that_waits_leaves_the_queue_and_the_engagement_is_free(town: Town) -> None:
    gateway = await town.gateway()
    started = await start(town, gateway, asked())
    await withdraw(gateway)
    assert await is_withdrawn(started)
    assert town.ledger.level().queued == 0
    actor = await town.actor()
    await until(lambda: town.ledger.level().standbys == 1, "the standby that nobody took")
    assert await sessions(gateway) == []
    again = await gateway.link.call(asked(), Location)
    assert (again.port, actor.opened_by) == (actor.port, PAGE)


async def test_nobody_but_who_began_it_takes_it_back(town: Town) -> None:
    gateway = await town.gateway()
    started = await start(town, gateway, asked())
    for other in ("c2", ""):
        with pytest.raises(NotFound) as refused:
            await withdraw(gateway, other)
        assert refused.value.code is ErrorCode.UNKNOWN_SESSION
    actor = await town.actor()
    assert (await started).port == actor.port
    with pytest.raises(NotFound):
        await withdraw(gateway, "c2")
    assert await sessions(gateway) == [(SessionPhase.OPEN, None)]


async def test_taken_back_twice_at_once_is_taken_back(town: Town) -> None:
    gateway = await town.gateway()
    started = await start(town, gateway, asked())
    await asyncio.gather(withdraw(gateway), withdraw(gateway))
    assert await is_withdrawn(started)
    with pytest.raises(NotFound):
        await withdraw(gateway)


async def test_a_standby_that_is_being_asked_is_given_up_and_no_session_made(town: Town) -> None:
    gateway, actor = await town.gateway(), await town.actor()
    reached, gate = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await gate.wait()

    actor.assigning = hold
    started = asyncio.ensure_future(gateway.link.call(asked(), Location))
    await reached.wait()
    taking = asyncio.ensure_future(withdraw(gateway))
    # An engagement is taken until its start is answered.
    with pytest.raises(Conflict):
        await gateway.open()
    gate.set()
    await taking
    assert await is_withdrawn(started)
    await until(lambda: actor.stopped, "the end of who holds what is no session")
    assert (actor.committed, await sessions(gateway)) == ([], [])


class Writing:
    """Holds the answer to a new session's writing back; while `is_away` no end can be written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_away: bool = False) -> None:
        self.is_away = is_away
        self.session_id = ""
        self._written, self._gate, do = asyncio.Event(), asyncio.Event(), Writer.do

        async def held(writer: Writer, job: Work[Any]) -> Any:
            if isinstance(job, Ending) and self.is_away:
                raise Unavailable(ErrorCode.LEDGER_AWAY, "The database is away.")
            done = await do(writer, job)
            if isinstance(job, NewSession):
                self.session_id = job.session_id
                self._written.set()
                await self._gate.wait()
            return done

        monkeypatch.setattr(Writer, "do", held)

    async def take_back(self, gateway: FakeGateway) -> None:
        """Start a session, and take the start back when it is written."""
        started = asyncio.ensure_future(gateway.link.call(asked(), Location))
        await self._written.wait()
        taking = asyncio.ensure_future(withdraw(gateway))
        # Whoever asks behind it on the same link is heard after it.
        with pytest.raises(Conflict):
            await gateway.open()
        self._gate.set()
        await taking
        assert await is_withdrawn(started)


async def test_a_session_that_is_being_written_is_ended_before_anybody_hears_of_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, actor = await town.gateway(), await town.actor()
    await watch(gateway, "colleague", None)
    await gateway.put("consumer")
    await Writing(monkeypatch).take_back(gateway)
    assert await sessions(gateway) == [(SessionPhase.ENDED, EndReason.ENDED_BY_AGENT)]
    await until(lambda: actor.stopped, "the end of its actor")
    told = {method for method, _ in gateway.notices}
    assert (actor.committed, told & {"session.attach"}) == ([], set())
    await town.actor()
    await gateway.link.call(asked(), Location)


@pytest.mark.parametrize("asks", ["the keeper", "the agent again", "who comes to it"])
async def test_one_whose_end_cannot_be_written_now_rings_nobody_and_is_ended_later(
    town: Town, monkeypatch: pytest.MonkeyPatch, asks: str
) -> None:
    gateway, actor = await town.gateway(), await town.actor()
    await gateway.put("consumer")
    writing = Writing(monkeypatch, is_away=True)
    await writing.take_back(gateway)
    await until(lambda: actor.stopped, "the end of its actor")
    another = await town.actor()
    with pytest.raises(Unavailable):
        await gateway.takeover(writing.session_id, 1)
    with pytest.raises(Unavailable):
        await gateway.open()
    told = {method for method, _ in gateway.notices}
    assert (actor.committed, another.session_id, told & {"session.attach"}) == ([], None, set())
    writing.is_away = False
    match asks:
        case "the keeper":
            town.clock.ms += 3_600_000
            keeper = await keeper_link(town)
            found = await keeper.call(keeping.Reconcile(), keeping.Reconciled)
            assert found.ended == [], "it is not lost"
            await until(lambda: town.ledger.level().live == 0, "its end")
        case "the agent again":
            assert (await gateway.link.call(asked(), Location)).port == another.port
            await withdraw(gateway)
        case _:
            with pytest.raises(Gone):
                await gateway.takeover(writing.session_id, 1)
    ended = (SessionPhase.ENDED, EndReason.ENDED_BY_AGENT)
    assert set(await sessions(gateway)) == {ended}
    assert town.ledger.level().failed == 0


async def test_a_session_that_is_there_by_then_is_ended_and_its_actor_with_it(town: Town) -> None:
    gateway, actor = await town.gateway(), await town.actor()
    location = await gateway.link.call(asked(), Location)
    await watch(gateway, "colleague", None)
    await withdraw(gateway)
    record = await gateway.record(location.session_id)
    assert (record.phase, record.end_reason) == (SessionPhase.ENDED, EndReason.ENDED_BY_AGENT)
    await until(lambda: actor.stopped, "the end of its actor")
    with pytest.raises(Gone):
        await gateway.takeover(location.session_id, location.epoch)
    (told,) = gateway.told("presence.changed", PresenceState)
    assert told.live is None
    assert town.ledger.level().failed == 0, "it is no failure"
    with pytest.raises(NotFound):
        await withdraw(gateway)


@pytest.mark.parametrize("order", ["standby", "word", "standby long before"])
async def test_a_standby_that_comes_as_it_is_taken_back_stands_by_again(order: str) -> None:
    standbys = Standbys(limit=9, reused_limit=9)
    heirs: list[Watching[Any]] = []
    way = UnderWay(asked(), lambda watching, within_s: heirs.append(watching))
    deadline = asyncio.get_running_loop().time() + 60.0
    waits: list[float] = []
    started = asyncio.ensure_future(way.standby(standbys, 0, deadline, waits.append))
    await asyncio.sleep(0)
    assert (standbys.queued, len(waits)) == (1, 1)
    if order == "word":
        way.withdraw()
    end = DialledEnd(KEY, b"", promise)
    end.link.connection_made(Open())
    standbys.add(Actor(SessionMember(member_id="a", node="n", host="h", port=1), end))
    assert standbys.taken == 1, "it is given to who waits"
    if order == "standby long before":
        # By now who waits is to be woken in the next step, before any deadline.
        await asyncio.sleep(0)
    way.withdraw()
    with pytest.raises(Gone):
        await started
    assert (len(standbys), standbys.queued, heirs) == (1, 0, [])


async def test_one_whose_widget_is_gone_waits_for_it_and_not_for_room(town: Town) -> None:
    gateway, other = await town.gateway(), await town.gateway()
    await watch(gateway, PAGE)
    started = await start(town, gateway, asked())
    await unwatch(gateway, PAGE)
    await until(lambda: town.ledger.level().queued == 0, "its place in the queue given up")
    actor = await town.actor()
    await until(lambda: town.ledger.level().standbys == 1, "a standby that nobody took")
    await watch(other, "of a colleague", "8")
    await watch(other, "of nobody known", None)
    assert (town.ledger.level().standbys, started.done()) == (1, False)
    await watch(other, "the page again", "acme.7")
    assert (await started).port == actor.port
    assert actor.opened_by == "the page again", "it begins there"
    with pytest.raises(NotFound):
        await withdraw(gateway)
    await withdraw(other, "the page again")
    assert await sessions(gateway) == [(SessionPhase.ENDED, EndReason.ENDED_BY_AGENT)]


async def test_a_widget_that_says_anew_where_it_stands_was_not_gone(town: Town) -> None:
    gateway = await town.gateway()
    await watch(gateway, PAGE)
    started = await start(town, gateway, asked())
    waited = town.ledger.level().waited
    await watch(gateway, PAGE)
    await watch(gateway, "pop-out")
    await unwatch(gateway, PAGE)
    assert (town.ledger.level().queued, town.ledger.level().waited) == (1, waited)
    told = gateway.told("session.queued", SessionQueued)
    assert [each.connection_id for each in told] == [PAGE, "pop-out"]
    assert 0 < told[1].within_ms <= told[0].within_ms
    await town.actor()
    await started


@pytest.mark.parametrize("gone", ["widget", "gateway"])
async def test_one_whose_widget_does_not_come_back_rings_nobody(bare_town: Town, gone: str) -> None:
    town = bare_town
    await town.new_ledger(BRIEF)
    gateway, other = await town.gateway(), await town.gateway()
    await watch(gateway, PAGE)
    started = await start(town, other, asked())
    await (unwatch(gateway, PAGE) if gone == "widget" else gateway.link.close())
    await until(lambda: town.ledger.level().queued == 0, "its place in the queue given up")
    actor = await town.actor()
    assert await is_withdrawn(started)
    assert (actor.session_id, await sessions(other)) == (None, [])
    assert town.ledger.level().standbys == 1


@pytest.mark.parametrize("connection_id", [None, PAGE], ids=["a backend's", "an unseen widget's"])
async def test_one_of_which_no_widget_was_seen_to_go_goes_on(
    town: Town, connection_id: str | None
) -> None:
    gateway = await town.gateway()
    if connection_id is None:
        await watch(gateway, PAGE)
    started = await start(town, gateway, asked(connection_id))
    await unwatch(gateway, PAGE)
    assert town.ledger.level().queued == 1
    actor = await town.actor()
    assert (await started).port == actor.port


async def test_one_that_is_gone_and_taken_back_is_answered_at_once(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, capacity_wait_s=600.0))
    gateway = await town.gateway()
    await watch(gateway, PAGE)
    started = await start(town, gateway, asked())
    await unwatch(gateway, PAGE)
    await withdraw(gateway)
    assert await is_withdrawn(started)


async def test_a_ledger_that_ends_refuses_both(town: Town) -> None:
    gateway = await town.gateway()
    started = await start(town, gateway, asked())
    await town.ledger.close()
    with pytest.raises(Unavailable) as refused:
        await started
    assert refused.value.code is ErrorCode.LEDGER_AWAY
    await town.new_ledger()
    with pytest.raises(NotFound):
        await withdraw(gateway)
    actor = await town.actor()
    await until(lambda: town.ledger.level().standbys == 1, "its standby")
    assert actor.session_id is None
