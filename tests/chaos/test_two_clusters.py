"""Two Rays on one PostgreSQL: calls of one go on in the other. So a Ray or Python is upgraded.

What `docs/operations.md` says of "A new Ray or Python" is done step by step, the proxy included.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.busy import SETTLE_S, Busy
from tests.chaos.load import check, during, load, longest, media_of
from tests.chaos.streams import Streaming, flow, waiting
from tests.chaos.town import MOVED_S, People, Town, open_town
from tests.ledger import postgres
from tests.operations.cluster import SESSIONS, SINGLES, until
from tests.patience import PATIENCE
from tests.proxy import FaultProxy

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600 * PATIENCE)]

CALLS = 2
STREAMING = 1
"""Of the calls, with media."""
GAP_S = 2.0
"""Nobody misses the other for longer."""
ANSWER_S = GAP_S * PATIENCE + SETTLE_S
"""Nor waits longer for an answer of the session's actor, where the question is to be said again
because it was on its way when the actor was ended."""
MARGIN = 4
"""So many of the longest gaps before anything is done are added: the machine may be slow, and here
it carries both clusters."""
ENDED = "the old cluster is ended"


def title_of(town: Town) -> list[str]:
    """Our Ray actors that run in a town, by their processes' titles."""
    return [title for title in (*SINGLES, SESSIONS) for _ in town.cluster.processes(title)]


async def term_of(town: Town) -> object:
    return await postgres.value(f"{town.database.url}/postgres", "SELECT term FROM terms")


def stays_away(town: Town) -> bool:
    """Whether Ray has started its ledger again, and that has found the database another's."""
    logs = town.cluster.folder.glob("session_2*/logs/worker-*.err")
    return any("Superseded" in log.read_text() for log in logs)


@contextmanager
def second(folder: Path, old: Town) -> Iterator[Town]:
    folder.mkdir()
    with open_town(folder, labels=("eu",), standbys=CALLS, origin=old.origin, other=old) as opened:
        yield opened


async def test_calls_go_on_in_a_second_cluster_on_the_same_database(tmp_path: Path) -> None:
    proxy = await FaultProxy().start()
    origin = f"http://127.0.0.1:{proxy.port}"
    (tmp_path / "old").mkdir()
    with ExitStack() as stack:
        opening = open_town(tmp_path / "old", labels=("eu",), standbys=CALLS, origin=origin)
        old = stack.enter_context(opening)
        proxy.target = old.operator.port
        await old.stand_by("eu")
        # What is being saved when the database is taken away is answered in the new cluster.
        there = load(old, [origin], calls=CALLS, with_media=STREAMING, answered_s=MOVED_S)
        async with there as (calls, busy), media_of(busy) as streams:
            await flow(streams, "calm", epoch=1)
            during(busy, streams, "the second cluster is started")
            opening = second(tmp_path / "new", old)
            new = await asyncio.to_thread(stack.enter_context, opening)
            await moved(old, new, proxy, busy, streams)
            await later(new)
        await judge(new, calls, busy, streams)
    await proxy.close()


async def moved(
    old: Town, new: Town, proxy: FaultProxy, busy: list[Busy], streams: list[Streaming]
) -> None:
    """The second and third step; the old cluster is gone at the end."""
    during(busy, streams, "the new ledger has the database")
    taken = await term_of(new)
    ledgers = new.cluster.processes(SINGLES[0])
    await new.stand_by("eu")
    await asyncio.to_thread(until, "the old ledger stays away", partial(stays_away, old))
    assert len(old.holders()) == CALLS, "its calls go on"

    during(busy, streams, ENDED)
    ears = [each.ear() for each in streams]
    try:
        proxy.target = new.operator.port
        await asyncio.to_thread(old.end)
        assert title_of(old) == []
        await flow(streams, "afterwards", epoch=2)
        assert len(new.holders()) == CALLS, "one owner each"
        await asyncio.to_thread(old.cluster.stop)
        for ear in ears:
            waiting(ear)
        await flow(streams, "afterwards", epoch=2)
        assert [waiting(ear) for ear in ears] == [0] * len(ears), "nothing of it speaks again"
    finally:
        for ear in ears:
            ear.close()
    assert new.cluster.processes(SINGLES[0]) == ledgers
    assert await term_of(new) == taken


async def later(new: Town) -> None:
    """Whoever comes now is served, through the same address."""
    people = People(new)
    agent, consumer = await people.talking()
    await agent.insist("session.end")
    await consumer.expect("session.ended")
    for widget in (agent, consumer):
        await widget.close()
    await people.close()


async def judge(new: Town, calls: list[People], busy: list[Busy], streams: list[Streaming]) -> None:
    """Nobody clicked, nothing that was acknowledged is lost, and no pause was long."""
    answers, saves = longest([each.gaps for each in busy]), longest([each.saves for each in busy])
    media = longest([each.reception.gaps for each in streams])
    epochs = [[m["epoch"] for m in one.heard if "epoch" in m] for one in busy]
    unanswered = [each for one in busy for each in one.unanswered]
    figures = (
        f"longest pauses in seconds: answers {answers}, saves {saves}, media {media}; "
        f"epochs {[max(each) for each in epochs]}; unanswered {unanswered}; "
        f"changes {[len(each.changed) for each in busy]}"
    )
    print(figures)
    for pauses, most in ((media, GAP_S * PATIENCE), (answers, ANSWER_S)):
        assert max(pauses.values()) <= most + MARGIN * pauses["calm"], figures
    for heard in epochs:
        assert heard == sorted(heard), "nobody of a tenure before is heard"
        assert heard[-1] == 2, figures
    for people, agent, consumer in zip(calls, busy[::2], busy[1::2], strict=True):
        await check(new, people, agent, consumer)
    await new.at_rest()
    there = await postgres.value(f"{new.database.url}/postgres", "SELECT count(*) FROM sessions")
    assert there == CALLS + 1
