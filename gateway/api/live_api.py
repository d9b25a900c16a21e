"""The server API's deeds on live sessions: `/v1`, by API key, for a brand's backend."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from broker.messages.cluster.deeds import (
    Deed,
    DeedAdmit,
    DeedCancelInvitation,
    DeedEnd,
    DeedGrant,
    DeedInvite,
    DeedInviteGuest,
    DeedList,
    DeedMedia,
    DeedMute,
    DeedRefuseEntry,
    DeedRemove,
    DeedRevokeGuest,
    PresentParticipant,
    SessionCommand,
    SessionCommandDone,
)
from broker.messages.parts import Id, Name
from broker.words import Capability, Mode, PublishSource
from gateway.accounts import Account
from gateway.api.backend import command_session
from gateway.api.idempotency import IdempotencyKey
from gateway.api.media_view import MediaState, media_state
from gateway.api.problems import PROBLEMS
from gateway.api.this_gateway import Gateway, ThisGateway
from gateway.api.widget_api import Body
from gateway.proofs.api_keys import Caller


class InvitationRequest(Body):
    """Ring the consumer of a live session again."""

    mode: Mode = Mode.VIDEO


class InvitationMade(BaseModel):
    """The invitation that is open now; its outcome stands in the session's events."""

    invitation_id: str


class GuestLinkRequest(Body):
    """For whom a guest link is, how often and how long it may be used."""

    name: Name | None = None
    uses: Annotated[int, Field(ge=1, le=8)] = 1
    expires_in_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600


class GuestLinkMade(BaseModel):
    """A guest link. The address holds its secret and is not shown again."""

    guest_invitation_id: str
    url: str
    expires_in_ms: int


class MuteRequest(Body):
    """What to stop."""

    sources: Annotated[list[PublishSource], Field(min_length=1, max_length=3)]


class CapabilitiesRequest(Body):
    """Everything somebody may do from now on; what is missing is withdrawn."""

    capabilities: Annotated[list[Capability], Field(max_length=16)]


class ParticipantList(BaseModel):
    """Who takes part in a session or waits in its lobby, in the order they came."""

    participants: list[PresentParticipant]


router = APIRouter(prefix="/v1/sessions/{session_id}", responses=PROBLEMS)


@router.post("/end", operation_id="endSession", tags=["sessions"], status_code=204)
async def end_session(
    session_id: Id, account: Caller, gateway: ThisGateway, idempotency_key: IdempotencyKey = None
) -> None:
    """End a live session for everybody."""
    await _once(
        gateway, account, "endSession", idempotency_key, session_id, DeedEnd(), harmless=True
    )


@router.post("/invitations", operation_id="sendInvitation", tags=["invitations"], status_code=201)
async def invite(
    session_id: Id,
    account: Caller,
    gateway: ThisGateway,
    body: InvitationRequest,
    idempotency_key: IdempotencyKey = None,
) -> InvitationMade:
    """Ring the consumer again. Answers `invitation_open` (409) while they are being rung."""
    deed = DeedInvite(mode=body.mode)
    done = await _once(gateway, account, "sendInvitation", idempotency_key, session_id, deed)
    return InvitationMade.model_validate(done.model_dump())


@router.post(
    "/invitations/cancel",
    operation_id="cancelInvitation",
    tags=["invitations"],
    status_code=204,
)
async def cancel_invitation(
    session_id: Id, account: Caller, gateway: ThisGateway, idempotency_key: IdempotencyKey = None
) -> None:
    """Take the open invitation back."""
    deed = DeedCancelInvitation()
    await _once(
        gateway, account, "cancelInvitation", idempotency_key, session_id, deed, harmless=True
    )


@router.post("/guests", operation_id="inviteGuest", tags=["guests"], status_code=201)
async def invite_guest(
    session_id: Id,
    account: Caller,
    gateway: ThisGateway,
    body: GuestLinkRequest,
    idempotency_key: IdempotencyKey = None,
) -> GuestLinkMade:
    """Make a guest link. Answers `too_many_links` (429) at the policy's limit."""
    deed = DeedInviteGuest(uses=body.uses, expires_in_s=body.expires_in_s, name=body.name)
    done = await _once(gateway, account, "inviteGuest", idempotency_key, session_id, deed)
    return GuestLinkMade.model_validate(done.model_dump())


