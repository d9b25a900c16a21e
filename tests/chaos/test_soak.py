"""Half an hour of arrivals and departures while parts die: nothing grows, and nothing is lost.

`SWITCHBOARD_SOAK_MINUTES` shortens it; below six minutes growth is told and not judged.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import WebSocketException

from benchmarks.census import Census, Growth
from tests.chaos.busy import Busy, are_kept, mode, traces
from tests.chaos.town import KEY, MOVED_S, Gateways, People, Town, open_town
from tests.operations.cluster import Operator, until
from tests.patience import PATIENCE
from tests.widget import Refused, plain_http

MINUTES = float(os.environ.get("SWITCHBOARD_SOAK_MINUTES", "30"))
JUDGED_MINUTES = 6.0
"""A third of it is as long as the pool remembers arrivals."""
pytestmark = [pytest.mark.soak, pytest.mark.timeout((MINUTES * 60 + 600) * PATIENCE)]

STANDBYS = 3
ARRIVAL_S = 5.0
STAY_S = (2.0, 14.0)
FAULT_S = 20.0
"""From one fault to the next, at least."""
LOOK_S = 10.0
COUNT_EVERY = 6
"""So many looks: counting Ray's dead actors joins it, which takes two seconds of a processor."""
DEAD_ACTORS = 8
"""How many Ray is told to remember: a bound that a few minutes of faults reach."""
LEAST_STARTED = 0.8
"""Of those who came: a gateway may die under somebody who has no token to come back with yet."""
MOST_GROWTH = 1.15
MARGINS = {"memory, MB": 96.0, "descriptors": 64.0, "log bytes of a session": 60_000.0}
"""Growth that is none: one standby more or less, whose weight is that of a session actor."""
NOT_STARTED = (Refused, OSError, WebSocketException, AssertionError, httpx.HTTPError)
"""What somebody meets whose gateway dies before they have a token to come back with."""
HOSTS = ("ray::LedgerHost", "ray::PoolHost", "ray::KeeperHost")
COUNT_DEAD = """
import json, sys
import ray
from ray._private.state import actors
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(json.dumps(sum(each["State"] == "DEAD" for each in actors().values())))
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    bound = {"RAY_maximum_gcs_destroyed_actor_cached_count": str(DEAD_ACTORS)}
    folder = tmp_path_factory.mktemp("town")
    with open_town(folder, labels=("eu", "eu"), standbys=STANDBYS, told=bound) as opened:
        yield opened


@dataclass
class Tally:
    """What happened."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Sessions whose record is not what their people were told."""
    faults: list[tuple[float, str]] = field(default_factory=list)
    """When each fault began, in seconds since 1970."""


async def visit(town: Town, gateways: Gateways, tally: Tally, stay_s: float) -> None:
    """One session from its start to its record."""
    people = People(town)
    tally.counts["came"] += 1
    try:
        origins = random.sample(gateways.origins, 2)
        try:
            agent, consumer = await people.talking(through=origins[0])
        except NOT_STARTED as error:
            tally.counts["did not start"] += 1
            print(f"did not start: {type(error).__name__} {error}"[:200])
            return
        pair = [Busy(agent, origins), Busy(consumer, origins, change=mode)]
        for one in pair:
            one.page = gateways.origins[0]
        asking = [asyncio.create_task(one.run()) for one in pair]
        await asyncio.wait(asking, timeout=stay_s, return_when=asyncio.FIRST_EXCEPTION)
        for task in asking:
            task.cancel()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        lost = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
        if lost:
            tally.wrong.append(f"{people.session_id}: {lost!r}"[:300])
            return
        # A question that was cut off may have been heard: it is one change more, at most.
        await pair[0].ask("session.end")
        tally.counts["moves"] += sum(m["type"] == "session.moved" for m in pair[0].widget.heard)
        tally.counts["returns"] += sum(one.returns for one in pair)
        for one in pair:
            await one.widget.close()
        await check(gateways, tally, people.session_id, pair[1].changed)
    finally:
        await people.close()


