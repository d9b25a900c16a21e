"""Tasks that run beside their owner."""

from __future__ import annotations

import asyncio

from actors.chores import Chores


async def test_chores_end_with_their_owner() -> None:
    chores, ended = Chores(limit=1), list[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    assert chores.start(work()) is not None
    assert chores.start(work()) is None
    await asyncio.sleep(0)
    await chores.close()
    assert ended == ["ended"]
    assert chores.start(work()) is None
    assert len(chores) == 0
