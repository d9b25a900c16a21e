"""The few plain requests that widgets make before they connect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from broker.errors import ErrorCode, Forbidden, Malformed, NotFound, TooFast
from broker.ids import normal_id
from broker.messages.cluster.records import RecordRate
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import EngagementIds, Id, Name, Storable
from broker.words import Role
from gateway.accounts import Account, AgentLogin, ConsumerProof
from gateway.api.problems import PROBLEMS
from gateway.connections.greeting import waiting_keys
from gateway.connections.switchroom import Switchroom
from gateway.limits import AddressLimits
from gateway.origins import address_of
from gateway.proofs.consumer_links import LINK_S, ConsumerLinks
from gateway.proofs.oidc import Identified, Oidc
from gateway.proofs.tokens import Audience, hash_secret


class Body(BaseModel):
    """Base of request bodies: closed to unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WaitingRequest(Body):
    """A consumer's widget wants to be rung."""

    engagement: EngagementIds
    code: Annotated[str, StringConstraints(min_length=1, max_length=1_024)] | None = None
    """From the link that the agent sent into the conversation: proves this consumer, once."""
    id_token: Annotated[str, StringConstraints(min_length=1, max_length=8_192)] | None = None
    """From the brand's own login, where the account names one."""


class ConsumerLinkRequest(Body):
    """An agent wants a link for the consumer of their engagement."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=8_192)]
    """The agent's own."""
    engagement_key: Id


class ConsumerLink(BaseModel):
    """The address to send into the conversation, and nowhere else."""

    url: str
    expires_in_s: int


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


def widget_router(room: Switchroom, links: ConsumerLinks, oidc: Oidc) -> APIRouter:
    """Serve waiting, guest and demo tokens, and the widgets' configuration."""
    router = APIRouter(tags=["widgets"], responses=PROBLEMS)
    settings, tokens, asking = room.settings, room.tokens, room.asking
    limits = settings.limits
    guessing = AddressLimits(
        limits.guest_tries_per_minute, limits.guest_try_burst, keys=limits.addresses
    )

    def hold_back(request: Request, take: Callable[[str, float], bool]) -> None:
        if not take(address_of(request.scope), asyncio.get_running_loop().time()):
            raise _too_fast()

    @router.post("/v1/waiting", operation_id="createWaitingToken")
    async def waiting(request: Request, body: WaitingRequest) -> TokenAnswer:
        """Mint a token with the right to be rung. Says nothing about the engagement."""
        hold_back(request, asking.from_address)
        ids = body.engagement
        account = settings.account(ids.account_id)
        keys = waiting_keys(ids)
        now = asyncio.get_running_loop().time()
        if not asking.about(account.account_id, keys, now):
            raise _too_fast()
        if body.code is not None:
            hold_back(request, guessing.take)
            key = await links.take(body.code, account.account_id, keys)
            who = Identified(normal_id(ids.visitor_id) or "", "")
            return mint(account, ids, (key,), settings.link_token_s, who)
        if body.id_token is not None:
            if not keys:
                # Whoever is verified stands at the ids of their token, and is not counted there.
                raise Malformed(ErrorCode.MALFORMED, "engagement: give an id of the window.")
            who = await oidc.read(account, body.id_token)
            return mint(account, ids, keys, settings.waiting_token_s, who)
        match account.consumer_proof:
            case ConsumerProof.IDS:
                return mint(account, ids, keys, settings.waiting_token_s)
            case ConsumerProof.LINK:
                why = "Consumers of this account come by the link that their agent sends."
            case ConsumerProof.TOKEN:
                why = "Consumers of this account come with the brand's token."
        raise Forbidden(ErrorCode.NOT_PERMITTED, why)

    def mint(
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
        token = tokens.mint(Audience.WAITING, principal, life_s, keys=keys)
        return TokenAnswer(token=token, expires_in_s=life_s)

    @router.post("/v1/consumer-links", operation_id="createConsumerLink", status_code=201)
    async def consumer_link(request: Request, body: ConsumerLinkRequest) -> ConsumerLink:
        """Make the one-time link by which an agent's consumer proves to be in the conversation."""
        hold_back(request, asking.from_address)
        who = tokens.read(body.token, Audience.AGENT).principal
        account = settings.account(who.account_id)
        url = links.make(settings.origin, account.account_id, normal_id(body.engagement_key) or "")
        return ConsumerLink(url=url, expires_in_s=LINK_S)

    @router.post("/v1/guest", operation_id="createGuestToken")
    async def guest(request: Request, body: GuestRequest) -> GuestAnswer:
        """Exchange a guest link's code for a token. The use is consumed on entering."""
        hold_back(request, guessing.take)
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
        hold_back(request, guessing.take)
        resume = tokens.open(body.resume)
        principal = resume.principal
        settings.account(principal.account_id)
        if principal.role not in (Role.CONSUMER, Role.GUEST) or not principal.participant_id:
            raise Forbidden(ErrorCode.NOT_PERMITTED, "Only consumers and guests rate.")
        await room.directory.rate(
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
    async def widget_config(request: Request, account_id: str) -> WidgetConfig:
        """Tell a widget page how its account's people prove who they are."""
        hold_back(request, asking.from_address)
        account = settings.account(account_id)
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
            hold_back(request, asking.from_address)
            account = settings.account(body.account_id)
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


def _too_fast() -> TooFast:
    return TooFast(ErrorCode.RATE_LIMITED, "Too many requests; wait a little.")
