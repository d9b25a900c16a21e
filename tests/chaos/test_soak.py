"""Half an hour of arrivals and departures while parts die: nothing grows, and nothing is lost.

`SWITCHBOARD_SOAK_MINUTES` shortens it; below six minutes growth and faults are told and not judged.
What is drawn by lot comes from a seed, which is told and may be given by `SWITCHBOARD_SOAK_SEED`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from websockets.exceptions import WebSocketException

from benchmarks.census import FEWEST, Census, Growth, thirds
from benchmarks.process import lives
from benchmarks.sampler import title
from tests.chaos.busy import Busy, are_kept, mode, traces
from tests.chaos.town import KEYS, MOVED_S, Gateways, People, Town, open_town
from tests.operations.cluster import SESSIONS, SINGLES, Operator
from tests.patience import PATIENCE
from tests.widget import Refused, plain_http

MINUTES = float(os.environ.get("SWITCHBOARD_SOAK_MINUTES", "30"))
SEED = int(os.environ.get("SWITCHBOARD_SOAK_SEED") or secrets.randbelow(1_000_000))
JUDGED_MINUTES = 6.0
"""Below it the ramp leaves too little to compare."""
pytestmark = [pytest.mark.soak, pytest.mark.timeout((MINUTES * 60 + 600) * PATIENCE)]

STANDBYS = 3
ARRIVAL_S = 5.0
STAY_S = (2.0, 14.0)
FAULT_S = 20.0
"""From one fault to the next, at least."""
HEALING_S = 15.0 * PATIENCE
"""So long after a fault somebody may still meet it."""
LOOK_S = 10.0
COUNT_EVERY = 6
"""So many looks: counting Ray's dead actors joins it, which takes two seconds of a processor."""
DEAD_ACTORS = 8
"""How many Ray is told to remember: a bound that a few minutes of faults reach."""
LEAST_STARTED = 0.8
"""Of those who came: a gateway may die under somebody who has no token to come back with yet."""
MOST_GROWTH = 1.15
RAMP_S = 120.0
"""Until then the pool learns how many standbys are wanted, so nothing is compared with it: as long
as it takes to forget all but an eighth of what it believed before (`actors.arrivals`)."""
ACTORS = "session actors"
ACTOR_MB = "memory of a session actor, MB"
REST_MB = "memory of everything else, MB"
STRAYS = "session actors that the ledger does not know"
MARGINS = {
    ACTOR_MB: 6.0,
    REST_MB: 48.0,
    ACTORS: 3.0,
    "descriptors": 64.0,
    "log bytes of a session": 5_000.0,
    "log files of a session": 0.5,
}
"""Growth that is none: one standby more or less. How many there are is apart from what each weighs:
memory that a process keeps is a fault, one more standby is the pool's judgement of who comes."""
MOST_STRAYS = 4.0
"""Starts at work on two nodes: one more lasts longer than a start, and nobody would end it."""
MARGIN_OF_ONE = 24.0
"""The same of one process's descriptors: who happens to be connected."""
LOG_MONITOR = "log_monitor.py"
"""Ray's; not counted: it keeps the logs of every worker that ever was open, up to 200 of them."""
NOT_STARTED = (Refused, OSError, WebSocketException, AssertionError, httpx.HTTPError)
"""What somebody meets whose gateway dies before they have a token to come back with."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    bound = {"RAY_maximum_gcs_destroyed_actor_cached_count": str(DEAD_ACTORS)}
    folder = tmp_path_factory.mktemp("town")
    with open_town(folder, labels=("eu", "eu"), standbys=STANDBYS, told=bound) as opened:
        yield opened


@dataclass
class Fault:
    """One that hit something."""

    kind: str
    began: float
    """In seconds since 1970, as in records."""
    ended: float = float("inf")
    """When what was killed is there again, as far as the test starts it."""


@dataclass
class Tally:
    """What happened."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """What must not happen: a record that is not what its people were told, and the like."""
    faults: list[Fault] = field(default_factory=list)

    def met_a_fault(self, since: float) -> bool:
        """Whether somebody who came at `since` may have met a fault until now."""
        return any(fault.ended + HEALING_S >= since for fault in self.faults)


async def visit(
    town: Town, gateways: Gateways, tally: Tally, origins: list[str], stay_s: float
) -> None:
    """One session from its start to its record, through these gateways."""
    people, came = People(town), time.time()
    tally.counts["came"] += 1
    try:
        try:
            agent, consumer = await people.talking(through=origins[0])
        except NOT_STARTED as error:
            tally.counts["did not start"] += 1
            said = f"did not start: {type(error).__name__} {error}"[:200]
            print(said)
            if not tally.met_a_fault(came):
                tally.wrong.append(f"{said}; no fault was near")
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
        if not await pair[0].ask("session.end"):
            tally.wrong.append(f"{people.session_id}: its end had to wait for the ledger")
            return
        tally.counts["moves"] += sum(m["type"] == "session.moved" for m in pair[0].widget.heard)
        tally.counts["returns"] += sum(one.returns for one in pair)
        tally.counts["unanswered"] += sum(len(one.unanswered) for one in pair)
        for one in pair:
            await one.widget.close()
        await check(gateways, tally, people.session_id, pair[1].changed)
    finally:
        await people.close()


async def ended_record(gateways: Gateways, session_id: str) -> list[dict[str, Any]]:
    """Read a session's events, once it has ended, from whichever gateway can answer now."""
    headers = {"Authorization": f"Bearer {KEYS['eastern']}"}
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
        and found[-1]["body"]["reason"] == "ended_by_agent"
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
    lot = random.Random(f"arrivals {SEED}")
    async with asyncio.TaskGroup() as group:
        while time.monotonic() < end:
            origins, stay_s = lot.sample(gateways.origins, 2), lot.uniform(*STAY_S)
            group.create_task(visit(town, gateways, tally, origins, stay_s))
            await asyncio.sleep(lot.expovariate(1 / ARRIVAL_S))


