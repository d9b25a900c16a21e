"""A rolling upgrade of three nodes under load: nobody clicks, and nobody waits for long.

Node by node: drain, replace Switchboard's processes, undrain. What is replaced is of this release
too; that two releases understand each other is held by `tests/contract/test_releases.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException

from tests.chaos.street import resumed
from tests.chaos.town import KEY, MOVED_S, People, Town, open_town, taken, told
from tests.operations.cluster import Operator, Process, until
from tests.patience import PATIENCE
from tests.widget import Refused, Widget

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 * PATIENCE)]

CALLS = 4
STANDBYS = 3
CALM_S = 5.0
ASK_EVERY_S = 0.1
CHANGE_EVERY = 12
"""Every so many questions one changes the journal."""
GAP_S = 2.0
MARGIN = 4
"""So many of the longest gaps before anything is done are added: the machine may be slow."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with open_town(folder, labels=("eu", "eu", "eu"), standbys=STANDBYS) as opened:
        yield opened


class Gateways:
    """Two gateways of one deployment, each with its command, behind one origin."""

    def __init__(self, town: Town, second: Operator) -> None:
        self._town = town
        self._operators = [town.operator, second]
        self._ups: list[Process] = [town.ups[0], self._begin(1)]

    @property
    def origins(self) -> list[str]:
        return [operator.gateway for operator in self._operators]

    def replace(self, index: int) -> None:
        """End a gateway in order and start it anew, as an upgrade does."""
        assert self._ups[index].interrupt() == 0
        self._ups[index] = self._begin(index)
        if index == 0:
            self._town.ups[0] = self._ups[0]

    def close(self) -> None:
        self._ups[1].interrupt()

    def _begin(self, index: int) -> Process:
        first = self._operators[0]
        up = self._operators[index].up(
            *self._town.words,
            *("--origin", first.gateway),
            *("--accounts", str(first.folder / "accounts.toml")),
            *("--secret-file", str(first.folder / "secret")),
        )
        up.wait_for('"gateway"')
        return up


class Busy:
    """Somebody in a call whose widget asks something all the time, and comes back by itself."""

    def __init__(self, widget: Widget, origins: list[str], *, changes: bool) -> None:
        self.widget = self._resumable = widget
        self.changes = changes
        self.modes: list[str] = []
        """Changes of the journal that were acknowledged."""
        self.gaps: dict[str, float] = {}
        """The longest time between two answers, by what was being done to the cluster."""
        self.phase = "calm"
        self.returns = 0
        self._origins = itertools.cycle(origins)
        self._page = origins[0]

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        answered = loop.time()
        for number in itertools.count(1):
            if self.changes and number % CHANGE_EVERY == 0:
                mode = "voice" if self.modes[-1:] != ["voice"] else "video"
                if await self._ask("media.mode", mode=mode):
                    self.modes.append(mode)
            else:
                camera = bool(number % 2)
                await self._ask("media.publish", microphone=True, camera=camera, screen=False)
            now = loop.time()
            self.gaps[self.phase] = max(self.gaps.get(self.phase, 0.0), now - answered)
            answered = now
            await asyncio.sleep(ASK_EVERY_S)

    async def _ask(self, type_: str, **fields: object) -> bool:
        """Ask until it is answered; False: it must wait for the ledger, the call goes on.

        Raises:
            TimeoutError: it was neither answered nor refused for good within `MOVED_S`.
        """
        async with asyncio.timeout(MOVED_S):
            return await self._ask_without_end(type_, **fields)

    async def _ask_without_end(self, type_: str, **fields: object) -> bool:
        while True:
            try:
                await self.widget.request(type_, **fields)
                return True
            except Refused as refusal:
                if refusal.code == "ledger_away":
                    return False
                if not refusal.retryable:
                    raise
                await asyncio.sleep(0.02)
            except WebSocketException:
                await self._come_back()
            except AssertionError:
                if self.widget.closed is None:
                    raise  # It waits for an answer that does not come.
                await self._come_back()

    async def _come_back(self) -> None:
        """Resume through whichever gateway takes it, as the widget's own code does."""
        if any(m["type"] == "resume.renewed" for m in self.widget.heard):
            self._resumable = self.widget
        async with asyncio.timeout(MOVED_S):
            while True:
                try:
                    self.widget = await resumed(
                        self._resumable, next(self._origins), page=self._page
                    )
                    self.returns += 1
                    return
                except (OSError, WebSocketException, AssertionError, Refused):
                    await asyncio.sleep(0.02)


