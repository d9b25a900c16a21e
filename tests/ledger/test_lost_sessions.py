"""Sessions that nobody owns any more: ended as lost, or continued."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from actors.ledger import keeping, lost, rescue
from actors.ledger.probe import Verdict, probe
from actors.ledger.rows import Ending
from broker.errors import Conflict, Unavailable
from broker.messages.cluster.sessions import SessionRelocated
from broker.words import EndReason, SessionPhase
from tests.ledger.conftest import Town
from tests.ledger.fakes import HOST, POLICY, entry
from tests.ledger.keepers import keeper_link, run_keeper, sessions
from tests.patience import PATIENCE, until


async def test_a_session_that_nobody_owns_is_ended_as_lost(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, lost_after_ms=200))
    (actor,) = await sessions(town, 1)
    gateway = await town.gateway()
    assert actor.session_id is not None
    await run_keeper(town)
    await actor.die()
    with pytest.raises(Conflict):
        await gateway.open("eng-0")
    town.clock.ms += 201

    async def phase() -> SessionPhase:
        assert actor.session_id is not None
        return (await gateway.record(actor.session_id)).phase

    while await phase() is not SessionPhase.ENDED:
        pass
    record = await gateway.record(actor.session_id)
    assert record.end_reason is EndReason.LOST
    assert [one.type for one in record.events] == ["session.started", "session.ended"]
    await town.actor()
    await gateway.open("eng-0")


async def test_a_lost_session_that_cannot_be_ended_keeps_no_other_live(
    bare_town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, lost_after_ms=200))
    dead, keeper = await sessions(town, 3), await keeper_link(town)
    for actor in dead:
        await actor.die()
    await until(lambda: town.ledger.level().members == [], "the loss of all")
    refused, end = "", Ending.__call__

    def fails(self: Ending, connection: sa.Connection) -> None:
        nonlocal refused
        refused = refused or self.session_id
        if self.session_id == refused:
            raise ValueError("made for this test")
        end(self, connection)

    monkeypatch.setattr(Ending, "__call__", fails)
    town.clock.ms += 201
    ended = await keeper.call(keeping.Reconcile(), keeping.Reconciled, timeout=10.0 * PATIENCE)
    others = {actor.session_id for actor in dead} - {refused}
    assert (len(others), set(ended.ended)) == (2, others)


async def test_a_session_whose_people_still_ask_is_not_lost_and_one_nobody_asks_for_is(
    bare_town: Town,
) -> None:
    """More sessions than standbys: the death of a node beyond its reserve."""
    town = bare_town
    ledger = await town.new_ledger(replace(POLICY, settle_s=0.01))
    dead = [await town.actor() for _ in range(3)]
    gateway, keeper = await town.gateway(), await keeper_link(town)
    asked, left, stuck = [(await gateway.open(f"eng-{n}")).session_id for n in range(3)]
    for actor in dead:
        await actor.die()
    await until(lambda: ledger.level().queued == 3, "all wait for a standby")

    async def ask(session_id: str) -> None:
        with pytest.raises(Unavailable):
            await gateway.takeover(session_id, 1)

    async def reconcile() -> list[str]:
        return (await keeper.call(keeping.Reconcile(), keeping.Reconciled)).ended

    town.clock.ms += POLICY.lost_after_ms - 1
    await ask(asked)
    await ask(stuck)
    assert await reconcile() == []
    town.clock.ms += 1
    assert await reconcile() == [left]
    begun_ms = town.clock.ms - POLICY.lost_after_ms
    # Its people come back again and again; somebody's forgotten window, too, but not for ever.
    while town.clock.ms < begun_ms + POLICY.lost_at_last_ms - 10_000:
        town.clock.ms += 10_000
        await ask(asked)
        await ask(stuck)
        assert await reconcile() == []
    standby = await town.actor()
    await until(lambda: bool(standby.committed), "the first standby that was started")
    assert standby.session_id == asked
    town.clock.ms += 10_000
    await ask(stuck)
    assert await reconcile() == [stuck]
    assert (await gateway.record(stuck)).end_reason is EndReason.LOST
    assert (await gateway.record(asked)).end_reason is None


@pytest.mark.parametrize("way", ["alive", "silent"])
async def test_a_session_whose_actor_cannot_reach_a_new_ledger_is_continued(
    bare_town: Town, way: str
) -> None:
    """Its trunks stand, so no gateway asks where it is."""
    town = bare_town
    first = await town.new_ledger()
    (actor,) = await sessions(town, 1)
    await first.close()
    await actor.link.close()
    async with AsyncExitStack() as stack:
        if way == "silent":
            await actor._listener.close()
            loop = asyncio.get_running_loop()
            mute = await loop.create_server(asyncio.Protocol, HOST, actor.port)
            stack.callback(mute.close)
        await town.new_ledger(replace(POLICY, probe_s=0.3, return_s=0.3))
        gateway, keeper = await town.gateway(), await keeper_link(town)
        town.clock.ms += POLICY.lost_after_ms
        assert (await keeper.call(keeping.Reconcile(), keeping.Reconciled)).ended == []
        standby = await town.actor()
        news = "session.relocated"
        await until(lambda: bool(gateway.told(news, SessionRelocated)), "another continues it")
        assert standby.session_id == actor.session_id
        (moved,) = gateway.told(news, SessionRelocated)
        assert (moved.location.session_id, moved.location.epoch) == (actor.session_id, 2)


async def test_a_session_that_is_looked_for_in_vain_is_lost(bare_town: Town) -> None:
    town = bare_town
    first = await town.new_ledger()
    (actor,) = await sessions(town, 1)
    await first.close()
    await actor.link.close()
    await town.new_ledger()
    keeper = await keeper_link(town)
    for ended in ([], [actor.session_id]):
        town.clock.ms += POLICY.lost_after_ms
        assert (await keeper.call(keeping.Reconcile(), keeping.Reconciled)).ended == ended


async def test_whose_people_come_back_while_it_is_looked_for_is_not_lost(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    (actor,) = await sessions(town, 1)
    gateway, keeper = await town.gateway(), await keeper_link(town)
    probed, looking, looked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def at_once(*where: Any, **how: Any) -> Verdict:
        probed.set()
        return await probe(*where, **how)

    async def dead(*where: object, **how: object) -> Verdict:
        looking.set()
        await looked.wait()
        return Verdict.DEAD

    async def reconcile() -> list[str]:
        return (await keeper.call(keeping.Reconcile(), keeping.Reconciled)).ended

    assert actor.session_id is not None
    monkeypatch.setattr(rescue, "probe", at_once)
    await actor.die()
    # Its rescue has looked by itself: who looks from now on is who asks whether it is lost.
    await probed.wait()
    with pytest.raises(Conflict):
        await gateway.open("eng-0")
    for each in (lost, rescue):
        monkeypatch.setattr(each, "probe", dead)
    town.clock.ms += POLICY.lost_after_ms
    first = asyncio.create_task(reconcile())
    await looking.wait()
    back = asyncio.create_task(gateway.takeover(actor.session_id, 1))
    assert await reconcile() == [], "one at a time"
    await asyncio.sleep(0.1)
    looked.set()
    assert await first == []
    standby = await town.actor()
    assert (await back).epoch == 2
    assert standby.session_id == actor.session_id


async def test_a_session_with_an_actor_is_not_lost(town: Town) -> None:
    (actor,) = await sessions(town, 1)
    link = await keeper_link(town)
    town.clock.ms += 10_000_000
    found = await link.call(keeping.Reconcile(), keeping.Reconciled)
    assert found.ended == []
    await actor.append(entry(2))
