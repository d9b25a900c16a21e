"""The few plain requests that widgets make before they connect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from broker.errors import ErrorCode, Forbidden, Malformed, NotFound, TooFast
from broker.ids import normal_id
from broker.messages.cluster.records import RecordRate
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import ClaimSecret, EngagementIds, Id, Name, Storable
from broker.words import Role
from gateway.accounts import Account, AgentLogin, ConsumerProof
from gateway.api.problems import PROBLEMS
from gateway.api.rates import hold_back
from gateway.api.this_gateway import Gateway, ThisGateway
from gateway.connections.greeting import waiting_keys
from gateway.proofs.consumer_links import LINK_S
from gateway.proofs.oidc import Identified
from gateway.proofs.tokens import Audience, hash_secret


class Body(BaseModel):
    """Base of request bodies: closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WidgetBody(Body):
    """Base of those that widgets send: what a page of the next release says besides is left out.

    While one release replaces the other a gateway is asked by pages of both.
    """

    model_config = ConfigDict(extra="ignore")


def _known_ids(told: object) -> object:
    """Leave out the ids that only a later release knows; what does not fit is refused as ever."""
    if not isinstance(told, Mapping):
        return told
    return {name: value for name, value in told.items() if name in EngagementIds.model_fields}


class WaitingRequest(WidgetBody):
    """A consumer's widget wants to be rung."""

    engagement: Annotated[EngagementIds, BeforeValidator(_known_ids)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=1_024)] | None = None
    """From the link that the agent sent into the conversation: proves this consumer, once."""
    claim_secret: ClaimSecret | None = None
    """That of the hello. With it a code may be said again by whoever did not hear the answer."""
    id_token: Annotated[str, StringConstraints(min_length=1, max_length=8_192)] | None = None
    """From the brand's own login, where the account names one."""


class ConsumerLinkRequest(WidgetBody):
    """An agent wants a link for the consumer of their engagement."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=8_192)]
    """The agent's own."""
    engagement_key: Id


class ConsumerLink(BaseModel):
    """The address to send into the conversation, and nowhere else."""

    url: str
    expires_in_s: int


class GuestRequest(WidgetBody):
    """Somebody opened a guest link and pressed *Join*."""

    code: Annotated[str, StringConstraints(min_length=8, max_length=256)]
    name: Name


class DemoAgentRequest(Body):
    """The demo's workspace names its agent."""

    account_id: Id
    agent_id: Id
    name: Name
    role: Literal["agent", "supervisor"] = "agent"


class RatingRequest(WidgetBody):
    """How somebody found the session that has just ended."""

    resume: Annotated[str, StringConstraints(max_length=8192)]
    """The resume token of the session: it says which, and who rates."""
    stars: Annotated[int, Field(ge=1, le=5)]
    comment: (
        Annotated[str, StringConstraints(max_length=500, strip_whitespace=True), Storable] | None
    ) = None


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


router = APIRouter(tags=["widgets"], responses=PROBLEMS)
demo_router = APIRouter()
"""What a demo has besides: anybody's agents."""


@router.post("/v1/waiting", operation_id="createWaitingToken")
async def waiting(request: Request, gateway: ThisGateway, body: WaitingRequest) -> TokenAnswer:
    """Mint a token with the right to be rung. Says nothing about the engagement."""
    settings, asking = gateway.settings, gateway.room.asking
    hold_back(request, asking.from_address)
    ids = body.engagement
    account = settings.account(ids.account_id)
    keys = waiting_keys(ids)
    now = asyncio.get_running_loop().time()
    if not asking.about(account.account_id, keys, now):
        raise TooFast(ErrorCode.RATE_LIMITED, "Too many requests; wait a little.")
    if body.code is not None:
        hold_back(request, gateway.rates.guest_codes.take)
        key = await gateway.consumer_links.take(
            body.code, account.account_id, keys, body.claim_secret
        )
        who = Identified(normal_id(ids.visitor_id) or "", "")
        return _mint_waiting(gateway, account, ids, (key,), settings.link_token_s, who)
    if body.id_token is not None:
        if not keys:
            # Whoever is verified stands at the ids of their token, and is not counted there.
            raise Malformed(ErrorCode.MALFORMED, "engagement: give an id of the window.")
        who = await gateway.oidc.read(account, body.id_token)
        return _mint_waiting(gateway, account, ids, keys, settings.waiting_token_s, who)
    match account.consumer_proof:
        case ConsumerProof.IDS:
            return _mint_waiting(gateway, account, ids, keys, settings.waiting_token_s)
        case ConsumerProof.LINK:
            why = "Consumers of this account come by the link that their agent sends."
        case ConsumerProof.TOKEN:
            why = "Consumers of this account come with the brand's token."
    raise Forbidden(ErrorCode.NOT_PERMITTED, why)


