"""The operators' view of live sessions: `/v1/operator/sessions`. It names nobody who takes part."""

from __future__ import annotations

import logging

from fastapi import APIRouter
from pydantic import BaseModel, Field

from broker.messages.cluster.base import Done
from broker.messages.cluster.deeds import DeedEnd, DeedMedia, PresentParticipant, SessionCommand
from broker.messages.cluster.records import RecordQuery
from broker.messages.parts import Id
from broker.words import Attendance, Mode, Role, SessionPhase, Way
from gateway.api.backend import command_session
from gateway.api.idempotency import IdempotencyKey
from gateway.api.media_view import MediaState, media_state
from gateway.api.problems import PROBLEMS
from gateway.api.server_api import Cursor, Limit
from gateway.api.this_gateway import ThisGateway
from gateway.proofs.operators import OPERATOR_ACCOUNT, Operator

logger = logging.getLogger(__name__)


class LiveSessionView(BaseModel):
    """One session that has not ended."""

    session_id: str
    account_id: str
    mode: Mode
    created_ms: int
    epoch: int = Field(description="Above 1: it was taken over that often, less one.")


class LiveSessionPage(BaseModel):
    """A page of live sessions, those that began last first."""

    sessions: list[LiveSessionView]
    cursor: str | None


class LineView(BaseModel):
    """How the media of one participant flow, over all of their connections."""

    connections: int
    bitrate_in: int
    """What arrives from them, in bits per second of payload."""
    bitrate_out: int
    loss_in: float
    loss_out: float
    round_trip_ms: float | None


class LiveParticipantView(BaseModel):
    """Somebody who takes part or waits in the lobby, without a name."""

    participant_id: str
    role: Role
    attendance: Attendance
    mode: Mode
    owner: bool
    way: Way | None
    microphone: bool
    camera: bool
    screen: bool
    quality: str | None
    """`good`, `fair` or `poor`; `None` before media flow."""
    reason: str | None
    line: LineView


class LiveSessionDetail(BaseModel):
    """One live session this moment."""

    session_id: str
    participants: list[LiveParticipantView]
    drops: dict[str, int]
    """Datagrams its relay threw away, by reason."""


router = APIRouter(prefix="/v1/operator/sessions", tags=["operators"], responses=PROBLEMS)


@router.get("", operation_id="listLiveSessions")
async def list_live(
    operator: Operator, gateway: ThisGateway, cursor: Cursor = None, limit: Limit = 50
) -> LiveSessionPage:
    """List the live sessions of all accounts."""
    query = RecordQuery(phase=SessionPhase.OPEN, cursor=cursor, limit=limit)
    page = await gateway.directory.list_records(query)
    shown = [LiveSessionView.model_validate(each.model_dump()) for each in page.records]
    return LiveSessionPage(sessions=shown, cursor=page.cursor)


@router.get("/{session_id}", operation_id="getLiveSession")
async def get_live(session_id: Id, operator: Operator, gateway: ThisGateway) -> LiveSessionDetail:
    """Say who is in a live session, by role, and how their media flow."""
    asked = SessionCommand(session_id=session_id, deed=DeedMedia())
    done = await command_session(gateway.room, None, asked)
    state = media_state(done.media)
    return LiveSessionDetail(
        session_id=session_id,
        participants=[_participant(each, state) for each in done.participants],
        drops=state.drops,
    )


@router.post("/{session_id}/end", operation_id="endAnySession", status_code=204)
async def end(
    session_id: Id, operator: Operator, gateway: ThisGateway, idempotency_key: IdempotencyKey = None
) -> None:
    """End a live session for everybody; its record says `ended_by_backend`."""
    asked = SessionCommand(session_id=session_id, deed=DeedEnd())

    async def do() -> Done:
        await command_session(gateway.room, None, asked)
        logger.warning(
            "operator acted",
            extra={"deed": "end", "session_id": session_id, "token_id": operator.token_id},
        )
        return Done()

    await gateway.idempotency.once(
        OPERATOR_ACCOUNT, "endAnySession", idempotency_key, asked, do, Done, harmless=True
    )


def _participant(present: PresentParticipant, state: MediaState) -> LiveParticipantView:
    quality = state.participants.get(present.participant_id)
    return LiveParticipantView(
        **present.model_dump(exclude={"name", "verified", "capabilities"}),
        quality=None if quality is None else quality.quality,
        reason=None if quality is None else quality.reason or None,
        line=_line(present.participant_id, state),
    )


def _line(participant_id: str, state: MediaState) -> LineView:
    own = [each for each in state.transports if each.participant_id == participant_id]
    trips = [each.round_trip_ms for each in own if each.round_trip_ms is not None]
    return LineView(
        connections=len(own),
        bitrate_in=sum(each.bitrate_in for each in own),
        bitrate_out=sum(each.bitrate_out for each in own),
        loss_in=max((each.loss_in for each in own), default=0.0),
        loss_out=max((each.loss_out for each in own), default=0.0),
        round_trip_ms=max(trips, default=None),
    )
