"""The operators' API: `/v1/operator`, by an operator's token. It names nobody who takes part."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from broker.errors import ErrorCode, Malformed
from broker.messages import upkeep
from broker.messages.cluster.records import RecordQuery
from broker.messages.parts import Id, Name
from broker.words import EndReason, SessionPhase
from gateway.api.account_view import AccountView, view_account
from gateway.api.idempotency import IdempotencyKey
from gateway.api.problems import PROBLEMS
from gateway.api.server_api import Cursor, Limit
from gateway.api.this_gateway import ThisGateway
from gateway.api.upkeep_api import DeadLetterView, RedeliveryRequest, RedeliveryStarted
from gateway.api.widget_api import Body
from gateway.proofs.api_keys import ApiKeys
from gateway.proofs.operators import OPERATOR_ACCOUNT, REVOKED_S, Operator
from gateway.proofs.revocations import NO_ACCOUNT, operator_hash, token_hash

logger = logging.getLogger(__name__)


class AccountDeadLetter(DeadLetterView):
    """One event that a webhook endpoint of an account would not take within a day."""

    account_id: str


class AllDeadLetters(BaseModel):
    """What was given up, newest first."""

    dead_letters: list[AccountDeadLetter]


class EndView(BaseModel):
    """How one session ended."""

    session_id: str
    account_id: str
    created_ms: int
    ended_ms: int | None
    end_reason: EndReason | None
    epoch: int = Field(description="Above 1: it was taken over that often, less one.")


class EndPage(BaseModel):
    """A page of ended sessions, those that began last first."""

    ends: list[EndView]
    cursor: str | None


class AccountList(BaseModel):
    """The accounts that this gateway serves."""

    accounts: list[AccountView]


class OperatorRevocation(Body):
    """Whose tokens hold no more; exactly one of the two."""

    name: Name | None = None
    """Everything minted for this operator until now."""
    token_id: Id | None = None
    """The `jti` of one token, as the log names it."""


class OperatorRevoked(BaseModel):
    """What the revocation did."""

    everywhere: bool = Field(
        description="Whether the other gateways know; if not, they will once the ledger is back."
    )


router = APIRouter(prefix="/v1/operator", tags=["operators"], responses=PROBLEMS)


@router.get("/accounts", operation_id="listAccounts")
async def list_accounts(operator: Operator, request: Request) -> AccountList:
    """List the accounts this gateway serves, without hashes and secrets."""
    keys: ApiKeys = request.app.state.api_keys
    return AccountList(accounts=[view_account(each) for each in keys.accounts])


@router.get("/ends", operation_id="listEnds")
async def list_ends(
    operator: Operator, gateway: ThisGateway, cursor: Cursor = None, limit: Limit = 50
) -> EndPage:
    """List how sessions of all accounts ended, to see what goes wrong."""
    query = RecordQuery(phase=SessionPhase.ENDED, cursor=cursor, limit=limit)
    page = await gateway.directory.list_records(query)
    shown = [
        EndView(
            session_id=each.session_id,
            account_id=each.account_id,
            created_ms=each.created_ms,
            ended_ms=each.ended_ms,
            end_reason=each.end_reason,
            epoch=each.epoch,
        )
        for each in page.records
    ]
    return EndPage(ends=shown, cursor=page.cursor)


@router.get("/dead-letters", operation_id="listAllDeadLetters")
async def list_dead_letters(
    operator: Operator, gateway: ThisGateway, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> AllDeadLetters:
    """List dead letters of all accounts."""
    page = await gateway.directory.ask(upkeep.DeadLetters(limit=limit), upkeep.DeadLetterPage)
    return AllDeadLetters(
        dead_letters=[AccountDeadLetter.model_validate(each.model_dump()) for each in page.letters]
    )


@router.post("/redeliveries", operation_id="redeliverAny", status_code=201)
async def redeliver(
    operator: Operator,
    gateway: ThisGateway,
    body: RedeliveryRequest,
    idempotency_key: IdempotencyKey = None,
) -> RedeliveryStarted:
    """Send dead letters of any account once more."""

    async def do() -> RedeliveryStarted:
        asked = upkeep.Redeliver.model_validate(body.model_dump())
        done = await gateway.directory.ask(asked, upkeep.Redelivered)
        _note(operator, "redeliver")
        return RedeliveryStarted(count=done.count)

    return await gateway.idempotency.once(
        OPERATOR_ACCOUNT, "redeliverAny", idempotency_key, body, do, RedeliveryStarted
    )


@router.post("/revocations", operation_id="revokeOperator", status_code=201)
async def revoke(
    operator: Operator,
    gateway: ThisGateway,
    body: OperatorRevocation,
    idempotency_key: IdempotencyKey = None,
) -> OperatorRevoked:
    """End every token of an operator, or one token, at every gateway."""
    if (body.name is None) == (body.token_id is None):
        raise Malformed(ErrorCode.MALFORMED, "Give name or token_id.")

    async def end() -> OperatorRevoked:
        named = operator_hash(body.name) if body.name else token_hash(body.token_id or "")
        revocation = gateway.room.revocations.make(NO_ACCOUNT, named, kept_s=REVOKED_S)
        gateway.room.revocations.add(revocation)
        _note(operator, "revoke")
        return OperatorRevoked(everywhere=await gateway.directory.revoke(revocation))

    return await gateway.idempotency.once(
        OPERATOR_ACCOUNT,
        "revokeOperator",
        idempotency_key,
        body,
        end,
        OperatorRevoked,
        harmless=True,
    )


def _note(operator: Operator, deed: str) -> None:
    """Say in the log who did what: by the token's id, which the command that minted it has said."""
    logger.warning("operator acted", extra={"deed": deed, "token_id": operator.token_id})
