"""One deployment for all integration tests: starting Ray costs seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.calls import Call
from tests.deployment import Deployment
from tests.ports import free_port


@pytest.fixture(scope="package")
def webhook_port() -> int:
    """Where the deployment sends its events. Nobody listens there but for one test."""
    return free_port()


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory, webhook_port: int) -> Iterator[Deployment]:
    hook = f"http://localhost:{webhook_port}/switchboard"
    with Deployment(tmp_path_factory.mktemp("demo"), standbys=2, webhook=hook) as running:
        yield running


@pytest.fixture
async def call(deployment: Deployment) -> AsyncIterator[Call]:
    made = Call(deployment)
    yield made
    await made.close()
