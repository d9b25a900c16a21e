"""The gateway's FastAPI app: what is served under which path."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.routing import WebSocketRoute

from broker.errors import ErrorCode, NotFound
from broker.tracing import Traces
from gateway.api import (
    account_view,
    device_api,
    live_api,
    login_api,
    node_api,
    operator_api,
    operator_sessions,
    problems,
    server_api,
    token_api,
    upkeep_api,
    widget_api,
)
from gateway.api.body_limit import BodyLimit
from gateway.api.idempotency import Idempotency
from gateway.api.rates import Rates
from gateway.api.this_gateway import Gateway
from gateway.clock import steady_seconds
from gateway.connections.connect import Connect
from gateway.connections.switchroom import Switchroom
from gateway.limits import AddressLimits
from gateway.links.directory import Directory
from gateway.metrics import Metrics
from gateway.origins import AddressCheck, HostCheck, is_inside
from gateway.proofs.api_keys import ApiKeys
from gateway.proofs.consumer_links import ConsumerLinks
from gateway.proofs.device_challenges import DeviceChallenges
from gateway.proofs.liveperson import LivePersonLogin
from gateway.proofs.login_flows import LoginFlows
from gateway.proofs.oidc import Oidc
from gateway.proofs.revocations import RevocationList
from gateway.proofs.tokens import Tokens
from gateway.settings import Settings
from gateway.site.assets import Assets, assets_router
from gateway.site.pages import pages_router
from gateway.site.pictures import Pictures, pictures_router
from gateway.tasks import cancel

MAX_BODY_BYTES = 64 * 1024
OPERATIONS = tuple(
    route
    for module in (
        widget_api,
        device_api,
        login_api,
        token_api,
        server_api,
        live_api,
        upkeep_api,
        account_view,
        operator_api,
        node_api,
        operator_sessions,
    )
    for route in module.router.routes
)
"""Of every app. Not by `include_router`, which takes each apart once more for each app, and looks
for a request's operation twice."""
DESCRIPTION = "Video sessions between agents, consumers and guests: the server side."


def create_app(
    settings: Settings,
    directory: Directory,
    *,
    clock: Callable[[], float] | None = None,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    assets: Assets | None = None,
    traces: Traces | None = None,
    pictures: Pictures | None = None,
) -> FastAPI:
    """Build the app of one gateway.

    The app runs its switchroom (heartbeats, sweep) while it is up; its server stops the
    switchroom before it stops the app, and its owner runs the directory. The switchroom is at
    `app.state.switchroom` and is the `Listener` to give to the directory.
    """
    clock = clock or steady_seconds()
    metrics = Metrics()
    revocations = RevocationList(clock, settings.session_s)
    tokens = Tokens(
        settings.secret, clock, entropy, resume_s=settings.session_s, revocations=revocations
    )
    logins = LoginFlows(settings.secret, clock, directory)
    room = Switchroom(settings, directory, tokens, metrics, revocations, logins, traces)
    oidc = Oidc(clock)
    pictures = pictures or Pictures(settings.secret, settings.accounts)
    liveperson = LivePersonLogin(f"{settings.origin}/login/callback", clock)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for each in (pictures, oidc, liveperson):
                stack.push_async_callback(each.close)
            stack.push_async_callback(cancel, asyncio.create_task(room.run()))
            yield

    app = FastAPI(
        title="Switchboard",
        version=version("switchboard"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.switchroom = room
    limits = settings.limits
    app.state.gateway = Gateway(
        room=room,
        clock=clock,
        idempotency=Idempotency(directory, settings.secret),
        rates=Rates(limits),
        consumer_links=ConsumerLinks(settings.secret, clock, directory),
        device_challenges=DeviceChallenges(settings.secret, clock),
        oidc=oidc,
        liveperson=liveperson,
        pictures=pictures,
    )
    app.state.account_limits = AddressLimits(
        limits.account_requests_per_minute, limits.account_request_burst
    )
    app.state.api_keys = ApiKeys(settings.accounts.values())
    problems.install(app, metrics)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)
    app.add_middleware(AddressCheck)
    app.add_middleware(HostCheck, hosts=settings.allowed_hosts)
    app.router.routes.append(WebSocketRoute("/v1/connect", Connect(room)))
    app.router.routes.append(WebSocketRoute("/v1/login", login_api.LoginSocket(room, logins).serve))
    served = assets or Assets.read(settings.widgets)
    app.router.routes.extend(pages_router(settings, served).routes)
    app.router.routes.extend(assets_router(served).routes)
    app.router.routes.extend(pictures_router(pictures).routes)
    app.router.routes.extend(OPERATIONS)
    if settings.demo is not None:
        app.router.routes.extend(widget_api.demo_router.routes)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> JSONResponse:
        """Whether the process lives; nothing else."""
        return JSONResponse({"alive": True})

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        """Whether new widgets should be sent here."""
        return JSONResponse(
            {
                "ready": room.ready,
                "ledger": directory.ready,
                "pool": directory.pool_linked,
                "stopping": room.stopping,
            },
            status_code=200 if room.ready else 503,
        )

    @app.get("/metrics", include_in_schema=False)
    async def render_metrics(request: Request) -> Response:
        if not is_inside(request.scope, settings.metrics_networks):
            raise NotFound(ErrorCode.MALFORMED, "There is nothing at this address.")
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return app
