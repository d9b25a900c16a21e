"""The scene of a test, in a house of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.house import hang_up, house
from tests.inprocess.scene import Scene


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with house(tmp_path, standbys=1) as running:
        made = Scene(await running.gateway("one"), await running.gateway("two"))
        yield made
        await hang_up(*made.widgets)
