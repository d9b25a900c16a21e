"""A Ray node that is cut off: for its raylet, its session actors and their media at once.

Each node but the first has a network namespace with one line to that, by which it reaches the
others, too. This needs root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import pytest

from benchmarks.process import lives
from tests.chaos.afterwards import ended_well, unchanged
from tests.chaos.streams import flow, streaming
from tests.chaos.town import People, Town, moved_to, open_town
from tests.operations.cluster import Place, until
from tests.patience import PATIENCE
from tests.ports import media_ports
from tests.relay.namespaces import Namespace, link, namespace

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400 * PATIENCE)]

STANDBYS = 3
GAP_S = 6.0 * PATIENCE
"""As for a node that dies: its silence has to be noticed, and looked into, first."""
FENCED_S = 8.0
"""So soon after the line is back who held it is gone: by then it has heard of its successor, and
nobody else ends it before (`actors.strays.LOST_S`)."""
ALONE_S = 25.0
"""So soon a holder that is cut off has fallen silent by itself: after `SessionConfig.lonely_s` from
when it notices that it hears nobody. Its Ray gives itself up after a minute."""


@dataclass
class Country:
    """A town whose nodes have lines that can be cut."""

    town: Town
    lines: list[Namespace]
    """Of each added node, in their order, the namespace; its line is called by its number."""

    def line_of(self, node: str) -> tuple[Namespace, str]:
        """The namespace of a node and the line in it."""
        index = self.town.added.index(self.town.process_of(node))
        return self.lines[index], f"line-{index + 1}"


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    """Ledger, gateway and people in one place, two nodes for the account's sessions elsewhere."""
    folder = tmp_path_factory.mktemp("town")
    with namespace("here") as here, namespace("one") as one, namespace("two") as two:
        here.forward()
        for number, far in ((1, one), (2, two)):
            link(here, far, number)
            far.ip("route", "add", "default", "via", f"10.77.{number}.1")
        places = (
            Place("10.77.1.1"),
            Place("10.77.1.2", one.name),
            Place("10.77.2.2", two.name),
        )
        with (
            here.inside(),
            open_town(folder, labels=("us", "eu", "eu"), standbys=STANDBYS, places=places) as town,
        ):
            yield Country(town, [one, two])


@pytest.mark.parametrize("until_ray_gives_it_up", [False, True])
async def test_a_node_that_is_cut_off_loses_its_session_to_another(
    country: Country, until_ray_gives_it_up: bool
) -> None:
    town = country.town

    def elsewhere() -> bool:
        return any(n["standbys"] and not n["live"] for n in town.nodes() if n["label"] == "eu")

    await town.stand_by("eu", "us")
    async with unchanged(town):
        people = People(town)
        agent, consumer = await people.talking()
        await asyncio.to_thread(until, "a standby on the account's other node", elsewhere)
        old = await asyncio.to_thread(town.node_of_session)
        far, line = await asyncio.to_thread(country.line_of, old["node"])
        (holder,) = town.holders()
        await agent.insist("guest.invite")
        async with streaming(lambda: agent, lambda: consumer) as streams:
            await flow(streams, "cut off", epoch=1)
            marks = len(agent.heard), len(consumer.heard)
            far.ip("link", "set", line, "down")
            try:
                await moved_to((agent, consumer), 2)
                await flow(streams, "after", epoch=2)
                new = await asyncio.to_thread(town.node_of_session)
                assert (new["label"], new["node"] != old["node"]) == ("eu", True)
                if until_ray_gives_it_up:
                    what = "who is cut off forwards nothing any more"
                    await asyncio.to_thread(until, what, lambda: silent(holder), ALONE_S)
                    what = "Ray has declared the node dead"
                    await asyncio.to_thread(until, what, lambda: old["node"] not in alive(town))
            finally:
                far.ip("link", "set", line, "up")
                far.ip("route", "replace", "default", "via", f"10.77.{line[-1]}.1")
            what = "who held it forwards nothing any more"
            await asyncio.to_thread(until, what, lambda: silent(holder), FENCED_S)
            await asyncio.to_thread(until, "who held it is gone", lambda: not lives(holder))
            (owner,) = town.holders()
            assert owner.pid != holder.pid
            await agent.insist("guest.invite")
            await flow(streams, "afterwards", epoch=2)
        gaps = [each.reception.gaps for each in streams]
        print("longest pauses in seconds", gaps)
        assert max(each["cut off"] for each in gaps) <= GAP_S, gaps
        for widget, mark in zip((agent, consumer), marks, strict=True):
            assert {m["epoch"] for m in widget.heard[mark:] if "epoch" in m} == {2}
        await agent.insist("session.end")
        await consumer.expect("session.ended")
        types = await ended_well(town, people, agent, consumer)
        assert types["guest.invited"] == 2
        assert types["participant.left"] == 0


def silent(holder: psutil.Process) -> bool:
    """Whether it has no media port any more."""
    return not media_ports([holder])


def alive(town: Town) -> list[str]:
    """The nodes that Ray believes in, as the ledger calls them."""
    nodes = town.cluster.ask("[n['NodeID'] for n in ray.nodes() if n['Alive']]")
    return [node[:12] for node in nodes]
