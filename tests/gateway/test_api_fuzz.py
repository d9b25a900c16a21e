"""Schemathesis against the whole API: every answer is one that the description promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.messages.cluster.nodes import NodeList, NodeState
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.trunk import Location
from broker.messages.devices import Device, Devices
from broker.words import Role
from gateway.commands.openapi import describe
from gateway.proofs.operators import operator_token
from tests.gateway.conftest import API_KEY, World
from tests.gateway.records import RECORD
from tests.patience import PATIENCE

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DEVICE = Device(
    device_id="d",
    account_id="acc",
    agent_id="7",
    name="Alex",
    role=Role.AGENT,
    public_key="k",
    enrolled_ms=1,
    seen_ms=1,
)
EXAMPLES = 12
"""Of each operation: the description is small, and CI runs this every time."""


def furnish(world: World) -> None:
    """Give the ledger something to answer with."""
    world.ledger.records["s-1"] = RECORD
    gone = upkeep.Erasures(
        erased=[upkeep.Erasure(session_id="s-1", participant_id="p", erased_ms=1)]
    )
    world.ledger.others |= {
        "outbox.dead": lambda payload: upkeep.DeadLetterPage(letters=[]),
        "outbox.redeliver": lambda payload: upkeep.Redelivered(count=1),
        "person.erase": lambda payload: gone,
        "person.erasures": lambda payload: gone,
        "node.list": lambda payload: NodeList(nodes=[NodeState(node="n-1")]),
        "node.drain": lambda payload: NodeState(node="n-1", drain="moving"),
        "node.undrain": lambda payload: Done(),
        "session.annotate": lambda payload: Done(),
        "enrolment.make": lambda payload: Done(),
        "enrolment.use": lambda payload: DEVICE,
        "device.get": lambda payload: DEVICE,
        "device.use": lambda payload: DEVICE,
        "device.list": lambda payload: Devices(devices=[DEVICE]),
        "device.forget": lambda payload: DEVICE,
    }

    async def opened(request: SessionOpen) -> Location:
        return Location(
            session_id="s-1",
            epoch=1,
            host="127.0.0.1",
            port=1,
            account_id=request.account_id,
            engagement_key=request.engagement_key,
        )

    world.ledger.on_open = opened


def fuzz(origin: str, operator: str) -> list[str]:
    """Call every operation with generated requests; returns the operations that were called."""
    called = []
    for found in schemathesis.openapi.from_dict(describe()).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        token = operator if "/operator" in operation.path else API_KEY
        fuzz_one(operation.as_strategy(), origin, {"Authorization": f"Bearer {token}"})
        called.append(operation.label)
    return called


def fuzz_one(
    cases: SearchStrategy[schemathesis.Case[Any]], origin: str, head: dict[str, str]
) -> None:
    """Call one operation with some of its cases."""

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def check(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=origin, headers=head, checks=CHECKS)

    check()


@pytest.mark.timeout(120 * PATIENCE)
async def test_every_answer_is_one_that_the_description_promises(world: World) -> None:
    furnish(world)
    operator = operator_token(world.tokens, "fuzz", 600)
    called = await asyncio.to_thread(fuzz, world.origin, operator)
    assert len(called) == sum(len(each) for each in describe()["paths"].values())
