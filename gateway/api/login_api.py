"""Where agents log in: the frame's WebSocket, and the top-level page it opens."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Cookie, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, StringConstraints
from starlette.websockets import WebSocket, WebSocketDisconnect

from broker.close_codes import CloseCode
from broker.errors import ErrorCode, Forbidden, SwitchboardError, TooFast
from broker.messages import SUBPROTOCOL, encode
from broker.messages.cluster.trunk import Principal
from broker.messages.login import LoginCode, LoginDone, LoginRefused
from broker.messages.parts import Part
from broker.words import Role
from gateway.accounts import Account, AgentLogin
from gateway.api.problems import PROBLEMS
from gateway.api.rates import hold_back
from gateway.api.this_gateway import Gateway, ThisGateway
from gateway.api.widget_api import WidgetBody
from gateway.connections.switchroom import Switchroom
from gateway.limits import AddressLimits
from gateway.origins import address_of, allowed_origins, origin_allowed
from gateway.proofs.login_flows import FLOW_S, Flow, LoginFlows, same_state, state_of
from gateway.proofs.tokens import Audience
from gateway.refusals import close_code_of

logger = logging.getLogger(__name__)
COOKIE = "switchboard_login"

Sealed = Annotated[str, StringConstraints(min_length=1, max_length=1_024)]


class FlowRequest(WidgetBody):
    """A login, as its page's address holds it."""

    flow: Sealed


class FlowView(BaseModel):
    """What the page shows: compare the code with the one in the workspace."""

    account_id: str
    code: str


class LoginPlace(BaseModel):
    """Where the page goes next."""

    url: str


router = APIRouter(tags=["widgets"], responses=PROBLEMS)


@router.get("/v1/login/flow", operation_id="getLogin")
async def get_login(gateway: ThisGateway, flow: Annotated[Sealed, Query()]) -> FlowView:
    """Tell the login page which code the agent's frame shows."""
    found = gateway.room.logins.open(flow)
    return FlowView(account_id=found.account_id, code=found.code)


