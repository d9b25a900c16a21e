"""The pool against a real ledger, with starts that are fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from actors.pool import Pool, PoolPolicy
from broker.messages import cluster
from tests.ledger.conftest import Town
from tests.ledger.fakes import KEY, TIMING, entry, until

HELLO = cluster.LinkHello(kind="pool", member_id="pool", node="n")


class Starter:
    """Starts standbys in this process, or fails as told."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.started = 0
        self.at_once = 0
        self.most_at_once = 0
        self.failing = False
        self.coming = True
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> None:
        self.started += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if self.failing:
                raise RuntimeError("No process to be had.")
            if self.coming:
                await self.town.actor()
        finally:
            self.at_once -= 1


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        town = Town(f"sqlite:///{tmp_path}/ledger.db", stack)
        await town.new_ledger()
        yield town


async def run_pool(
    town: Town,
    starter: Starter,
    target: int = 3,
    backoff_first_s: float = 0.01,
    arrival_s: float = 5.0,
) -> Pool:
    policy = PoolPolicy(target=target, backoff_first_s=backoff_first_s, arrival_s=arrival_s)
    pool = Pool(starter, town.home, KEY, HELLO, policy=policy, timing=TIMING)
    town.stack.push_async_callback(pool.close)
    await pool.start()
    return pool


def standbys(town: Town) -> int:
    return town.ledger.level().standbys


async def test_the_pool_keeps_its_target(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    pool = await run_pool(town, starter)
    await until(lambda: standbys(town) == 3, "three standbys")
    assert (starter.started, starter.most_at_once) == (3, 2)
    await gateway.open()
    await until(lambda: standbys(town) == 3 and starter.started == 4, "the refill")
    pool.set_target(5)
    await until(lambda: standbys(town) == 5, "five standbys")
    assert starter.started == 6


async def test_a_new_pool_adopts_the_standbys_that_are_there(town: Town) -> None:
    for _ in range(3):
        await town.actor()
    starter = Starter(town)
    pool = await run_pool(town, starter)
    await until(lambda: pool.level is not None, "the level")
    assert pool.level is not None
    assert (pool.level.standbys, len(pool.level.members), starter.started) == (3, 3, 0)


async def test_a_dead_standby_is_replaced(town: Town) -> None:
    standby, starter = await town.actor(), Starter(town)
    await run_pool(town, starter, target=1)
    await standby.die()
    await until(lambda: starter.started == 1 and standbys(town) == 1, "the replacement")


async def test_openings_that_wait_are_served_beyond_the_target(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    await run_pool(town, starter, target=0)
    places = await asyncio.gather(*(gateway.open(f"eng-{number}") for number in range(4)))
    assert len({place.port for place in places}) == 4
    assert starter.started >= 4


async def test_a_pool_that_cannot_start_tries_again_later(town: Town) -> None:
    starter = Starter(town)
    starter.failing = True
    await run_pool(town, starter, target=1)
    await until(lambda: starter.started >= 3, "three tries")
    starter.failing = False
    await until(lambda: standbys(town) == 1, "a standby")


async def test_a_standby_that_never_comes_is_started_again(town: Town) -> None:
    starter = Starter(town)
    starter.coming = False
    await run_pool(town, starter, target=1, arrival_s=0.05)
    await until(lambda: starter.started == 2, "another start")
    starter.coming = True
    await until(lambda: standbys(town) == 1, "a standby")


async def test_nothing_is_started_while_the_ledger_is_away(town: Town) -> None:
    starter = Starter(town)
    pool = await run_pool(town, starter, target=1)
    await until(lambda: standbys(town) == 1, "a standby")
    await town.ledger.close()
    await until(lambda: pool.level is None, "the loss")
    pool.set_target(4)
    assert starter.started == 1
    await town.new_ledger()
    await until(lambda: standbys(town) == 4, "four standbys")


async def test_killing_the_pool_changes_nothing_for_a_call(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    actor = await town.actor()
    pool = await run_pool(town, starter, target=0)
    session_id = (await gateway.open()).session_id
    await pool.close()
    await pool.close()
    await actor.append(entry(2))
    assert len((await gateway.record(session_id)).events) == 2


async def test_two_hundred_openings_on_a_pool_of_ten_all_get_an_answer(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    for _ in range(10):
        await town.actor()
    starter.gate.clear()  # nothing more comes within the bound
    await run_pool(town, starter, target=10)
    outcomes = await asyncio.gather(
        *(gateway.open(f"eng-{number}") for number in range(200)), return_exceptions=True
    )
    codes = [str(getattr(one, "code", "session")) for one in outcomes]
    assert {code: codes.count(code) for code in codes} == {"session": 10, "no_capacity": 190}
