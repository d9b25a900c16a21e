"""What must hold when calls are over, whatever was done: of their records, of the cluster."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil

from tests.chaos.baseline import Baseline
from tests.chaos.records import whole
from tests.chaos.town import KEYS, People, Town, told
from tests.widget import Widget

RESERVED = 3
"""Session actors of a town at rest beside its standbys: a reserve, and those of its accounts."""


async def recorded(town: Town, people: People) -> list[dict[str, Any]]:
    """The events of these people's session, from the server API."""
    path, key = f"sessions/{people.session_id}", KEYS[people.account_id]
    record = await asyncio.to_thread(told, town.operator.gateway, path, key)
    events: list[dict[str, Any]] = record["events"]
    return events


async def ended_well(town: Town, people: People, *widgets: Widget, joined: int = 2) -> Counter[str]:
    """Hang up after the end; the record must be whole, and nothing of the call left.

    Returns how many events there are of each type.
    """
    types = whole(await recorded(town, people), people=joined)
    for widget in widgets:
        await widget.close()
    await people.close()
    await town.at_rest()
    return types


@asynccontextmanager
async def unchanged(town: Town) -> AsyncIterator[None]:
    """What a town weighs at rest it weighs again when this is over, and no process is added."""
    await town.at_rest()
    before = Baseline(
        lambda: [psutil.Process(up.pid) for up in town.ups],
        lambda: town.cluster.processes("ray::"),
        most=town.least + RESERVED,
        known=lambda: sum(node["members"] for node in town.nodes()),
    )
    yield
    await before.back()
