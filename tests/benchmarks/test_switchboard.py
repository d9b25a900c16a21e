"""What the Switchboard of a benchmark answers about its pool."""

from __future__ import annotations

import asyncio

from benchmarks.switchboard import Answers
from broker.measures import Count, Standing
from broker.messages.cluster.exporting import Measured, MeasureList
from broker.messages.cluster.nodes import PoolLevel
from tests.patience import until


async def uncounted() -> MeasureList:
    return MeasureList(measured=[])


class Pool:
    """A ledger that knows so many standbys, is away, or fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = self.broken = False
        self.standbys = 2

    async def level(self) -> PoolLevel | None:
        self.asked += 1
        if self.broken:
            raise ConnectionError("the ledger is gone")
        return (
            None
            if self.away
            else PoolLevel(standbys=self.standbys, live=1, queued=0, reused=["once"])
        )


async def test_it_says_how_the_pool_is_filled_and_that_the_ledger_is_away() -> None:
    pool = Pool()
    answers = Answers(pool.level, uncounted)
    assert await answers.to("level") == {"waited": 0, "live": 1, "standbys": 2, "reused": ["once"]}
    pool.away = True
    assert await answers.to("level") == {"error": "The ledger is away."}


async def test_it_notes_what_changes_between_two_questions_and_looks_no_more_after() -> None:
    pool = Pool()
    answers = Answers(pool.level, uncounted)
    assert await answers.to("watch") == {}
    await until(lambda: pool.asked >= 2)
    pool.standbys = 1
    seen = pool.asked
    await until(lambda: pool.asked >= seen + 2)
    looks = (await answers.to("watched"))["looks"]
    assert isinstance(looks, list)
    assert [(standbys, members) for _, standbys, members in looks] == [(2, 0), (1, 0)]
    assert len(asyncio.all_tasks()) == 1, "whoever looked has ended"
    assert "error" in await answers.to("watched"), "nobody looks"


async def test_a_second_watch_begins_anew_and_leaves_no_first_behind() -> None:
    pool = Pool()
    answers = Answers(pool.level, uncounted)
    await answers.to("watch")
    await until(lambda: pool.asked >= 2)
    await answers.to("watch")
    assert len(asyncio.all_tasks()) == 2
    seen = pool.asked
    await until(lambda: pool.asked > seen)
    looks = (await answers.to("watched"))["looks"]
    assert isinstance(looks, list)
    assert len(looks) == 1
    assert await answers.close() is None


async def test_who_looked_and_failed_is_named_instead_of_half_a_course() -> None:
    pool = Pool()
    answers = Answers(pool.level, uncounted)
    await answers.to("watch")
    await until(lambda: pool.asked >= 2)
    pool.broken = True
    seen = pool.asked
    await until(lambda: pool.asked > seen)
    assert "the ledger is gone" in str((await answers.to("watched"))["error"])


async def test_it_adds_up_what_the_session_actors_of_all_nodes_have_counted() -> None:
    async def counts() -> MeasureList:
        return MeasureList(
            measured=[
                Measured(
                    ledger=0,
                    node="a",
                    counts={Count.DROPPED_BLOCKED: 2},
                    standing={Standing.TASKS: 6},
                ),
                Measured(
                    ledger=0,
                    node="b",
                    counts={Count.DROPPED_BLOCKED: 3},
                    standing={Standing.TASKS: 7},
                ),
                Measured(ledger=0, counts={Count.TRANSACTIONS: 9}),
            ]
        )

    answers = Answers(Pool().level, counts)
    assert await answers.to("counted") == {
        "counts": {"dropped.blocked": 5},
        "standing": {"tasks": 13},
    }
