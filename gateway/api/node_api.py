"""The operators' view of nodes and standbys, and drain: `/v1/operator/nodes`."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from broker.messages.cluster.base import Done
from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeQuery, NodeState, NodeUndrain
from broker.messages.parts import Id
from gateway.api.idempotency import IdempotencyKey
from gateway.api.problems import PROBLEMS
from gateway.api.this_gateway import ThisGateway
from gateway.api.widget_api import Body
from gateway.proofs.operators import OPERATOR_ACCOUNT, Operator

logger = logging.getLogger(__name__)


class NodesView(BaseModel):
    """Every node the ledger knows, and what they have together."""

    nodes: list[NodeState]
    standbys: int
    live: int


class DrainRequest(Body):
    """How long sessions may take to move away."""

    deadline_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0


router = APIRouter(prefix="/v1/operator/nodes", tags=["operators"], responses=PROBLEMS)


@router.get("", operation_id="listNodes")
async def list_nodes(operator: Operator, gateway: ThisGateway) -> NodesView:
    """List nodes with their standbys and live sessions, and how their drains stand."""
    found = (await gateway.directory.ask(NodeQuery(), NodeList)).nodes
    return NodesView(
        nodes=found,
        standbys=sum(each.standbys for each in found),
        live=sum(each.live for each in found),
    )


@router.post("/{node}/drain", operation_id="drainNode")
async def drain(
    node: Id,
    operator: Operator,
    gateway: ThisGateway,
    body: DrainRequest,
    idempotency_key: IdempotencyKey = None,
) -> NodeState:
    """Give a node no new session and move those it has, until the deadline. Reversible."""
    asked = NodeDrain(node=node, deadline_s=body.deadline_s)

    async def do() -> NodeState:
        logger.warning("node drained", extra={"node": node, "token_id": operator.token_id})
        return await gateway.directory.ask(asked, NodeState)

    return await gateway.idempotency.once(
        OPERATOR_ACCOUNT, "drainNode", idempotency_key, asked, do, NodeState
    )


@router.post("/{node}/undrain", operation_id="undrainNode", status_code=204)
async def undrain(
    node: Id, operator: Operator, gateway: ThisGateway, idempotency_key: IdempotencyKey = None
) -> None:
    """Let a node have sessions again. What was moved stays where it is."""
    asked = NodeUndrain(node=node)

    async def do() -> Done:
        logger.warning("node undrained", extra={"node": node, "token_id": operator.token_id})
        return await gateway.directory.ask(asked, Done)

    await gateway.idempotency.once(
        OPERATOR_ACCOUNT, "undrainNode", idempotency_key, asked, do, Done
    )
