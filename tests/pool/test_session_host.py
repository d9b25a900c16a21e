"""What keeps an idle session actor cheap, and none without anybody who knows of it."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest
import ray.actor

from gateway.commands import logs
from gateway.compose import session_host
from gateway.compose.options import (
    KEEPER_OPTIONS,
    LEDGER_OPTIONS,
    MEDIA_SLOT,
    POOL_OPTIONS,
    SESSION_OPTIONS,
)
from gateway.compose.session_host import SessionHost
from gateway.compose.settings import ClusterSettings
from tests.patience import PATIENCE

MEBIBYTE = 1024 * 1024


def test_no_method_is_a_coroutine_or_ray_would_take_the_main_thread_back() -> None:
    methods = inspect.getmembers(SessionHost, inspect.isfunction)
    assert {name for name, _ in methods} >= {"start", "live"}
    assert not [name for name, method in methods if inspect.iscoroutinefunction(method)]


def test_an_actor_that_held_a_session_is_replaced_and_the_others_are_restarted() -> None:
    assert SESSION_OPTIONS["max_restarts"] == 0
    assert SESSION_OPTIONS["lifetime"] == "detached"
    # A custom resource alone would take a whole processor for life.
    assert SESSION_OPTIONS["resources"] == {MEDIA_SLOT: 1}
    assert 0 < float(str(SESSION_OPTIONS["num_cpus"])) < 0.1
    assert SESSION_OPTIONS["memory"] == 100 * MEBIBYTE
    for options, mebibytes in ((LEDGER_OPTIONS, 200), (POOL_OPTIONS, 120), (KEEPER_OPTIONS, 120)):
        assert options["memory"] == mebibytes * MEBIBYTE
        assert options["max_restarts"] == -1
        assert (options["lifetime"], options["get_if_exists"]) == ("detached", True)
        assert options["namespace"] == SESSION_OPTIONS["namespace"]


@pytest.mark.parametrize("dies", [True, False])
def test_one_whose_pool_dies_before_it_lives_ends_itself(
    monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(session_host, "_end_orphan", ended.set)
    monkeypatch.setattr(session_host, "ORPHAN_S", 0.1 if dies else 60 * PATIENCE)
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(ray.actor, "exit_actor", lambda: None)
    host = SessionHost(ClusterSettings("secret", "sqlite:///none", "https://x", standbys=1))
    if not dies:
        host.live()
    host._orphaned.join(10 * PATIENCE)
    host._loop.close()
    asyncio.set_event_loop(None)
    assert not host._orphaned.is_alive()
    assert ended.is_set() is dies