async def faults(town: Town, gateways: Gateways, tally: Tally, end: float) -> None:
    """Kill something at random, one after another, so that each may recover.

    Of five faults each kind is one or two; a kind says whether it hit anything.
    """
    lot = random.Random(f"faults {SEED}")

    def kill(processes: Iterable[psutil.Process]) -> bool:
        hit = 0
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
                hit += 1
        return hit > 0

    async def actor() -> bool:
        holders = await asyncio.to_thread(town.holders)
        return kill(lot.sample(holders, min(1, len(holders))))

    async def host() -> bool:
        return kill(await asyncio.to_thread(town.cluster.processes, lot.choice(SINGLES)))

    async def gateway() -> bool:
        index = lot.randrange(2)
        there = lives(psutil.Process(gateways.pids[index]))
        await asyncio.to_thread(gateways.kill, index)
        return there

    async def database() -> bool:
        await asyncio.to_thread(town.database.crash)
        await asyncio.to_thread(town.database.start)
        return True

    while True:
        for kind in lot.sample([actor, actor, host, gateway, database], 5):
            if time.monotonic() + FAULT_S >= end:
                return
            await asyncio.sleep(FAULT_S)
            fault = Fault(kind.__name__, time.time())
            tally.faults.append(fault)
            if await kind():
                fault.ended = time.time()
                tally.counts[f"fault: {fault.kind}"] += 1
            else:
                tally.faults.remove(fault)


