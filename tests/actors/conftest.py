"""The stage of a test, by the policy that its module names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from broker.policy import Policy
from tests.actors.stage import Stage


@pytest.fixture
def policy() -> Policy:
    return Policy()


@pytest.fixture
async def stage(policy: Policy) -> AsyncIterator[Stage]:
    made = Stage(policy)
    yield made
    await made.close()
