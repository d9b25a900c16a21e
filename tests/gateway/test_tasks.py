"""A task ends with its owner, and its owner by its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry

from gateway import level, measured
from gateway.commands import ray_logs
from gateway.proofs import key_rotation
from gateway.proofs.api_keys import ApiKeys
from gateway.tasks import cancel
from tests.patience import until


async def test_a_task_has_ended_once_it_is_cancelled() -> None:
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended = True

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await cancel(task)
    assert ended


async def test_what_a_task_failed_with_is_not_kept_from_its_owner() -> None:
    async def fail() -> None:
        raise OSError("no")

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    with pytest.raises(OSError, match="no"):
        await cancel(task)


async def test_whoever_is_cancelled_as_they_wait_for_a_task_is_cancelled() -> None:
    may_end = asyncio.Event()

    async def lingers() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()

    task = asyncio.create_task(lingers())
    await asyncio.sleep(0)
    owner = asyncio.create_task(cancel(task))
    await asyncio.sleep(0)
    owner.cancel()
    await asyncio.wait([owner], timeout=1.0)
    assert owner.cancelled()
    may_end.set()
    await asyncio.wait([task])


@pytest.mark.parametrize("what", ["level", "measured", "logs", "keys"])
async def test_a_mistake_in_what_runs_beside_a_gateway_does_not_end_it(
    what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When one of these tasks ends, the gateway does, and on one machine every call."""
    tries = 0

    def fail(*_: object, **__: object) -> NoReturn:
        nonlocal tries
        tries += 1
        raise RuntimeError("can't start new thread")

    async def ask(*_: object, **__: object) -> NoReturn:
        fail()

    registry = CollectorRegistry()
    for module, pause in (
        (level, "PERIOD_S"),
        (measured, "PERIOD_S"),
        (ray_logs, "PERIOD_S"),
        (key_rotation, "POLL_S"),
    ):
        monkeypatch.setattr(module, pause, 0.0)
    monkeypatch.setattr(ray_logs, "logs", fail)
    monkeypatch.setattr(key_rotation, "load_accounts", fail)
    (tmp_path / "accounts.toml").touch()
    runs = {
        "level": level.Level(ask, lambda: True, lambda: True).run,
        "measured": measured.MeasuredCollector(SimpleNamespace(ask=ask), registry).run,
        "logs": ray_logs.RayLogs(tmp_path, registry, tidies=False).run,
        "keys": key_rotation.KeyRotation(tmp_path / "accounts.toml", ApiKeys([])).run,
    }
    task = asyncio.create_task(runs[what]())
    await until(lambda: tries > 2 or task.done(), "the third try")
    assert not task.done()
    await cancel(task)
