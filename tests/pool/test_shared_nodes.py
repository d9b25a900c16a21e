"""The pools of several ledgers on the same nodes: what one uses the others leave alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from actors.pool import Pool, PoolPolicy
from gateway.compose.pool_host import places_left, policy_of
from gateway.compose.ray_runtime import RayNode
from gateway.compose.settings import ClusterSettings
from tests import databases
from tests.ledger.conftest import Town
from tests.ledger.fakes import KEY, TIMING
from tests.patience import until
from tests.pool.test_pool import HELLO, Starter

NODES = [RayNode("a", "a", "10.0.0.1", "a", "", 4)]


@pytest.fixture
async def towns(tmp_path: Path) -> AsyncIterator[list[Town]]:
    async with AsyncExitStack() as stack:
        towns = [Town(databases.sqlite(tmp_path / f"{n}.db"), stack) for n in range(2)]
        for town in towns:
            await town.new_ledger()
        yield towns


@pytest.fixture
async def pools(towns: list[Town]) -> AsyncIterator[list[Pool]]:
    """The pools that a test runs, closed before their ledgers."""
    pools: list[Pool] = []
    yield pools
    for pool in pools:
        await pool.close()


async def run(
    pools: list[Pool], town: Town, policy: PoolPolicy, nodes: Sequence[RayNode] = ()
) -> Pool:
    """Run one more pool; it heeds the others as the pool's host has it do."""

    def others() -> list[Pool]:
        return [each for each in pools if each is not pool]

    pool = Pool(
        Starter(town),
        town.home,
        KEY,
        HELLO,
        policy=policy,
        timing=TIMING,
        places=lambda: places_left(nodes, others()),
        elsewhere=lambda: sum(each.members for each in others()),
    )
    pools.append(pool)
    await pool.start()
    return pool


def standbys(towns: list[Town]) -> list[int]:
    return [town.ledger.level().standbys for town in towns]


@pytest.mark.parametrize(("shards", "each"), [(1, (10, 94)), (4, (3, 24))])
def test_standbys_and_reserve_are_divided_among_the_pools(
    shards: int, each: tuple[int, int]
) -> None:
    settings = ClusterSettings(
        "secret", "postgresql://u@h/d", "https://x", 10, ledger_shards=shards, reserve=94
    )
    policy = policy_of(settings)
    assert (policy.target, policy.reserve_limit) == each


async def test_a_node_is_not_filled_twice(towns: list[Town], pools: list[Pool]) -> None:
    policy = PoolPolicy(target=3, arrival_s=60.0)
    there = [await towns[0].actor(node="a") for _ in range(3)]
    first = await run(pools, towns[0], policy, NODES)
    await until(
        lambda: first.used("a") == 3 and standbys(towns) == [3, 0], "three of the four slots"
    )
    second = await run(pools, towns[1], policy, NODES)
    await until(
        lambda: second.used("a") == 1 and standbys(towns) == [3, 1], "the slot that is left"
    )
    second.refill()
    assert second.used("a") == 1
    # What was known holds while the first one's ledger is away: its actors are there.
    await towns[0].ledger.close()
    await until(lambda: first.level is None, "the loss of the first pool's ledger")
    second.refill()
    assert (first.used("a"), second.used("a")) == (3, 1)
    # They come back one by one, and a pool that wants more than have come starts some.
    first.set_target(0)
    await towns[0].new_ledger()
    await until(lambda: standbys(towns)[0] == 3 and first.level is not None, "all of them again")
    await there[0].die()
    await until(lambda: first.used("a") == 2, "a slot that is free")
    second.refill()
    await until(lambda: standbys(towns) == [2, 2], "its use by the other pool")


async def test_the_limit_of_session_actors_is_for_all_pools(
    towns: list[Town], pools: list[Pool]
) -> None:
    policy = PoolPolicy(target=3, members_limit=4, arrival_s=60.0)
    first = await run(pools, towns[0], policy)
    await until(lambda: first.members == 3 and standbys(towns) == [3, 0], "three of four")
    second = await run(pools, towns[1], policy)
    await until(
        lambda: (second.members, second.starting) == (1, 0) and standbys(towns) == [3, 1],
        "the fourth",
    )
    second.refill()
    assert (first.members, second.members, second.starting) == (3, 1, 0)
