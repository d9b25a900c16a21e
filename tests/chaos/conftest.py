"""A deployment that most chaos tests share; some need that none runs, and start their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.calls import Call
from tests.deployment import Deployment


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    running = Deployment(tmp_path_factory.mktemp("demo"), standbys=3)
    yield running
    assert running.stop() == 0, running.output


@pytest.fixture
def deployment(shared: Deployment) -> Deployment:
    """The shared deployment, running."""
    if not shared.alive:
        shared.start()
    return shared


@pytest.fixture
def alone(shared: Deployment) -> None:
    """No deployment runs: at most one cluster at a time."""
    shared.stop()


@pytest.fixture
async def call(deployment: Deployment) -> AsyncIterator[Call]:
    made = Call(deployment)
    yield made
    await made.close()