@router.post(
    "/guests/{guest_invitation_id}/revoke",
    operation_id="revokeGuest",
    tags=["guests"],
    status_code=204,
)
async def revoke_guest(
    session_id: Id,
    guest_invitation_id: Id,
    account: Caller,
    gateway: ThisGateway,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Withdraw a guest link; who came by it stays."""
    deed = DeedRevokeGuest(guest_invitation_id=guest_invitation_id)
    await _once(gateway, account, "revokeGuest", idempotency_key, session_id, deed, harmless=True)


@router.get("/participants", operation_id="listParticipants", tags=["participants"])
async def list_participants(
    session_id: Id, account: Caller, gateway: ThisGateway
) -> ParticipantList:
    """List who is in a live session or waits in its lobby."""
    asked = SessionCommand(session_id=session_id, deed=DeedList())
    done = await command_session(gateway.room, account.account_id, asked)
    return ParticipantList(participants=done.participants)


@router.get("/media", operation_id="getMedia", tags=["sessions"])
async def get_media(session_id: Id, account: Caller, gateway: ThisGateway) -> MediaState:
    """Say how the media of a live session flow: transports, layers, loss, quality."""
    asked = SessionCommand(session_id=session_id, deed=DeedMedia())
    done = await command_session(gateway.room, account.account_id, asked)
    return media_state(done.media)


@router.post(
    "/participants/{participant_id}/admit",
    operation_id="admitParticipant",
    tags=["participants"],
    status_code=204,
)
async def admit(
    session_id: Id,
    participant_id: Id,
    account: Caller,
    gateway: ThisGateway,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Let somebody in from the lobby."""
    deed = DeedAdmit(participant_id=participant_id)
    await _once(gateway, account, "admitParticipant", idempotency_key, session_id, deed)


@router.post(
    "/participants/{participant_id}/refuse",
    operation_id="refuseParticipant",
    tags=["participants"],
    status_code=204,
)
async def refuse(
    session_id: Id,
    participant_id: Id,
    account: Caller,
    gateway: ThisGateway,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Send somebody in the lobby away."""
    deed = DeedRefuseEntry(participant_id=participant_id)
    await _once(
        gateway, account, "refuseParticipant", idempotency_key, session_id, deed, harmless=True
    )


@router.post(
    "/participants/{participant_id}/mute",
    operation_id="muteParticipant",
    tags=["participants"],
    status_code=204,
)
async def mute(
    session_id: Id,
    participant_id: Id,
    account: Caller,
    gateway: ThisGateway,
    body: MuteRequest,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Stop what somebody sends, once; they may start again."""
    deed = DeedMute(participant_id=participant_id, sources=body.sources)
    await _once(
        gateway, account, "muteParticipant", idempotency_key, session_id, deed, harmless=True
    )


@router.post(
    "/participants/{participant_id}/remove",
    operation_id="removeParticipant",
    tags=["participants"],
    status_code=204,
)
async def remove(
    session_id: Id,
    participant_id: Id,
    account: Caller,
    gateway: ThisGateway,
    idempotency_key: IdempotencyKey = None,
) -> None:
    """Remove somebody from the session; not its owner."""
    deed = DeedRemove(participant_id=participant_id)
    await _once(
        gateway, account, "removeParticipant", idempotency_key, session_id, deed, harmless=True
    )


@router.put(
    "/participants/{participant_id}/capabilities",
    operation_id="setCapabilities",
    tags=["participants"],
    status_code=204,
)
async def set_capabilities(
    session_id: Id,
    participant_id: Id,
    account: Caller,
    gateway: ThisGateway,
    body: CapabilitiesRequest,
) -> None:
    """Set what somebody may do; not the owner."""
    deed = DeedGrant(participant_id=participant_id, capabilities=body.capabilities)
    asked = SessionCommand(session_id=session_id, deed=deed)
    await command_session(gateway.room, account.account_id, asked)


async def _once(
    gateway: Gateway,
    account: Account,
    operation: str,
    key: str | None,
    session_id: str,
    deed: Deed,
    *,
    harmless: bool = False,
) -> SessionCommandDone:
    asked = SessionCommand(session_id=session_id, deed=deed)
    name = gateway.idempotency.command_id(account.account_id, operation, key, asked)
    named = asked.model_copy(update={"command_id": name})
    return await gateway.idempotency.once(
        account.account_id,
        operation,
        key,
        asked,
        lambda: command_session(gateway.room, account.account_id, named),
        SessionCommandDone,
        harmless=harmless,
    )
