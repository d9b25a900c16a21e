"""What the pool makes of the levels it is told: who came, and who went."""

from __future__ import annotations

from dataclasses import replace

from tests.ledger.conftest import Town
from tests.ledger.fakes import POLICY, entry
from tests.patience import PATIENCE, until
from tests.pool.test_pool import Starter, run_pool


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
