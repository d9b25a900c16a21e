"""A rolling upgrade of three nodes under load: nobody clicks, and nobody waits for long.

Some of the calls carry sound and picture, whose pauses are measured where they are received.
Node by node: drain, install this release in the place of the other, replace Switchboard's
processes, undrain.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.chaos.load import check, during, load, longest, media_of
from tests.chaos.releases import put_other_release
from tests.chaos.streams import flow
from tests.chaos.town import Gateways, Town, open_town
from tests.operations.cluster import ROOT, SINGLES, Operator, until
from tests.patience import PATIENCE

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 * PATIENCE)]

CALLS = 4
STREAMING = 2
"""Of the calls, with media; what their people change stops no picture."""
STANDBYS = 3
CALM_S = 5.0
GAP_S = 2.0
LEDGER_S = 12.0
"""A change waits for its ledger at most as long as a widget does (`REQUEST_MS`)."""
LAST = "ledger, pool, keeper"
MARGIN = 4
"""So many of the longest gaps before anything is done are added: the machine may be slow."""
CALM_GAP_S = {"answers": 0.5, "saves": 0.5, "media": 1.0}
"""Where there are longer pauses while nothing is done, the machine is too slow to judge the others
by `GAP_S` alone."""


MARK = "of the other release"
SAY_SO = f"""
import sys
if sys.argv[0].endswith("default_worker.py"):
    print({MARK!r}, file=sys.stderr, flush=True)
"""
"""Ends a module that each of our Ray actors imports, in the other release."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Three nodes of the other release, each of which has it in a place of its own."""
    folder = tmp_path_factory.mktemp("town")
    other = put_other_release(folder / "other")
    with (other / "gateway" / "__init__.py").open("a") as module:
        module.write(SAY_SO)
    places = [folder / f"release-{number}" for number in range(3)]
    for place in places:
        place.symlink_to(other)
    labels = ("eu", "eu", "eu")
    with open_town(folder, labels=labels, standbys=STANDBYS, releases=places) as opened:
        yield opened


def install(place: Path) -> None:
    """Put this release where a node has the other."""
    new = place.with_suffix(".new")
    new.symlink_to(ROOT)
    new.rename(place)


def hosts(town: Town) -> Counter[tuple[str, bool]]:
    """Count our Ray actors by what they are, and whether they are of this release."""
    (logs,) = town.cluster.folder.glob("session_2*/logs")
    found: Counter[tuple[str, bool]] = Counter()
    for process in town.cluster.processes("ray::"):
        with suppress(psutil.NoSuchProcess):
            kind, is_ours, _ = process.cmdline()[0].removeprefix("ray::").partition("Host")
            if is_ours:
                # What a worker has forked has its title until it runs something else, and no log.
                for log in logs.glob(f"worker-*-{process.pid}.err"):
                    found[kind, MARK not in log.read_text()] += 1
    return found


def are_side_by_side(town: Town, done: int) -> bool:
    """Whether actors run of this release and of the other, once so many nodes have this one.

    The first node gets its standbys when the next one is drained; ledger, pool and keeper are
    replaced with the last.
    """
    found = hosts(town)
    singles = all(found[kind, done == 3] == 1 for kind in ("Ledger", "Pool", "Keeper"))
    ours, theirs = found["Session", True], found["Session", False]
    return singles and (ours > 0 or done == 1) and (theirs > 0) == (done < 3)


async def switchboard(town: Town, *words: str) -> str:
    status, said = await asyncio.to_thread(
        town.operator.run, *words, "--address", town.cluster.address
    )
    assert status == 0, said
    return said


