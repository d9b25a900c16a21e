"""The pool in its Ray actor: it looks at Ray now and then, whatever Ray answers."""

from __future__ import annotations

import pytest

from gateway import logs
from gateway.compose import pool_host
from gateway.compose.ray_runtime import RayNode
from gateway.compose.settings import ClusterSettings
from tests.patience import until

NODE = RayNode("a", "a", "10.0.0.1", "a", "", 4)


class Recorder:
    """Stands for the pool; counts how often it was told to look again."""

    level = None
    refilled = 0

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def refill(self) -> None:
        self.refilled += 1


async def test_a_look_at_ray_that_fails_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0
    pool = Recorder()

    def list_nodes() -> list[RayNode]:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise KeyError("NodeManagerAddress")
        return [NODE] if looks > 2 else []

    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(pool_host, "list_nodes", list_nodes)
    monkeypatch.setattr(pool_host, "find_actors", list)
    monkeypatch.setattr(pool_host, "PLACES_S", 0.01)
    monkeypatch.setattr(pool_host.PoolHost, "_pool_of", lambda *_: pool)
    host = pool_host.PoolHost(ClusterSettings("secret", "sqlite:///none", "https://x", standbys=1))
    await host.start()
    await until(lambda: host._nodes == [NODE], "the node is seen")
    assert pool.refilled >= 2, "also after the look that failed"
    await host.stop()
