"""The server API's sessions and records: `/v1`, by API key, for a brand's backend."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, Field, model_validator

from broker.errors import ErrorCode, Malformed, NotFound
from broker.ids import normal_id
from broker.messages.cluster.base import Done
from broker.messages.cluster.records import RecordGet, RecordQuery, SessionRecord
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import EngagementIds, Id, Name, Storable
from broker.messages.upkeep import SessionAnnotate
from broker.words import Mode, Role, SessionPhase
from gateway.api.call_record import CallRecord, summarise, write_csv, write_json_lines
from gateway.api.idempotency import IdempotencyKey
from gateway.api.problems import PROBLEMS
from gateway.api.record_parts import read_record
from gateway.api.session_view import (
    EventPage,
    SessionDetail,
    SessionPage,
    view_detail,
    view_event,
    view_session,
)
from gateway.api.this_gateway import ThisGateway
from gateway.api.widget_api import Body
from gateway.proofs.api_keys import Caller

Cursor = Annotated[
    str | None, Query(max_length=256, description="From the page before; absent for the first.")
]
Reference = Annotated[
    str | None, Query(max_length=128, description="Only those of this reference of the brand.")
]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]


class RecordFormat(StrEnum):
    """How call records are written."""

    JSON = "json"
    JSON_LINES = "jsonl"
    CSV = "csv"


class OwnerRequest(Body):
    """The agent who will own the session."""

    agent_id: Id
    name: Name


class SessionRequest(Body):
    """Start a session on an engagement ahead of its agent's click, and invite the consumer."""

    engagement: EngagementIds
    """`rt_session_id` is the engagement; the account is the caller's."""
    owner: OwnerRequest
    mode: Mode = Mode.VIDEO


METADATA_BYTES = 8 * 1024
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64), Storable],
        Annotated[str, Field(max_length=4_096), Storable],
    ],
    Field(max_length=64),
]


class AnnotationRequest(Body):
    """What the brand keeps with a session, in place of what it kept before."""

    reference: Id | None = None
    """The brand's own name for the session; sessions and records can be found by it."""
    metadata: Metadata = Field(default_factory=dict)
    """At most 8 KiB as JSON. Gone when a person of the session is erased."""

    @model_validator(mode="after")
    def _check_size(self) -> AnnotationRequest:
        if len(json.dumps(self.metadata, ensure_ascii=False).encode()) > METADATA_BYTES:
            raise ValueError(f"metadata has more than {METADATA_BYTES} bytes")
        return self


class SessionStarted(BaseModel):
    """The session that was started."""

    session_id: str
    engagement_key: str


class RecordPageView(BaseModel):
    """A page of call records, newest first."""

    records: list[CallRecord]
    cursor: str | None = Field(description="Asks for the next page; null on the last.")


router = APIRouter(prefix="/v1", responses=PROBLEMS)