def _mint_waiting(
    gateway: Gateway,
    account: Account,
    ids: EngagementIds,
    keys: tuple[str, ...],
    life_s: int,
    who: Identified | None = None,
) -> TokenAnswer:
    principal = Principal(
        role=Role.CONSUMER,
        account_id=account.account_id,
        visitor_id=normal_id(ids.visitor_id) if who is None else who.visitor_id or None,
        name="" if who is None else who.name,
        verified=who is not None,
    )
    token = gateway.tokens.mint(Audience.WAITING, principal, life_s, keys=keys)
    return TokenAnswer(token=token, expires_in_s=life_s)


@router.post("/v1/consumer-links", operation_id="createConsumerLink", status_code=201)
async def consumer_link(
    request: Request, gateway: ThisGateway, body: ConsumerLinkRequest
) -> ConsumerLink:
    """Make the one-time link by which an agent's consumer proves to be in the conversation."""
    hold_back(request, gateway.room.asking.from_address)
    who = gateway.tokens.read(body.token, Audience.AGENT).principal
    account = gateway.settings.account(who.account_id)
    url = gateway.consumer_links.make(
        gateway.settings.origin, account.account_id, normal_id(body.engagement_key) or ""
    )
    return ConsumerLink(url=url, expires_in_s=LINK_S)


@router.post("/v1/guest", operation_id="createGuestToken")
async def guest(request: Request, gateway: ThisGateway, body: GuestRequest) -> GuestAnswer:
    """Exchange a guest link's code for a token. The use is consumed on entering."""
    hold_back(request, gateway.rates.guest_codes.take)
    try:
        found = await gateway.directory.locate_guest(hash_secret(body.code))
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
    settings = gateway.settings
    token = gateway.tokens.mint(
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
async def rate(request: Request, gateway: ThisGateway, body: RatingRequest) -> RatingAnswer:
    """Keep a consumer's or guest's rating of an ended session; a later one takes its place."""
    hold_back(request, gateway.rates.guest_codes.take)
    resume = gateway.tokens.open(body.resume)
    principal = resume.principal
    gateway.settings.account(principal.account_id)
    if principal.role not in (Role.CONSUMER, Role.GUEST) or not principal.participant_id:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "Only consumers and guests rate.")
    await gateway.directory.rate(
        RecordRate(
            session_id=resume.session_id,
            participant_id=principal.participant_id,
            stars=body.stars,
            comment=body.comment or None,
            account_id=principal.account_id,
        )
    )
    return RatingAnswer(stars=body.stars)


@router.get("/v1/widget-config", operation_id="getWidgetConfig")
async def widget_config(request: Request, gateway: ThisGateway, account_id: str) -> WidgetConfig:
    """Tell a widget page how its account's people prove who they are."""
    hold_back(request, gateway.room.asking.from_address)
    account = gateway.settings.account(account_id)
    return WidgetConfig(
        account_id=account.account_id,
        agent_login=account.agent_login,
        token_url=account.token_url,
        consumer_proof=account.consumer_proof,
    )


@demo_router.post("/demo/agent-token", include_in_schema=False)
async def demo_agent_token(
    request: Request, gateway: ThisGateway, body: DemoAgentRequest
) -> TokenAnswer:
    """Mint an agent token for anybody: loopback and demo mode only."""
    hold_back(request, gateway.room.asking.from_address)
    account = gateway.settings.account(body.account_id)
    if account.agent_login is not AgentLogin.DEMO:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "This account has a login of its own.")
    principal = Principal(
        role=Role(body.role),
        account_id=account.account_id,
        agent_id=normal_id(body.agent_id),
        name=body.name,
        verified=True,
    )
    life_s = gateway.settings.agent_token_s
    token = gateway.tokens.mint(Audience.AGENT, principal, life_s)
    return TokenAnswer(token=token, expires_in_s=life_s)
