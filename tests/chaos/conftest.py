"""The deployments that most chaos tests share: one on Ray, and one of bare processes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

import httpx
import psutil
import pytest

from tests.calls import Call
from tests.chaos.baseline import Baseline
from tests.chaos.street import Street, Weight, until
from tests.deployment import Deployment
from tests.ledger import postgres
from tests.patience import PATIENCE

STANDBYS = 4
BRIEF: dict[str, object] = {"invitation_ms": 1_000}
GATEWAYS = ("gateway-1", "gateway-2")
SHARED_STANDBYS = 3
MOST = SHARED_STANDBYS + 2
"""Session actors of the shared deployment at rest: also a reserve, and one of its account."""


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    running = Deployment(tmp_path_factory.mktemp("demo"), standbys=SHARED_STANDBYS)
    yield running
    assert running.stop() == 0, running.output


@pytest.fixture
def deployment(shared: Deployment) -> Deployment:
    """The shared deployment, running, with the policy that everybody has."""
    if shared.policy or not shared.alive:
        shared.stop()
        shared.policy = {}
        shared.start()
    return shared


@pytest.fixture
def brief(shared: Deployment) -> Deployment:
    """The shared deployment, running, where an invitation rings for a second."""
    if shared.policy != BRIEF or not shared.alive:
        shared.stop()
        shared.policy = BRIEF
        shared.start()
    return shared


def standing_by(gateway: str) -> int | None:
    """How many session actors a ledger without sessions knows, as a gateway exports it.

    `None` while the ledger does not answer the gateway: its counts are absent then.
    """
    text = httpx.get(f"{gateway}/metrics", trust_env=False, timeout=5.0 * PATIENCE).text
    told = [line.split() for line in text.splitlines() if line.startswith("switchboard_standbys")]
    return sum(int(float(number)) for _, number in told) if told else None


@pytest.fixture
async def call(deployment: Deployment) -> AsyncIterator[Call]:
    def gateway() -> list[psutil.Process]:
        return [psutil.Process(deployment.pid)]

    await until(lambda: not deployment.holders(), "no session is held")
    await until(lambda: standing_by(deployment.gateway) is not None, "the ledger's counts are told")
    before = Baseline(
        gateway,
        lambda: gateway()[0].children(recursive=True),
        most=MOST,
        known=lambda: standing_by(deployment.gateway),
    )
    made = Call(deployment)
    yield made
    await made.close()
    await until(lambda: not deployment.holders(), "no session is held any more")
    await before.back()


@pytest.fixture(scope="package")
def database() -> Iterator[postgres.Server]:
    server = postgres.Server()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="package")
def running(
    database: postgres.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Street]:
    street = Street(tmp_path_factory.mktemp("street"), f"{database.url}/postgres")
    try:
        yield street
    finally:
        street.close()


def ready(gateway: str) -> bool:
    return httpx.get(f"{gateway}/readyz", trust_env=False, timeout=5.0 * PATIENCE).is_success


async def complete(street: Street) -> dict[str, Weight]:
    """Start what is missing; returns what everything weighs that runs."""
    if not street.of("ledger"):
        await street.ledger()
    await street.keeper()
    await street.actors(STANDBYS)
    for name in GATEWAYS:
        await street.gateway(name)
        # Without its link to the ledger it has a descriptor less than it will have.
        await until(partial(ready, street.parts[name].address), f"{name} is ready")
    return street.weigh()


@pytest.fixture
async def street(running: Street) -> AsyncIterator[Street]:
    before = await complete(running)
    yield running
    await running.check_quiet()
    await complete(running)
    await running.check_back(before)
