"""The pool in its Ray actor: it looks at Ray now and then, whatever Ray answers, or does not."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import ray

from actors import strays
from actors.placement import plan
from broker.messages.cluster.nodes import PoolLevel
from gateway.commands import logs
from gateway.compose import pool_host, ray_runtime
from gateway.compose.ray_runtime import RayNode
from gateway.compose.settings import ClusterSettings
from tests.patience import PATIENCE, until

NODE = RayNode("a", "a", "10.0.0.1", "a", "", 4)
SETTINGS = ClusterSettings("secret", "sqlite:///none", "https://x", standbys=1)


class Recorder:
    """Stands for the pool; counts how often it was told to look again."""

    level: PoolLevel | None = None
    started = 0
    refilled = 0

    async def start(self) -> None:
        self.started += 1

    async def close(self) -> None:
        pass

    def take_linked(self) -> set[str]:
        return {"session-brief"}

    def refill(self) -> None:
        self.refilled += 1


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """What a host has instead of a pool; Ray knows no node and no actor."""
    pool = Recorder()
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(pool_host, "list_nodes", list)
    monkeypatch.setattr(pool_host, "find_actors", list)
    monkeypatch.setattr(pool_host, "PLACES_S", 0.01)
    monkeypatch.setattr(pool_host.PoolHost, "_pool_of", lambda *_: pool)
    return pool


async def test_a_look_at_ray_that_fails_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch, pool: Recorder
) -> None:
    looks = 0

    def list_nodes() -> list[RayNode]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise KeyError("NodeManagerAddress")
        return [NODE] if looks > 2 else []

    monkeypatch.setattr(pool_host, "list_nodes", list_nodes)
    host = pool_host.PoolHost(SETTINGS)
    await host.start()
    await until(lambda: host._nodes == [NODE], "the node is seen")
    await until(lambda: pool.refilled >= 2, "a refill also after the look that failed")
    await host.stop()


async def test_a_pool_that_could_not_start_starts_when_it_can(
    monkeypatch: pytest.MonkeyPatch, pool: Recorder
) -> None:
    """Ray starts it anew only when its process ends, and nobody else starts standbys."""
    looks = 0

    def list_nodes() -> list[RayNode]:
        nonlocal looks
        looks += 1
        if looks <= 2:
            raise RuntimeError("The GCS is away.")
        return [NODE]

    monkeypatch.setattr(pool_host, "list_nodes", list_nodes)
    host = pool_host.PoolHost(SETTINGS)
    with pytest.raises(RuntimeError):
        await host.start()
    await until(lambda: pool.started == 1 and pool.refilled > 1, "the pool")
    assert host._nodes == [NODE]
    await host.stop()


async def test_looks_that_ray_does_not_answer_keep_one_thread_waiting(
    monkeypatch: pytest.MonkeyPatch, pool: Recorder
) -> None:
    looks, back = 0, threading.Event()

    def list_nodes() -> list[RayNode]:
        nonlocal looks
        looks += 1
        assert looks == 1 or back.wait(30 * PATIENCE)
        return [NODE]

    monkeypatch.setattr(pool_host, "list_nodes", list_nodes)
    monkeypatch.setattr(pool_host, "LOOK_UP_S", 0.01)
    host = pool_host.PoolHost(SETTINGS)
    await host.start()
    refilled = pool.refilled
    await until(lambda: pool.refilled > refilled + 3, "looks that came to nothing")
    assert looks == 2
    back.set()
    await until(lambda: looks > 2, "looks as before")
    await host.stop()


async def test_what_lost_its_link_between_two_looks_is_ended_before_what_never_had_one(
    monkeypatch: pytest.MonkeyPatch, pool: Recorder
) -> None:
    names = ["session-brief", "session-new"]
    ended: list[str] = []
    monkeypatch.setattr(strays, "LOST_S", 0.02)
    monkeypatch.setattr(pool_host, "STRAYS_S", 0.0)
    monkeypatch.setattr(pool_host, "find_actors", lambda: [x for x in names if x not in ended])
    monkeypatch.setattr(ray, "get_actor", lambda name, namespace: name)
    monkeypatch.setattr(ray, "kill", ended.append)
    pool.level = PoolLevel(standbys=0, live=0, queued=0)
    host = pool_host.PoolHost(SETTINGS)
    await until(lambda: ended, "one is ended")
    await host.stop()
    assert ended == ["session-brief"]


class Slow:
    """A class of Ray's whose actors are made as soon as its GCS is there again."""

    def __init__(self) -> None:
        self.back = threading.Event()

    def options(self, **_: Any) -> Slow:
        return self

    def remote(self, settings: ClusterSettings) -> str:
        assert self.back.wait(30 * PATIENCE)
        return "a standby"


async def test_a_start_that_ray_holds_up_is_given_up_and_holds_up_nothing_else(
    monkeypatch: pytest.MonkeyPatch, pool: Recorder
) -> None:
    slow = Slow()
    killed: list[object] = []
    monkeypatch.setattr(pool_host, "actor_class", lambda host: slow)
    monkeypatch.setattr(pool_host, "ACTOR_START_S", 0.05)
    monkeypatch.setattr(ray, "kill", killed.append)
    host = pool_host.PoolHost(SETTINGS)
    await host.start()
    refilled = pool.refilled
    with pytest.raises(TimeoutError):
        await host._start_standby(0, None)
    await until(lambda: pool.refilled > refilled + 2, "looks meanwhile")
    assert killed == []
    slow.back.set()
    await until(lambda: killed == ["a standby"], "that nobody waited for it any more")
    await host.stop()


MIB = 2**20


@pytest.mark.parametrize(
    ("resources", "most"),
    [
        ({"media_slot": 8.0, "memory": 64_000.0 * MIB}, 8),
        ({"media_slot": 8.0, "memory": 350.0 * MIB}, 3),
        ({"media_slot": 8.0, "memory": 99.0 * MIB}, 0),
        ({"media_slot": 8.0}, 8),
        ({"memory": 64_000.0 * MIB}, 0),
    ],
    ids=["slots", "memory", "no memory", "memory unknown", "no media"],
)
async def test_a_pool_starts_no_more_on_a_node_than_its_memory_has_room_for(
    monkeypatch: pytest.MonkeyPatch, resources: dict[str, float], most: int
) -> None:
    node = {
        "NodeID": "abcd11112222eeee",
        "NodeManagerAddress": "10.0.0.1",
        "NodeManagerHostname": "media-1",
        "Resources": resources,
        "Alive": True,
    }
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    places = pool_host.places_left(ray_runtime.list_nodes(), [])
    assert [each.slots for each in places] == [most]
    assert len(plan(places, target=20, reserve=0, queued={}, limit=20)) == most
