"""Tokens that a brand's backend mints for its own people, and takes back."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from broker.errors import ErrorCode, Malformed
from broker.ids import normal_id
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import EngagementIds, Id, Name
from broker.words import Role
from gateway.api.idempotency import IdempotencyKey
from gateway.api.problems import PROBLEMS
from gateway.api.this_gateway import ThisGateway
from gateway.api.widget_api import Body, TokenAnswer
from gateway.connections.greeting import waiting_keys
from gateway.proofs.api_keys import Caller
from gateway.proofs.revocations import agent_hash, token_hash
from gateway.proofs.tokens import Audience

Picture = Annotated[str, StringConstraints(pattern="^https://", max_length=500)]


class AgentTokenRequest(Body):
    """A token for one of the brand's agents or supervisors."""

    kind: Literal["agent", "supervisor"]
    agent_id: Id
    """LivePerson's agent id in any of its forms; it wins over what the SDK says."""
    name: Name
    picture: Picture | None = None
    """Its host must be in the account's `picture_hosts`; widgets have it from the gateway."""
    expires_in_s: Annotated[int, Field(ge=60)] = 3_600


class ConsumerTokenRequest(Body):
    """A token for a consumer whom the brand has identified; agents see "verified"."""

    kind: Literal["consumer"]
    engagement: EngagementIds
    """The token is good for these ids only."""
    name: Name | None = None
    expires_in_s: Annotated[int, Field(ge=60)] = 900


TokenRequest = Annotated[AgentTokenRequest | ConsumerTokenRequest, Field(discriminator="kind")]


class RevocationRequest(Body):
    """Whose access ends."""

    agent_id: Id | None = None
    """Every token of this agent, and this agent's connections."""
    token_id: Annotated[str, StringConstraints(max_length=64)] | None = None
    """One token, by its `jti`."""


class Revoked(BaseModel):
    """What the revocation did at once."""

    connections_closed: int = Field(description="At the gateway that answers.")
    everywhere: bool = Field(
        description="Whether the other gateways know; if not, they will once the ledger is back."
    )


router = APIRouter(prefix="/v1", tags=["tokens"], responses=PROBLEMS)


@router.post("/tokens", operation_id="createToken", status_code=201)
async def create_token(
    account: Caller,
    gateway: ThisGateway,
    body: TokenRequest,
    idempotency_key: IdempotencyKey = None,
) -> TokenAnswer:
    """Mint a token for an agent, a supervisor or an identified consumer."""

    async def mint() -> TokenAnswer:
        if isinstance(body, AgentTokenRequest):
            agent_id = normal_id(body.agent_id)
            principal = Principal(
                role=Role(body.kind),
                account_id=account.account_id,
                agent_id=agent_id,
                name=body.name,
                picture=body.picture and gateway.pictures.path_of(account, body.picture),
                verified=True,
            )
            life_s = min(body.expires_in_s, gateway.settings.agent_token_s)
            token = gateway.tokens.mint(Audience.AGENT, principal, life_s)
        else:
            ids = body.engagement
            keys = waiting_keys(ids)
            if normal_id(ids.account_id) != account.account_id or not keys:
                raise Malformed(
                    ErrorCode.MALFORMED,
                    "engagement: give an id of the window, and the account of the API key.",
                )
            principal = Principal(
                role=Role.CONSUMER,
                account_id=account.account_id,
                visitor_id=normal_id(ids.visitor_id),
                name=body.name or "",
                verified=True,
            )
            life_s = min(body.expires_in_s, gateway.settings.waiting_token_s)
            token = gateway.tokens.mint(Audience.WAITING, principal, life_s, keys=keys)
        return TokenAnswer(token=token, expires_in_s=life_s)

    return await gateway.idempotency.once(
        account.account_id, "createToken", idempotency_key, body, mint, TokenAnswer
    )


@router.post("/revocations", operation_id="revoke", status_code=201)
async def revoke(
    account: Caller,
    gateway: ThisGateway,
    body: RevocationRequest,
    idempotency_key: IdempotencyKey = None,
) -> Revoked:
    """End an agent's or a token's access on every gateway, live connections included."""
    if (body.agent_id is None) == (body.token_id is None):
        raise Malformed(ErrorCode.MALFORMED, "Give agent_id or token_id.")

    async def end() -> Revoked:
        named = agent_hash(body.agent_id) if body.agent_id else token_hash(body.token_id or "")
        revocation = gateway.room.revocations.make(account.account_id, named)
        gateway.room.revocations.add(revocation)
        closed = gateway.room.withdraw(revocation)
        return Revoked(
            connections_closed=closed, everywhere=await gateway.directory.revoke(revocation)
        )

    return await gateway.idempotency.once(
        account.account_id, "revoke", idempotency_key, body, end, Revoked, harmless=True
    )
