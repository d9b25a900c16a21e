"""Standbys whose process has held a session: only for its account, first, few, counted apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests import databases
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, POLICY
from tests.patience import until


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        town = Town(databases.sqlite(tmp_path / "ledger.db"), stack)
        await town.new_ledger(replace(POLICY, reused_limit=2))
        yield town


async def test_its_account_gets_it_before_one_that_has_held_nothing(town: Town) -> None:
    fresh, used = await town.actor(), await town.actor(account_id=ACCOUNT)
    gateway = await town.gateway()
    assert (await gateway.open("one")).port == used.port
    assert town.ledger.level().taken == 0
    assert (await gateway.open("two")).port == fresh.port
    assert town.ledger.level().taken == 1


async def test_another_account_waits_and_it_makes_room(town: Town) -> None:
    used, gateway = await town.actor(account_id=ACCOUNT), await town.gateway()
    opening = asyncio.ensure_future(gateway.open("one", "other"))
    await until(lambda: used.stopped, "its end")
    assert used.session_id is None
    fresh = await town.actor()
    assert (await opening).port == fresh.port


async def test_one_that_comes_back_while_its_account_waits_is_taken(town: Town) -> None:
    gateway = await town.gateway()
    opening = asyncio.ensure_future(gateway.open())
    await until(lambda: town.ledger.level().queued == 1, "the queue")
    used = await town.actor(account_id=ACCOUNT)
    assert (await opening).port == used.port


async def test_they_are_few_and_no_standbys_for_everybody(town: Town) -> None:
    used = [await town.actor(account_id=ACCOUNT) for _ in range(3)]
    await until(lambda: any(each.stopped for each in used), "the end of one too many")
    assert [each.stopped for each in used] == [False, False, True]
    await town.actor()
    await until(lambda: len(town.ledger.level().members) == 3, "the fresh one")
    level = town.ledger.level()
    assert (level.standbys, len(level.reused), len(level.members)) == (1, 2, 3)
    (node,) = level.nodes
    assert (node.standbys, node.reusable, node.members) == (1, 2, 3)


async def test_a_takeover_may_have_one_of_its_account(town: Town) -> None:
    first, gateway = await town.actor(), await town.gateway()
    location = await gateway.open()
    used, foreign = await town.actor(account_id=ACCOUNT), await town.actor(account_id="other")
    await first.die()
    moved = await gateway.takeover(location.session_id, location.epoch)
    assert (moved.port, foreign.session_id) == (used.port, None)


async def test_a_drained_node_keeps_none(town: Town) -> None:
    used, gateway = await town.actor(account_id=ACCOUNT), await town.gateway()
    await gateway.drain(used.node)
    await until(lambda: used.stopped, "its end")
    late = await town.actor(account_id=ACCOUNT)
    await until(lambda: late.stopped, "the end of one that came back")