async def ended_record(gateways: Gateways, session_id: str) -> list[dict[str, Any]]:
    """Read a session's events, once it has ended, from whichever gateway can answer now."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with asyncio.timeout(MOVED_S), plain_http(gateways.origins[0]) as http:
        for origin in itertools.cycle(gateways.origins):
            with suppress(httpx.TransportError):
                answer = await http.get(f"{origin}/v1/sessions/{session_id}", headers=headers)
                events: list[dict[str, Any]] = answer.json().get("events", [])
                if events and events[-1]["type"] == "session.ended":
                    return events
            await asyncio.sleep(0.2)
    raise AssertionError("a cycle has no end")


async def check(gateways: Gateways, tally: Tally, session_id: str, changed: list[str]) -> None:
    """Every acknowledged change is in the record, once and in order; nobody joined twice."""
    found = await ended_record(gateways, session_id)
    types = Counter(str(event["type"]) for event in found)
    well = (
        [event["seq"] for event in found] == list(range(1, len(found) + 1))
        and types["session.started"] == types["session.ended"] == 1
        and types["participant.joined"] == 2
        and are_kept(changed, traces(found))
    )
    tally.counts["ended well" if well else "wrong"] += 1
    if not well:
        print(f"wrong: {session_id}")
        told = [(event["at_ms"], event["type"]) for event in found]
        faults = tally.faults[-4:]
        tally.wrong.append(f"acknowledged {changed}; {told}; faults {faults}")


async def arrivals(town: Town, gateways: Gateways, tally: Tally, end: float) -> None:
    """Let people come at random times, whether or not the others are served."""
    async with asyncio.TaskGroup() as group:
        while time.monotonic() < end:
            group.create_task(visit(town, gateways, tally, random.uniform(*STAY_S)))
            await asyncio.sleep(random.expovariate(1 / ARRIVAL_S))


async def faults(town: Town, gateways: Gateways, tally: Tally, end: float) -> None:
    """Kill something at random, one after another, so that each may recover."""

    def kill(title: str) -> None:
        for process in town.cluster.processes(title):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    async def actor() -> None:
        if holders := await asyncio.to_thread(town.holders):
            random.choice(holders).kill()

    async def host() -> None:
        await asyncio.to_thread(kill, random.choice(HOSTS))

    async def gateway() -> None:
        await asyncio.to_thread(gateways.kill, random.randrange(2))

    async def database() -> None:
        await asyncio.to_thread(town.database.crash)
        await asyncio.to_thread(town.database.start)

    kinds: list[Callable[[], Awaitable[None]]] = [actor, actor, host, gateway, database]
    while time.monotonic() + FAULT_S < end:
        await asyncio.sleep(FAULT_S)
        kind = random.choice(kinds)
        tally.counts[f"fault: {kind.__name__}"] += 1
        tally.faults.append((time.time(), kind.__name__))
        await kind()


@dataclass
class Course:
    """What the deployment weighed, look after look."""

    values: dict[str, list[float]] = field(default_factory=dict)

    async def watch(self, town: Town, gateways: Gateways, tally: Tally, end: float) -> None:
        """Look now and then."""

        def family() -> Iterator[psutil.Process]:
            yield from town.cluster.processes("")
            for pid in gateways.pids:
                with suppress(psutil.NoSuchProcess):
                    yield psutil.Process(pid)

        census = Census(family)
        logs = next(each for each in town.cluster.folder.glob("session_2*")) / "logs"
        written, served = 0, 0
        for number in itertools.count(1):
            await asyncio.sleep(LOOK_S)
            if time.monotonic() > end:
                return
            found = await asyncio.to_thread(census.take)
            self.note("memory, MB", sum(each.memory_bytes for each in found) / 2**20)
            self.note("descriptors", float(sum(each.descriptors or 0 for each in found)))
            self.note("processes", float(len(found)))
            size, count = await asyncio.to_thread(weigh, logs)
            done = tally.counts["ended well"]
            if done > served:
                self.note("log bytes of a session", (size - written) / (done - served))
                written, served = size, done
            self.note("log files", float(count))
            if number % COUNT_EVERY == 0:
                self.note("dead actors", float(await asyncio.to_thread(count_dead, town)))

    def note(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)


def weigh(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below a folder."""
    sizes = [each.stat().st_size for each in folder.rglob("*") if each.is_file()]
    return sum(sizes), len(sizes)


def count_dead(town: Town) -> int:
    """How many actors Ray remembers that are dead."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT_DEAD, town.cluster.address],
        env=town.operator.environment,
        capture_output=True,
        text=True,
        timeout=MOVED_S,
        check=True,
    )
    return int(json.loads(done.stdout.splitlines()[-1]))


async def test_people_come_and_go_while_parts_die(town: Town, tmp_path: Path) -> None:
    tally, course = Tally(), Course()
    with Operator(tmp_path, town.operator.environment) as second:
        gateways = await asyncio.to_thread(Gateways, town, second)
        end = time.monotonic() + MINUTES * 60
        async with asyncio.TaskGroup() as group:
            for work in (arrivals, faults, course.watch):
                group.create_task(work(town, gateways, tally, end))
        await asyncio.to_thread(gateways.close)
    print(dict(tally.counts))
    thirds = {
        name: Growth.of(values) for name, values in course.values.items() if len(values) >= 12
    }
    print({name: (round(each.first), round(each.last)) for name, each in thirds.items()})
    assert tally.wrong == []
    assert tally.counts["ended well"] >= LEAST_STARTED * tally.counts["came"] > 0, tally.counts
    await asyncio.to_thread(until, "no session is held any more", lambda: not town.holders())
    await asyncio.to_thread(
        until, "no ghost session", lambda: not any(node["live"] for node in town.nodes())
    )
    # Ray forgets them a little later than they die.
    assert max(course.values["dead actors"]) <= DEAD_ACTORS + STANDBYS
    if MINUTES >= JUDGED_MINUTES:
        for name, margin in MARGINS.items():
            grown = thirds[name].beyond(margin)
            assert grown <= MOST_GROWTH, f"{name}: {thirds[name]}, {course.values[name]}"
