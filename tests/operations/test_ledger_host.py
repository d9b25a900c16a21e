"""The ledger in its Ray actor: it serves unasked, and is found as soon as it is back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import ActorUnavailableError

import actors.ledger
from broker.errors import Unavailable
from broker.messages.cluster.nodes import NodeList, PoolLevel
from gateway.commands import logs
from gateway.compose import address, ledger_host
from gateway.compose.address import LedgerAddress
from gateway.compose.settings import ClusterSettings
from tests.patience import PATIENCE, until

Place = tuple[str, int]


class Recorder:
    """Stands for the ledger; the first of them may fail to start."""

    made: list[Recorder]
    failing = 0

    def __init__(self, *_: Any, **__: Any) -> None:
        self.stopped = asyncio.Event()
        Recorder.made.append(self)

    async def start(self, host: str, port: int) -> int:
        if len(Recorder.made) <= Recorder.failing:
            raise OSError("The database is away.")
        return 4_000 + len(Recorder.made)

    async def close(self) -> None:
        self.stopped.set()

    def level(self) -> PoolLevel:
        return PoolLevel(standbys=0, live=5, queued=0)

    def nodes(self) -> NodeList:
        return NodeList(nodes=[])


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterSettings:
    Recorder.made, Recorder.failing = [], 0
    monkeypatch.setattr(actors.ledger, "Ledger", Recorder)
    monkeypatch.setattr(logs, "configure", lambda: None)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("0" * 64)
    return ClusterSettings(str(secret), "sqlite:///none.db", "https://x", 0)


async def test_a_ledger_begins_before_anybody_asks_where_it_is(told: ClusterSettings) -> None:
    host = ledger_host.LedgerHost(told)
    await until(lambda: Recorder.made, "the ledger")
    assert await host.address() == ("127.0.0.1", 4_001)
    assert len(Recorder.made) == 1
    await host.stop()


async def test_one_that_could_not_begin_tries_again_when_it_is_asked(told: ClusterSettings) -> None:
    Recorder.failing = 1
    host = ledger_host.LedgerHost(told)
    await until(lambda: Recorder.made, "the first try")
    assert await host.address() == ("127.0.0.1", 4_002)
    await host.stop()


async def test_one_that_does_not_serve_yet_tells_nothing_of_the_cluster(
    told: ClusterSettings,
) -> None:
    """`down` would take it for a deployment without a call, and a drain for an empty node."""
    Recorder.failing = 1
    host = ledger_host.LedgerHost(told)
    for ask in (host.level, host.nodes):
        with pytest.raises(Unavailable):
            await ask()
    await until(lambda: Recorder.made, "the try that fails")
    for ask in (host.level, host.nodes):
        with pytest.raises(Unavailable):
            await ask()
    await host.address()
    assert (await host.level()).live == 5
    await host.stop()


async def test_tries_that_fail_leave_no_more_traces_than_one(
    told: ClusterSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def traces_of(part: str) -> SimpleNamespace:
        made.append(part)
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(ledger_host, "traces_of", traces_of)
    Recorder.failing = 3
    host = ledger_host.LedgerHost(told)
    await until(lambda: Recorder.made, "the first try")
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            await host.address()
    await host.address()
    assert (len(Recorder.made), made) == (4, ["ledger"])
    await host.stop()


class Actor:
    """Stands for Ray's handle: while its actor is away a question fails, or waits if it may."""

    def __init__(self) -> None:
        self.place: Place = ("first", 1)
        self.asked = 0
        self.there = asyncio.Event()
        self.there.set()
        self._waits = False

    @property
    def address(self) -> Actor:
        self._waits = False
        return self

    def options(self, *, max_task_retries: int) -> Actor:
        self._waits = max_task_retries == -1
        return self

    def remote(self) -> Awaitable[Place]:
        self.asked += 1
        return self._answer(self._waits)

    async def _answer(self, waits: bool) -> Place:
        if not waits and not self.there.is_set():
            raise ActorUnavailableError("It is being restarted.", None)
        await self.there.wait()
        return self.place


async def test_who_looks_for_a_ledger_that_is_restarted_hears_of_it_once_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor, find = Actor(), LedgerAddress()
    monkeypatch.setattr(ray, "get_actor", lambda name, namespace: actor)
    assert await find() == ("first", 1)
    assert await find() == ("first", 1), "where it was, without Ray"
    assert actor.asked == 1
    actor.there.clear()
    looking = asyncio.create_task(find())
    await until(lambda: actor.asked == 2, "the question")
    actor.place = ("second", 2)
    actor.there.set()
    assert await looking == ("second", 2)


async def test_where_it_was_is_tried_while_ray_is_away_and_ray_is_asked_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    actor, find, asked = Actor(), LedgerAddress(), 0

    def get_actor(name: str, namespace: str) -> Actor:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise ValueError("The GCS is away.")
        return actor

    monkeypatch.setattr(ray, "get_actor", get_actor)
    found = [await find() for _ in range(4)]
    assert found == [("first", 1)] * 4
    assert asked == 3, "all but the second, which trusts the first"


async def test_who_looks_for_a_ledger_while_ray_is_away_keeps_one_thread_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long and often: the process has few, and other work needs one, too."""
    actor, find, asked, back = Actor(), LedgerAddress(), 0, threading.Event()

    def get_actor(name: str, namespace: str) -> Actor:
        nonlocal asked
        asked += 1
        assert back.wait(30 * PATIENCE)
        return actor

    monkeypatch.setattr(ray, "get_actor", get_actor)
    monkeypatch.setattr(address, "LOOK_UP_S", 0.02)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await find()
    assert asked == 1
    monkeypatch.setattr(address, "LOOK_UP_S", 30 * PATIENCE)
    looking = asyncio.create_task(find())
    await asyncio.sleep(0)
    back.set()
    assert await looking == ("first", 1), "by the question that stood all the time"
    assert (await find(), await find()) == (("first", 1), ("first", 1))
    assert asked == 2
