"""The server API's dead letters and erasures: `/v1`, by API key, for a brand's backend."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from broker.errors import ErrorCode, Malformed
from broker.ids import normal_id
from broker.messages import upkeep
from broker.messages.parts import Id
from gateway.api.idempotency import IdempotencyKey
from gateway.api.problems import PROBLEMS
from gateway.api.server_api import Cursor
from gateway.api.this_gateway import ThisGateway
from gateway.api.widget_api import Body
from gateway.proofs.api_keys import Caller
from gateway.proofs.oidc import VisitorId

MOST_ERASURES = 10_000
"""In one answer: a frame holds four times as many."""
ERASE_S = 30.0
"""Erasing folds the database's log into its file, which takes longer than a look-up."""


class DeadLetterView(BaseModel):
    """One event that a webhook endpoint would not take within a day."""

    endpoint_id: str
    session_id: str
    seq: int
    type: str
    dead_ms: int
    why: str
    again: bool = Field(description="Whether it is due once more at this moment.")


class DeadLetterList(BaseModel):
    """What was given up, newest first."""

    dead_letters: list[DeadLetterView]


class RedeliveryRequest(Body):
    """Which dead letters of an endpoint to send once more; all, unless the others are given."""

    endpoint_id: Id
    session_id: Id | None = None
    seq: Annotated[int, Field(ge=1, lt=2**31)] | None = None


class RedeliveryStarted(BaseModel):
    """How many are due now. What is taken disappears from the list; what fails stays."""

    count: int


class ErasureRequest(Body):
    """Whom to forget: a participant of a session, or wherever an id of theirs stands."""

    visitor_id: VisitorId | None = None
    agent_id: Id | None = None
    session_id: Id | None = None
    participant_id: Id | None = None


class ErasureView(BaseModel):
    """One participant who was erased, by opaque ids."""

    session_id: str
    participant_id: str
    erased_ms: int


class ErasureList(BaseModel):
    """Who was erased. Keep this list apart from backups: it is what to erase after a restore."""

    erased: list[ErasureView]


class ErasurePage(ErasureList):
    """A page of them, oldest first."""

    cursor: str | None = Field(description="Asks for the next page; null on the last.")


router = APIRouter(prefix="/v1", responses=PROBLEMS)


@router.get("/webhooks/dead-letters", operation_id="listDeadLetters", tags=["webhooks"])
async def list_dead_letters(
    account: Caller,
    gateway: ThisGateway,
    endpoint_id: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> DeadLetterList:
    """List the events that an endpoint of the account would not take within a day."""
    page = await gateway.directory.ask(
        upkeep.DeadLetters(account_id=account.account_id, endpoint_id=endpoint_id, limit=limit),
        upkeep.DeadLetterPage,
    )
    return DeadLetterList(
        dead_letters=[
            DeadLetterView.model_validate(each.model_dump(exclude={"account_id"}))
            for each in page.letters
        ]
    )


@router.post("/webhooks/redeliveries", operation_id="redeliver", tags=["webhooks"], status_code=201)
async def redeliver(
    account: Caller,
    gateway: ThisGateway,
    body: RedeliveryRequest,
    idempotency_key: IdempotencyKey = None,
) -> RedeliveryStarted:
    """Send dead letters once more, beside the order. Answers 404 when there is none."""

    async def do() -> RedeliveryStarted:
        asked = upkeep.Redeliver(
            account_id=account.account_id,
            endpoint_id=body.endpoint_id,
            session_id=body.session_id,
            seq=body.seq,
        )
        done = await gateway.directory.ask(asked, upkeep.Redelivered)
        return RedeliveryStarted(count=done.count)

    return await gateway.idempotency.once(
        account.account_id, "redeliver", idempotency_key, body, do, RedeliveryStarted
    )


@router.post("/erasures", operation_id="erasePerson", tags=["records"], status_code=201)
async def erase(
    account: Caller,
    gateway: ThisGateway,
    body: ErasureRequest,
    idempotency_key: IdempotencyKey = None,
) -> ErasureList:
    """Forget one person: names and ids go, the time line stays. Nothing brings them back."""
    _check_person(body)

    async def do() -> ErasureList:
        asked = upkeep.PersonErase(
            account_id=account.account_id,
            visitor_id=normal_id(body.visitor_id),
            agent_id=normal_id(body.agent_id),
            session_id=body.session_id,
            participant_id=body.participant_id,
        )
        return _view(await gateway.directory.ask(asked, upkeep.Erasures, timeout_s=ERASE_S))

    return await gateway.idempotency.once(
        account.account_id, "erasePerson", idempotency_key, body, do, ErasureList
    )


@router.get("/erasures", operation_id="listErasures", tags=["records"])
async def list_erasures(
    account: Caller,
    gateway: ThisGateway,
    since_ms: Annotated[int, Query(ge=0, le=2**53, description="Only those since then.")] = 0,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ERASURES)] = MOST_ERASURES,
) -> ErasurePage:
    """List who was erased, oldest first: erase them again after an older backup came back."""
    asked = upkeep.ErasureList(
        account_id=account.account_id, since_ms=since_ms, cursor=cursor, limit=limit
    )
    found = await gateway.directory.ask(asked, upkeep.Erasures)
    return ErasurePage(erased=_view(found).erased, cursor=found.cursor)


def _check_person(body: ErasureRequest) -> None:
    """Refuse what names nobody or several. Raises Malformed."""
    by_participant = body.session_id is not None and body.participant_id is not None
    half = (body.session_id is None) != (body.participant_id is None)
    ways = sum((by_participant, body.visitor_id is not None, body.agent_id is not None))
    if half or ways != 1:
        raise Malformed(
            ErrorCode.MALFORMED,
            "Give visitor_id, or agent_id, or session_id together with participant_id.",
        )


def _view(found: upkeep.Erasures) -> ErasureList:
    return ErasureList(
        erased=[ErasureView.model_validate(each.model_dump()) for each in found.erased]
    )
