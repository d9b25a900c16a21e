"""Writes that fit nowhere, among others on a slow disk: how long those wait. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import sqlalchemy as sa

from actors.ledger.database import Database, Work
from actors.ledger.writer import Writer
from broker.errors import Internal, SwitchboardError, Unavailable
from tests.relay.virtual_time import run_in_virtual_time

DISK_S = 0.2
"""What each transaction takes."""


class Disk:
    """Stands for the database: takes its time, and keeps what was committed, in order."""

    def __init__(self, goes_away_at: int | None = None) -> None:
        self.begun = 0
        self.committed: list[int] = []
        self._goes_away_at = goes_away_at

    async def write(self, work: Work[Any]) -> Any:
        self.begun += 1
        await asyncio.sleep(DISK_S)
        if self.begun == self._goes_away_at:
            raise ConnectionResetError
        noted: list[int] = []
        outcomes = work(cast("Any", SimpleNamespace(begin_nested=nullcontext, noted=noted)))
        self.committed += noted
        return outcomes


def fits(number: int, connection: sa.Connection) -> None:
    cast("Any", connection).noted.append(number)


def unfit(connection: sa.Connection) -> NoReturn:
    """As a value does that a release of ours lets through and no database takes."""
    raise TypeError("It does not fit.")


async def written(disk: Disk, works: list[Work[Any]]) -> tuple[list[Any], float, int]:
    """Write in one transaction; what came of each, how long the last waited, what counted."""
    failures: list[int] = []
    writer = Writer(cast("Database", disk), on_failed=lambda: failures.append(1))
    outcomes = [asyncio.ensure_future(writer.do(work)) for work in works]
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.start()
    came = await asyncio.gather(*outcomes, return_exceptions=True)
    waited_s = loop.time() - began
    await writer.close()
    return came, waited_s, len(failures)


def among(count: int, is_unfit: Callable[[int], bool]) -> list[Work[Any]]:
    return [unfit if is_unfit(number) else partial(fits, number) for number in range(count)]


def test_one_of_many_costs_the_others_a_few_transactions() -> None:
    disk = Disk()
    works = among(128, lambda number: number == 83)
    came, waited_s, failures = run_in_virtual_time(written(disk, works))
    assert isinstance(came.pop(83), Internal)
    assert came == [None] * 127
    assert disk.committed == [number for number in range(128) if number != 83]
    # All of them, and seven times two halves; by itself each would make it 129.
    assert disk.begun == 15
    assert waited_s < 16 * DISK_S
    # As one fault, and the one write that is refused: an alert counts them.
    assert failures == 2


def test_however_many_there_are_the_others_wait_no_longer_than_for_a_database_that_is_away() -> (
    None
):
    disk = Disk()
    works = among(512, lambda number: number % 2 == 0)
    came, waited_s, _ = run_in_virtual_time(written(disk, works))
    assert waited_s < 10.0 + 2 * DISK_S
    kinds = [type(each) for each in came]
    # In their order; whoever is refused at last may ask once more.
    tried = kinds.index(Unavailable)
    assert kinds == [Internal, type(None)] * (tried // 2) + [Unavailable] * (512 - tried)
    assert disk.committed == list(range(1, tried, 2))


def test_a_database_that_goes_away_meanwhile_is_not_asked_by_each_write() -> None:
    disk = Disk(goes_away_at=3)
    came, _, _ = run_in_virtual_time(written(disk, among(128, lambda number: number == 0)))
    assert disk.begun == 3
    assert {type(cast("SwitchboardError", each)) for each in came} == {Unavailable}