async def test_three_nodes_are_upgraded_one_by_one_and_nobody_clicks(
    town: Town, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    second_place = Path(town.operator.environment["PYTHONPATH"]).with_name("release-1")
    environment = {**town.operator.environment, "PYTHONPATH": str(second_place)}
    with Operator(tmp_path, environment) as second:
        gateways = await asyncio.to_thread(Gateways, town, second)
        pauses = await upgrade(town, gateways)
        await asyncio.to_thread(gateways.close)
    slow = {kind: each for kind, each in pauses.items() if each["calm"] >= CALM_GAP_S[kind]}
    if slow:
        record_property("note", f"paused while nothing was done, so not judged alone: {slow}")
    for kind in pauses.keys() - slow.keys():
        assert max(pauses[kind].values()) <= GAP_S, (kind, pauses)


async def upgrade(town: Town, gateways: Gateways) -> dict[str, dict[str, float]]:
    """Upgrade node by node; returns the longest pauses in seconds, by kind and by what was done.

    Answers are those of the session's actor alone; saves wait for the ledger, too, and are told
    without those while it is killed; media are any sound or picture.
    """
    origins = gateways.origins
    async with (
        load(town, origins, calls=CALLS, with_media=STREAMING) as (calls, busy),
        media_of(busy) as streams,
    ):
        await asyncio.to_thread(
            until, "standbys or sessions on each", lambda: len(town.nodes()) == 3
        )
        await asyncio.to_thread(until, "the pool is full", partial(is_full, town))
        await flow(streams, "calm", epoch=1)
        places = {town.cluster.release_of(each["node"]): each["node"] for each in town.nodes()}
        assert not any(new for _, new in await asyncio.to_thread(hosts, town))
        await asyncio.sleep(CALM_S)
        for index, (place, node) in enumerate(sorted(places.items())):
            during(busy, streams, "drain")
            said = await switchboard(town, "drain", node, "--deadline", "90s", "--json")
            drained = json.loads(said.splitlines()[-1])
            assert (drained["drain"], drained["live"], drained["members"]) == ("drained", 0, 0)
            install(place)
            if index < 2:
                during(busy, streams, "gateway")
                await asyncio.to_thread(gateways.replace, index)
            else:
                during(busy, streams, LAST)
                for title in SINGLES:
                    (process,) = town.cluster.processes(title)
                    process.kill()
            if index < 2:
                during(busy, streams, "undrain")
            await asyncio.to_thread(until, "the drain is ended", partial(is_undrained, town, node))
            await asyncio.to_thread(until, "the pool is full again", partial(is_full, town))
            try:
                beside = partial(are_side_by_side, town, index + 1)
                await asyncio.to_thread(until, "both releases, then this one only", beside)
            finally:
                print(index + 1, "of three nodes have this release:", dict(hosts(town)))
        await flow(streams, "afterwards", epoch=2)
        await asyncio.sleep(1.0)
    answers = longest([each.gaps for each in busy])
    saves = longest([each.saves for each in busy])
    media = longest([each.reception.gaps for each in streams])
    moved = [max(m["epoch"] for m in each.widget.heard if "epoch" in m) for each in busy]
    figures = f"longest pauses in seconds: answers {answers}, saves {saves}, media {media}; "
    unanswered = [each for one in busy for each in one.unanswered]
    figures += (
        f"epochs {moved}; unanswered {unanswered}; changes {[len(each.changed) for each in busy]}"
    )
    print(figures)
    assert saves.pop(LAST) <= LEDGER_S * PATIENCE, figures
    pauses = {"answers": answers, "saves": saves, "media": media}
    for each in pauses.values():
        assert max(each.values()) <= GAP_S + MARGIN * each["calm"], figures
    assert unanswered == [], "no session's actor died, so each was there to answer"
    assert sum(each.returns for each in busy) >= len(busy), "each gateway was replaced once"
    assert max(moved) > 1, figures
    for people, agent, consumer in zip(calls, busy[::2], busy[1::2], strict=True):
        await check(town, people, agent, consumer)
    await town.at_rest()
    return pauses


def is_undrained(town: Town, node: str) -> bool:
    """Ask for it; a ledger that was just killed says that it is to be tried again."""
    status, said = town.operator.run("undrain", node, "--address", town.cluster.address)
    assert status == 0 or "try again" in said, said
    return status == 0


def is_full(town: Town) -> bool:
    """Whether there are standbys for the next node's sessions."""
    return bool(sum(each["standbys"] for each in town.nodes()) >= STANDBYS)
