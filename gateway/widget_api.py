"""The few plain requests that widgets make before they connect."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from broker.errors import ErrorCode, Forbidden, NotFound, TooFast
from broker.ids import normal_id
from broker.messages.cluster import Principal, RecordRate
from broker.messages.parts import EngagementIds, Id, Name
from broker.words import Role
from gateway.accounts import Account, AgentLogin, ConsumerProof
from gateway.greeting import waiting_keys
from gateway.limits import AddressLimits
from gateway.origins import address_of
from gateway.problems import PROBLEMS
from gateway.settings import Settings
from gateway.switchroom import Switchroom
from gateway.tokens import Audience, hash_secret


class Body(BaseModel):
    """Base of request bodies: closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WaitingRequest(Body):
    """A consumer's widget wants to be rung."""

    engagement: EngagementIds


class GuestRequest(Body):
    """Somebody opened a guest link and pressed *Join*."""

    code: Annotated[str, StringConstraints(min_length=8, max_length=256)]
    name: Name


class DemoAgentRequest(Body):
    """The demo's workspace names its agent."""

    account_id: Id
    agent_id: Id
    name: Name
    role: Literal["agent", "supervisor"] = "agent"


class RatingRequest(Body):
    """How somebody found the session that has just ended."""

    resume: Annotated[str, StringConstraints(max_length=8192)]
    """The resume token of the session: it says which, and who rates."""
    stars: Annotated[int, Field(ge=1, le=5)]
    comment: Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)] | None = None


class RatingAnswer(BaseModel):
    """The rating stands beside the record."""

    stars: int


class TokenAnswer(BaseModel):
    """A token and its life."""

    token: str
    expires_in_s: int


class GuestAnswer(TokenAnswer):
    """A guest's token; the session it leads to can last this long."""

    session_expires_in_s: int


class WidgetConfig(BaseModel):
    """What a widget page needs to know before it connects."""

    account_id: str
    agent_login: AgentLogin
    token_url: str | None = None
    consumer_proof: ConsumerProof


def account_of(settings: Settings, account_id: str) -> Account:
    """Return an account that is served here. Raises NotFound."""
    account = settings.accounts.get(normal_id(account_id) or "")
    if account is None:
        raise NotFound(ErrorCode.UNKNOWN_ACCOUNT, "This account is not served here.")
    return account


def widget_router(room: Switchroom) -> APIRouter:
    """Serve waiting, guest and demo tokens, and the widgets' configuration."""
    router = APIRouter(tags=["widgets"], responses=PROBLEMS)
    settings, tokens = room.settings, room.tokens
    limits = settings.limits
    asking = AddressLimits(limits.requests_per_minute, limits.request_burst, keys=limits.addresses)
    guessing = AddressLimits(
        limits.guest_tries_per_minute, limits.guest_try_burst, keys=limits.addresses
    )

    def hold_back(request: Request, bucket: AddressLimits) -> None:
        if not bucket.take(address_of(request.scope), asyncio.get_running_loop().time()):
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many requests; wait a little.")

    @router.post("/v1/waiting", operation_id="createWaitingToken")
    async def waiting(request: Request, body: WaitingRequest) -> TokenAnswer:
        """Mint a token with the right to be rung. Says nothing about the engagement."""
        hold_back(request, asking)
        ids = body.engagement
        account = account_of(settings, ids.account_id)
        if account.consumer_proof is ConsumerProof.TOKEN:
            raise Forbidden(
                ErrorCode.NOT_PERMITTED, "Consumers of this account come with the brand's token."
            )
        principal = Principal(
            role=Role.CONSUMER,
            account_id=account.account_id,
            visitor_id=normal_id(ids.visitor_id),
        )
        token = tokens.mint(
            Audience.WAITING, principal, settings.waiting_token_s, keys=waiting_keys(ids)
        )
        return TokenAnswer(token=token, expires_in_s=settings.waiting_token_s)

    @router.post("/v1/guest", operation_id="createGuestToken")
    async def guest(request: Request, body: GuestRequest) -> GuestAnswer:
        """Exchange a guest link's code for a token. The use is consumed on entering."""
        hold_back(request, guessing)
        try:
            found = await room.directory.locate_guest(hash_secret(body.code))
        except NotFound:
            raise NotFound(
                ErrorCode.UNKNOWN_INVITATION, "This link leads nowhere (any more)."
            ) from None
        principal = Principal(
            role=Role.GUEST,
            account_id=found.location.account_id,
            guest_invitation_id=found.guest_invitation_id,
            name=body.name,
        )
        token = tokens.mint(
            Audience.GUEST,
            principal,
            settings.guest_token_s,
            session_id=found.location.session_id,
        )
        return GuestAnswer(
            token=token,
            expires_in_s=settings.guest_token_s,
            session_expires_in_s=settings.session_s,
        )

    @router.post("/v1/ratings", operation_id="rateSession")
    async def rate(request: Request, body: RatingRequest) -> RatingAnswer:
        """Keep a consumer's or guest's rating of an ended session; a later one takes its place."""
        hold_back(request, guessing)
        resume = tokens.open(body.resume)
        principal = resume.principal
        if principal.role not in (Role.CONSUMER, Role.GUEST) or not principal.participant_id:
            raise Forbidden(ErrorCode.NOT_PERMITTED, "Only consumers and guests rate.")
        await room.directory.rate(
            RecordRate(
                session_id=resume.session_id,
                participant_id=principal.participant_id,
                stars=body.stars,
                comment=body.comment or None,
            )
        )
        return RatingAnswer(stars=body.stars)

    @router.get("/v1/widget-config", operation_id="getWidgetConfig")
    async def widget_config(request: Request, account_id: str) -> WidgetConfig:
        """Tell a widget page how its account's people prove who they are."""
        hold_back(request, asking)
        account = account_of(settings, account_id)
        return WidgetConfig(
            account_id=account.account_id,
            agent_login=account.agent_login,
            token_url=account.token_url,
            consumer_proof=account.consumer_proof,
        )

    if settings.demo is not None:

        @router.post("/demo/agent-token", include_in_schema=False)
        async def demo_agent_token(request: Request, body: DemoAgentRequest) -> TokenAnswer:
            """Mint an agent token for anybody: loopback and demo mode only."""
            hold_back(request, asking)
            account = account_of(settings, body.account_id)
            if account.agent_login is not AgentLogin.DEMO:
                raise Forbidden(ErrorCode.NOT_PERMITTED, "This account has a login of its own.")
            principal = Principal(
                role=Role(body.role),
                account_id=account.account_id,
                agent_id=normal_id(body.agent_id),
                name=body.name,
                verified=True,
            )
            token = tokens.mint(Audience.AGENT, principal, settings.agent_token_s)
            return TokenAnswer(token=token, expires_in_s=settings.agent_token_s)

    return router
