"""What the pool makes of the levels it is told: who came, who went, and what is on its way."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.ledger.conftest import Town
from tests.ledger.fakes import POLICY, entry
from tests.patience import PATIENCE, until
from tests.pool.test_pool import Starter, run_pool, standbys


async def test_one_that_serves_and_goes_between_two_levels_is_not_waited_for(town: Town) -> None:
    """A pool that did not hear of it would take it for one that is on its way."""
    slow = replace(POLICY, level_s=0.2 * PATIENCE, capacity_wait_s=5.0 * PATIENCE)
    await town.new_ledger(slow)
    starter, gateway = Starter(town), await town.gateway()
    pool = await run_pool(town, starter, target=0, target_limit=0, arrival_s=600.0)
    for number in range(3):
        await gateway.open(f"eng-{number}")
        actor = starter.actors[-1]
        await actor.append(entry(2, "session.ended", reason="ended_by_agent"))
        await actor.die()
    await until(lambda: pool.members == 0, "nobody is on the way")
    assert starter.started == 3


async def test_starts_wait_for_a_session_that_moves_but_not_while_somebody_waits(
    town: Town,
) -> None:
    await town.new_ledger(replace(POLICY, continue_s=10.0 * PATIENCE))
    starter, gateway = Starter(town), await town.gateway()
    await town.actor(node="node-2")
    await gateway.open("moves")
    elsewhere, arrived = await town.actor(), asyncio.Event()
    elsewhere.continuing = arrived.wait
    pool = await run_pool(town, starter, target=1, target_limit=1)
    await until(lambda: pool.level is not None, "the level")
    await gateway.drain("node-2")
    await until(lambda: pool.level is not None and pool.level.moving == 1, "the move")
    assert (standbys(town), starter.started) == (0, 0)
    pool.refill()
    assert pool.starting == 0
    await gateway.open("waits")
    assert starter.started == 1
    arrived.set()
    await until(lambda: starter.started == 2 and standbys(town) == 1, "the refill")