@asynccontextmanager
async def load(town: Town, gateways: Gateways) -> AsyncIterator[tuple[list[People], list[Busy]]]:
    """Calls whose people ask all the time; the first agent at one gateway, the next at another."""
    calls = [People(town) for _ in range(CALLS)]
    busy: list[Busy] = []
    for number, people in enumerate(calls):
        agent, consumer = await people.talking(through=gateways.origins[number % 2])
        busy += [
            Busy(agent, gateways.origins, changes=False),
            Busy(consumer, gateways.origins, changes=True),
        ]
    asking = [asyncio.create_task(each.run()) for each in busy]
    try:
        yield calls, busy
    finally:
        for task in asking:
            task.cancel()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        for people in calls:
            await people.close()
        failed = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
        if failed:
            for one in busy:
                await one.widget.close()
    assert not failed, [f"{type(each).__name__}: {each}"[-300:] for each in failed]


async def switchboard(town: Town, *words: str) -> str:
    status, said = await asyncio.to_thread(
        town.operator.run, *words, "--address", town.cluster.address
    )
    assert status == 0, said
    return said


async def test_three_nodes_are_upgraded_one_by_one_and_nobody_clicks(
    town: Town, tmp_path: Path
) -> None:
    with Operator(tmp_path, town.operator.environment) as second:
        gateways = await asyncio.to_thread(Gateways, town, second)
        await upgrade(town, gateways)
        await asyncio.to_thread(gateways.close)


async def upgrade(town: Town, gateways: Gateways) -> None:
    async with load(town, gateways) as (calls, busy):
        await asyncio.to_thread(
            until, "standbys or sessions on each", lambda: len(town.nodes()) == 3
        )
        await asyncio.to_thread(until, "the pool is full", partial(is_full, town))
        nodes = [each["node"] for each in town.nodes()]
        await asyncio.sleep(CALM_S)
        for index, node in enumerate(nodes):
            during(busy, "drain")
            said = await switchboard(town, "drain", node, "--deadline", "90s", "--json")
            drained = json.loads(said.splitlines()[-1])
            assert (drained["drain"], drained["live"], drained["members"]) == ("drained", 0, 0)
            if index < 2:
                during(busy, "gateway")
                await asyncio.to_thread(gateways.replace, index)
            else:
                during(busy, "ledger, pool, keeper")
                for title in ("ray::LedgerHost", "ray::PoolHost", "ray::KeeperHost"):
                    (process,) = town.cluster.processes(title)
                    process.kill()
            if index < 2:
                during(busy, "undrain")
            await switchboard(town, "undrain", node)
            await asyncio.to_thread(until, "the pool is full again", partial(is_full, town))
        await asyncio.sleep(1.0)
    worst = {phase: max(each.gaps.get(phase, 0.0) for each in busy) for phase in busy[0].gaps}
    moved = [max(m["epoch"] for m in each.widget.heard if "epoch" in m) for each in busy]
    figures = f"worst gaps in seconds {worst}, epochs {moved}"
    print(figures)
    assert max(worst.values()) <= GAP_S + MARGIN * worst["calm"], figures
    assert sum(each.returns for each in busy) >= len(busy), "each gateway was replaced once"
    assert max(moved) > 1, figures
    for people, consumer in zip(calls, busy[1::2], strict=True):
        await check(town, people, busy[busy.index(consumer) - 1].widget, consumer)
    await asyncio.to_thread(until, "no session is held any more", lambda: not town.holders())


def during(busy: list[Busy], phase: str) -> None:
    for each in busy:
        each.phase = phase


def is_full(town: Town) -> bool:
    """Whether there are standbys for the next node's sessions."""
    return bool(sum(each["standbys"] for each in town.nodes()) >= STANDBYS)


async def check(town: Town, people: People, agent: Widget, consumer: Busy) -> None:
    """End a call; every acknowledged event is in its record, once, and nobody left it."""
    await taken(agent, "session.end")
    await consumer.widget.expect("session.ended")
    path = f"sessions/{people.session_id}"
    events = (await asyncio.to_thread(told, town.operator, path, KEY))["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    types = [event["type"] for event in events]
    assert types.count("session.started") == types.count("session.ended") == 1
    assert types.count("participant.joined") == 2
    assert "participant.left" not in types
    changes = [e["body"]["mode"] for e in events if e["type"] == "participant.mode_changed"]
    assert len(consumer.modes) > 5
    # The last one may have been asked and not answered when the load ended.
    assert changes[: len(consumer.modes)] == consumer.modes
    assert len(changes) - len(consumer.modes) <= 1
    for widget in (agent, consumer.widget):
        await widget.close()
