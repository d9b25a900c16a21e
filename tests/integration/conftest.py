"""One deployment for all integration tests: starting Ray costs seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.calls import Call
from tests.deployment import Deployment


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("demo"), standbys=2) as running:
        yield running


@pytest.fixture
async def call(deployment: Deployment) -> AsyncIterator[Call]:
    made = Call(deployment)
    yield made
    await made.close()
