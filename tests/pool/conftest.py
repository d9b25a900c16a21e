"""The ledger that most tests of pools run against."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests import databases
from tests.ledger.conftest import Town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        town = Town(databases.sqlite(tmp_path / "ledger.db"), stack)
        await town.new_ledger()
        yield town