@router.get("/sessions", operation_id="listSessions", tags=["sessions"])
async def list_sessions(
    account: Caller,
    gateway: ThisGateway,
    phase: SessionPhase | None = None,
    engagement_key: Annotated[str | None, Query(max_length=128)] = None,
    reference: Reference = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> SessionPage:
    """List sessions of the account, newest first."""
    page = await gateway.directory.list_records(
        RecordQuery(
            account_id=account.account_id,
            phase=phase,
            engagement_key=engagement_key,
            reference=reference,
            cursor=cursor,
            limit=limit,
        )
    )
    return SessionPage(sessions=[view_session(each) for each in page.records], cursor=page.cursor)


@router.post("/sessions", operation_id="startSession", tags=["sessions"], status_code=201)
async def start_session(
    account: Caller,
    gateway: ThisGateway,
    body: SessionRequest,
    idempotency_key: IdempotencyKey = None,
) -> SessionStarted:
    """Start a session on an engagement. Answers `already_live` (409) when there is one."""
    ids = body.engagement
    key = normal_id(ids.rt_session_id)
    if normal_id(ids.account_id) != account.account_id or key is None:
        raise Malformed(
            ErrorCode.MALFORMED,
            "engagement: give rt_session_id, and the account of the API key.",
        )

    named = gateway.idempotency.command_id(
        account.account_id, "startSession", idempotency_key, body
    )

    async def start() -> SessionStarted:
        owner = Principal(
            role=Role.AGENT,
            account_id=account.account_id,
            agent_id=normal_id(body.owner.agent_id),
            name=body.owner.name,
            verified=True,
        )
        location = await gateway.directory.open_session(
            SessionOpen(
                account_id=account.account_id,
                engagement_key=key,
                ids=ids,
                mode=body.mode,
                owner=owner,
                policy=dict(account.policy),
                label=account.label,
                session_id=named,
            )
        )
        return SessionStarted(session_id=location.session_id, engagement_key=key)

    return await gateway.idempotency.once(
        account.account_id, "startSession", idempotency_key, body, start, SessionStarted
    )


@router.get("/sessions/{session_id}", operation_id="getSession", tags=["sessions"])
async def get_session(session_id: str, account: Caller, gateway: ThisGateway) -> SessionDetail:
    """Get one session: its ids, its people, its events with their times, how it ended."""
    return view_detail(*await read_record(gateway.directory, session_id, account.account_id))


@router.put(
    "/sessions/{session_id}/annotation",
    operation_id="annotateSession",
    tags=["sessions"],
    status_code=204,
)
async def annotate(
    session_id: Id, account: Caller, gateway: ThisGateway, body: AnnotationRequest
) -> None:
    """Keep a reference and metadata of your own with a session, live or ended."""
    asked = SessionAnnotate(
        session_id=session_id,
        account_id=account.account_id,
        reference=body.reference,
        metadata=body.metadata,
    )
    await gateway.directory.ask(asked, Done)


@router.get("/sessions/{session_id}/events", operation_id="listSessionEvents", tags=["sessions"])
async def list_events(
    session_id: str,
    account: Caller,
    gateway: ThisGateway,
    after: Annotated[int, Query(ge=0, lt=2**31, description="Only events above this seq.")] = 0,
    limit: Limit = 50,
) -> EventPage:
    """List what happened in one session, in order."""
    record = await gateway.directory.get_record(
        RecordGet(session_id=session_id, account_id=account.account_id, after=after, limit=limit)
    )
    # A ledger of the release before says all there is.
    rest = [each for each in record.events if each.seq > after]
    shown = rest[:limit]
    more = record.more or len(rest) > limit
    return EventPage(
        events=[view_event(each) for each in shown],
        cursor=str(shown[-1].seq) if more else None,
    )


@router.get(
    "/records",
    operation_id="listRecords",
    tags=["records"],
    response_model=RecordPageView,
    responses={200: {"content": {"text/csv": {}, "application/jsonl": {}}}},
)
async def list_records(
    account: Caller,
    gateway: ThisGateway,
    reference: Reference = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    form: Annotated[RecordFormat, Query(alias="format")] = RecordFormat.JSON,
) -> Response:
    """List call records, as JSON, JSON Lines or CSV; the next cursor is also in `Link`."""
    page = await gateway.directory.list_records(
        RecordQuery(account_id=account.account_id, reference=reference, cursor=cursor, limit=limit)
    )

    async def whole(session_id: str) -> SessionRecord:
        async with gateway.exporting:
            return (await read_record(gateway.directory, session_id, account.account_id))[1]

    records = await asyncio.gather(
        *(whole(each.session_id) for each in page.records), return_exceptions=True
    )
    lines = []
    for found in records:
        if not isinstance(found, BaseException):
            lines.append(summarise(found))
        # Retention may have deleted it since the page was made.
        elif not isinstance(found, NotFound):
            raise found
    headers = {"Cache-Control": "no-store"}
    if page.cursor is not None:
        following = {"cursor": page.cursor, "limit": limit, "format": str(form)}
        if reference is not None:
            following["reference"] = reference
        headers["Link"] = f'</v1/records?{urlencode(following)}>; rel="next"'
    match form:
        case RecordFormat.CSV:
            return PlainTextResponse(write_csv(lines), media_type="text/csv", headers=headers)
        case RecordFormat.JSON_LINES:
            return PlainTextResponse(
                write_json_lines(lines), media_type="application/jsonl", headers=headers
            )
        case RecordFormat.JSON:
            shown = RecordPageView(records=lines, cursor=page.cursor)
            return JSONResponse(shown.model_dump(mode="json"), headers=headers)
