"""What a ledger tells gateways of its pool, and what a gateway makes of it."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress

import pytest

from actors.ledger_link import LedgerLink
from broker.errors import Forbidden
from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.nodes import NodeQuery, PoolLinked
from gateway.links.ledger_client import LedgerClient
from gateway.links.shards import Shards
from tests.ledger.conftest import Town
from tests.ledger.fakes import KEY, TIMING
from tests.patience import until

_numbers = itertools.count(1)


class _OtherVacate(ClusterMessage):
    closed: int = 7


async def pool(town: Town) -> LedgerLink:
    hello = LinkHello(kind="pool", member_id=f"pool-{next(_numbers)}", node="n")
    link = LedgerLink(town.home, KEY, hello, timing=TIMING)
    town.stack.push_async_callback(link.close)
    await link.start()
    await link.wait_up(5.0)
    return link


async def test_gateways_hear_first_whether_there_is_a_pool_and_then_when_it_changes(
    town: Town,
) -> None:
    early = await town.gateway()
    first = await pool(town)
    await until(lambda: len(early.told(PoolLinked.method, PoolLinked)) == 2, "the first pool")
    second = await pool(town)
    await first.close()
    late = await town.gateway()
    await second.close()
    await until(lambda: len(late.notices) == 2, "that no pool is left")
    await early.nodes()
    assert [each.linked for each in early.told(PoolLinked.method, PoolLinked)] == [
        False,
        True,
        False,
    ]
    assert [each.linked for each in late.told(PoolLinked.method, PoolLinked)] == [True, False]


async def test_what_a_pool_says_and_the_ledger_cannot_read_costs_it_no_link(town: Town) -> None:
    link = await pool(town)
    assert link.notify("pool.vacate", _OtherVacate())
    # Read behind it: an answer on the same link, of a call that a pool may not make.
    with pytest.raises(Forbidden):
        await link.call(NodeQuery(), Done)


async def test_one_of_several_ledgers_with_its_pool_is_enough(town: Town) -> None:
    """As one that can be asked is: the accounts of one must not cost the others."""
    hello = LinkHello(kind="gateway", member_id="gateway", node="n")
    here, nowhere = LedgerClient(town.home, KEY, hello), LedgerClient(_lost, KEY, hello)
    directory = Shards([nowhere, here])
    running = asyncio.create_task(directory.run())
    try:
        await until(lambda: directory.ready, "the ledger")
        # It is ready by a reply, before which the ledger has said that there is none.
        assert (directory.pool_linked, directory.was_complete) == (False, False)
        link = await pool(town)
        await until(lambda: directory.pool_linked and directory.was_complete, "the pool")
        await link.close()
        await until(lambda: not directory.pool_linked, "its loss")
        assert directory.was_complete
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _lost() -> tuple[str, int]:
    raise ConnectionRefusedError("No ledger yet.")