@dataclass
class Course:
    """What the deployment weighed, look after look."""

    values: dict[str, list[float]] = field(default_factory=dict)
    logs: list[tuple[int, int, int]] = field(default_factory=list)
    """Bytes of log, files of log, and sessions that had ended well."""
    held: dict[psutil.Process, list[Counter[str]]] = field(default_factory=dict)
    """The descriptors of each process, by what they are of."""
    names: dict[psutil.Process, str] = field(default_factory=dict)

    async def watch(self, town: Town, gateways: Gateways, tally: Tally, end: float) -> None:
        """Look now and then."""

        def family() -> Iterator[psutil.Process]:
            yield from town.cluster.processes("")
            for pid in gateways.pids:
                with suppress(psutil.NoSuchProcess):
                    yield psutil.Process(pid)

        census = Census(family)
        logs = next(each for each in town.cluster.folder.glob("session_2*")) / "logs"
        for number in itertools.count(1):
            await asyncio.sleep(LOOK_S)
            if time.monotonic() > end:
                return
            found = await asyncio.to_thread(census.take)
            actors = [each.memory_bytes for each in found if SESSIONS in each.name]
            total = sum(each.memory_bytes for each in found)
            self.note(ACTOR_MB, statistics.fmean(actors or [0]) / 2**20)
            self.note(REST_MB, (total - sum(actors)) / 2**20)
            self.note(ACTORS, float(len(actors)))
            with suppress(httpx.HTTPError, AssertionError):
                nodes = await asyncio.to_thread(town.nodes)
                self.note(STRAYS, float(len(actors) - sum(each["members"] for each in nodes)))
            self.note("descriptors", float(await asyncio.to_thread(self.look_into, family())))
            size, count = await asyncio.to_thread(weigh, logs)
            self.logs.append((size, count, tally.counts["ended well"]))
            if number % COUNT_EVERY == 0:
                self.note("dead actors", float(await asyncio.to_thread(count_dead, town)))

    def note(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def look_into(self, processes: Iterable[psutil.Process]) -> int:
        """Note what each process has open, by kind or path; returns how much all of them have."""
        total = 0
        for process in processes:
            with suppress(psutil.Error, OSError):
                name = title(process)
                if LOG_MONITOR in name:
                    continue
                held = Counter[str]()
                for each in Path(f"/proc/{process.pid}/fd").iterdir():
                    with suppress(FileNotFoundError):
                        held[str(each.readlink()).split(":[")[0]] += 1
                self.names[process] = f"{name} {process.pid}"
                self.held.setdefault(process, []).append(held)
                total += held.total()
        return total

    def growth(self) -> dict[str, Growth]:
        """Compare the thirds of the run behind its ramp, as far as that was long enough."""
        ramp = round(RAMP_S / LOOK_S)
        found = {
            name: Growth.of(values[ramp:])
            for name, values in self.values.items()
            if len(values) >= ramp + 3 * FEWEST
        }
        third = len(self.logs) // 3
        if third:
            ends = (self.logs[0], self.logs[third]), (self.logs[-1 - third], self.logs[-1])
            for place, name in enumerate(("bytes", "files")):
                rates = ((b[place] - a[place]) / max(1, b[-1] - a[-1]) for a, b in ends)
                found[f"log {name} of a session"] = Growth(*rates)
        return found

    def too_much(self) -> list[str]:
        """What has grown that must not, or is more than anybody started."""
        growth = self.growth()
        found = [
            f"{name}: {growth[name]}, {self.values.get(name)}"
            for name, margin in MARGINS.items()
            if growth[name].beyond(margin) > MOST_GROWTH
        ]
        strays = thirds(self.values[STRAYS])[1]
        if statistics.median(strays) > MOST_STRAYS:
            found.append(f"{STRAYS}: {strays}")
        return found

    def grown(self) -> dict[str, tuple[Growth, Counter[str]]]:
        """Of each process that lasted: how its descriptors grew, and what there is more of."""
        return {
            self.names[process]: (
                Growth.of([float(each.total()) for each in held]),
                held[-1] - held[0],
            )
            for process, held in self.held.items()
            if len(held) >= 3 * FEWEST
        }


def weigh(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below a folder."""
    sizes = [each.stat().st_size for each in folder.rglob("*") if each.is_file()]
    return sum(sizes), len(sizes)


def count_dead(town: Town) -> int:
    """How many actors Ray remembers that are dead."""
    return int(town.cluster.ask("sum(x['State'] == 'DEAD' for x in state.actors().values())"))


async def test_people_come_and_go_while_parts_die(town: Town, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    tally, course = Tally(), Course()
    with Operator(tmp_path, town.operator.environment) as second:
        gateways = await asyncio.to_thread(Gateways, town, second)
        end = time.monotonic() + MINUTES * 60
        async with asyncio.TaskGroup() as group:
            for work in (arrivals, faults, course.watch):
                group.create_task(work(town, gateways, tally, end))
        await asyncio.to_thread(gateways.close)
    course.note("dead actors", float(await asyncio.to_thread(count_dead, town)))
    print(dict(tally.counts))
    growth, grown = course.growth(), course.grown()
    print({name: (round(each.first, 1), round(each.last, 1)) for name, each in growth.items()})
    for name, (each, more) in grown.items():
        most = dict(more.most_common(3))
        print(f"descriptors of {name}: {each.first:.0f} to {each.last:.0f}, more: {most}")
    assert tally.wrong == []
    assert tally.counts["ended well"] >= LEAST_STARTED * tally.counts["came"] > 0, tally.counts
    await town.at_rest()
    # Ray forgets them a little later than they die.
    assert max(course.values["dead actors"]) <= DEAD_ACTORS + STANDBYS
    if MINUTES >= JUDGED_MINUTES:
        for kind in ("actor", "host", "gateway", "database"):
            assert tally.counts[f"fault: {kind}"] > 0, (kind, tally.counts)
        assert tally.counts["moves"] > 0, "an actor's death moves its session"
        assert course.too_much() == []
        for name, (each, more) in grown.items():
            assert each.beyond(MARGIN_OF_ONE) <= MOST_GROWTH, f"{name}: {each}, {more}"