@router.post("/v1/login/continue", operation_id="continueLogin")
async def continue_login(
    request: Request, gateway: ThisGateway, body: FlowRequest, response: Response
) -> LoginPlace:
    """Tie the login to this browser, and say where LivePerson asks for it."""
    settings = gateway.settings
    # A page elsewhere could submit a form here, and so give a browser the cookie unseen.
    if request.headers.get("origin", settings.origin) != settings.origin:
        raise Forbidden(ErrorCode.ORIGIN_REFUSED, "This page's origin may not do that.")
    _hold_back(request, gateway)
    found = gateway.room.logins.open(body.flow)
    account = settings.account(found.account_id)
    url = await gateway.liveperson.authorize_url(account, state_of(body.flow))
    response.set_cookie(
        COOKIE,
        body.flow,
        max_age=FLOW_S,
        path="/login",
        secure=settings.origin.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return LoginPlace(url=url)


@router.get("/login/callback", include_in_schema=False)
async def callback(
    request: Request,
    gateway: ThisGateway,
    state: str = "",
    code: str = "",
    sealed: Annotated[str, Cookie(alias=COOKIE)] = "",
) -> Response:
    """Take LivePerson's answer, and hand a token to the frame that waits."""
    if not code or not sealed or not same_state(sealed, state):
        return _back("refused")
    try:
        _hold_back(request, gateway)
        flow = gateway.room.logins.open(sealed)
        account = gateway.settings.account(flow.account_id)
        token = await _token_of(gateway, account, code)
        await gateway.room.logins.hand(flow, token)
    except SwitchboardError as error:
        gateway.room.metrics.refusals.labels(code=str(error.code)).inc()
        return _back("away" if error.retryable else "refused")
    return _back("done")


def _hold_back(request: Request, gateway: Gateway) -> None:
    """LivePerson holds back our application as a whole, so nobody may have it asked at will."""
    hold_back(request, gateway.rates.logins.take, "Too many logins; wait a little.")


async def _token_of(gateway: Gateway, account: Account, code: str) -> str:
    who = await gateway.liveperson.exchange(account, code)
    role = Role.SUPERVISOR if who.agent_id in account.supervisors else Role.AGENT
    principal = Principal(
        role=role,
        account_id=account.account_id,
        agent_id=who.agent_id,
        name=who.name,
        verified=True,
    )
    return gateway.tokens.mint(Audience.AGENT, principal, gateway.settings.agent_token_s)


async def _say(socket: WebSocket, message: Part) -> None:
    await socket.send_text(encode(message).decode())


async def _refuse(socket: WebSocket, error: SwitchboardError) -> None:
    await _say(
        socket, LoginRefused(code=error.code, detail=error.message, retryable=error.retryable)
    )
    await socket.close(int(close_code_of(error)))


def _back(how: str) -> Response:
    """Show the outcome on the login page; the code leaves the address bar, the cookie goes."""
    answer = RedirectResponse(f"/login#{how}", status_code=303)
    answer.delete_cookie(COOKIE, path="/login")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


class LoginSocket:
    """The ASGI endpoint of `/v1/login`: a frame waits here for its token.

    The gateway says what `broker.messages.login` defines, and closes. The frame says nothing.
    """

    def __init__(self, room: Switchroom, flows: LoginFlows) -> None:
        self._room = room
        self._flows = flows
        self._origins = allowed_origins(room.settings)
        limits = room.settings.limits
        self._asking = AddressLimits(
            limits.requests_per_minute, limits.request_burst, keys=limits.addresses
        )

    async def serve(self, socket: WebSocket) -> None:
        """Serve one frame until it has its token or is gone."""
        offered = SUBPROTOCOL in socket.scope.get("subprotocols", ())
        await socket.accept(SUBPROTOCOL if offered else None)
        try:
            flow, sealed = self._begin(socket)
        except SwitchboardError as error:
            await _refuse(socket, error)
            return
        url = f"{self._room.settings.origin}/login?flow={quote(sealed)}"
        try:
            await _say(socket, LoginCode(code=flow.code, url=url))
            await self._serve(socket, flow)
        except WebSocketDisconnect:
            pass
        finally:
            self._flows.forget(flow)

    def _begin(self, socket: WebSocket) -> tuple[Flow, str]:
        room = self._room
        if not origin_allowed(socket.headers.get("origin"), self._origins):
            raise Forbidden(ErrorCode.ORIGIN_REFUSED, "This page's origin may not connect.")
        now = asyncio.get_running_loop().time()
        address = address_of(dict(socket.scope))
        if room.stopping or not self._asking.take(address, now):
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many logins; wait a little.")
        account = room.settings.account(socket.query_params.get("account_id", ""))
        if account.agent_login is not AgentLogin.LIVEPERSON:
            raise Forbidden(ErrorCode.NOT_PERMITTED, "This account has another login.")
        return self._flows.begin(account.account_id, address)

    async def _serve(self, socket: WebSocket, flow: Flow) -> None:
        """Wait for the token or for the frame to go, whichever is first."""
        waiting = asyncio.ensure_future(self._flows.wait(flow))
        gone = asyncio.ensure_future(socket.receive())
        try:
            await asyncio.wait((waiting, gone), return_when=asyncio.FIRST_COMPLETED)
            failure = waiting.exception() if waiting.done() else None
            if isinstance(failure, SwitchboardError):
                await _refuse(socket, failure)
                return
            if waiting.done() and failure is None:
                life_s = self._room.settings.agent_token_s
                await _say(socket, LoginDone(token=waiting.result(), expires_in_s=life_s))
            await socket.close(int(CloseCode.NORMAL))
        except RuntimeError:
            # The frame closed while we did.
            return
        finally:
            for task in (waiting, gone):
                task.cancel()
            await asyncio.gather(waiting, gone, return_exceptions=True)
