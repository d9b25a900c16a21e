"""A task ends with its owner, and its owner by its own."""

from __future__ import annotations

import asyncio

import pytest

from gateway.tasks import cancel


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
