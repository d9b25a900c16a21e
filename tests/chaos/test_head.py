"""Ray's GCS keeps its tables in Redis: killed and started again, it knows what it knew.

On KubeRay the operator does that; here it is the head of `deploy/systemd` with `RAY_REDIS_ADDRESS`
in its environment, and Debian's Redis.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.chaos.afterwards import ended_well, unchanged
from tests.chaos.town import People, Town, moved_to, open_town
from tests.operations.cluster import SESSIONS, Process, until
from tests.packages import installed
from tests.patience import PATIENCE
from tests.ports import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(400 * PATIENCE)]

STANDBYS = 2


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a Redis on loopback that keeps nothing on disk; gives its address."""
    port = free_port()
    program = installed("redis-server", lambda: shutil.which("redis-server"))
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    running = Process([str(word) for word in words], dict(os.environ))
    try:
        running.wait_for("Ready to accept connections")
        yield f"127.0.0.1:{port}"
    finally:
        running.kill()


class Gcs:
    """The GCS of a town. `close` ends the one that was started anew."""

    def __init__(self, town: Town) -> None:
        (self._process,) = town.cluster.processes("gcs_server")
        self._words, self._environment = self._process.cmdline(), self._process.environ()
        self._again: Process | None = None

    def kill(self) -> None:
        # `ray start --block` would end the head with it; systemd would then start both.
        psutil.Process(self._process.ppid()).suspend()
        self._process.kill()

    def start(self) -> None:
        self._again = Process(self._words, self._environment)

    def close(self) -> None:
        if self._again is not None:
            self._again.kill()


async def test_a_gcs_that_was_killed_comes_back_and_the_pool_fills_again(tmp_path: Path) -> None:
    with ExitStack() as stack:
        told = {"RAY_REDIS_ADDRESS": stack.enter_context(redis(tmp_path))}
        closing = stack.enter_context(ExitStack())
        town = stack.enter_context(
            open_town(tmp_path, labels=("us", "eu"), standbys=STANDBYS, told=told)
        )
        gcs = Gcs(town)
        # After `down`, which asks it for the actors that there are.
        closing.callback(gcs.close)
        await town.stand_by("us", "eu")
        async with unchanged(town):
            await outlived(town, gcs)


async def outlived(town: Town, gcs: Gcs) -> None:
    people = People(town)
    agent, consumer = await people.talking()
    await town.stand_by("eu")
    known = {node["node"] for node in town.nodes()}
    (holder,) = town.holders()
    gcs.kill()
    holder.kill()
    await moved_to((agent, consumer), 2)
    await agent.insist("media.mode", mode="voice")
    (holder,) = town.holders()  # one owner
    for process in town.cluster.processes(SESSIONS):
        if process.pid != holder.pid:
            process.kill()
    await asyncio.to_thread(until, "no standby is left", lambda: not town.standbys()["eu"])
    gcs.start()
    await town.stand_by("eu")
    assert {node["node"] for node in town.nodes()} == known, "no node was lost"
    await agent.insist("session.end")
    await consumer.expect("session.ended")
    types = await ended_well(town, people, agent, consumer)
    assert types["participant.mode_changed"] == 1
