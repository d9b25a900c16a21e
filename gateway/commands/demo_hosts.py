"""The demo's second origin: the agent's workspace and the brand's shop that frame the widgets."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import Response
from pydantic import BaseModel

from gateway.api import problems
from gateway.metrics import Metrics
from gateway.origins import HostCheck
from gateway.settings import BadSettings, DemoHost, Settings
from gateway.site.assets import Assets

NOTE = (
    "This demo listens on loopback only. Chromium, Chrome, Edge and Safari connect their media "
    "over loopback; Firefox does not use loopback for calls, so it shows everything but no picture."
)
_SKIP = frozenset({"node_modules", "tests", "__pycache__"})
_PAGES = {"": "index.html"}


class DemoConfig(BaseModel):
    """What the simulator's pages are told."""

    gateway: str
    account_id: str
    agent_id: str
    agent_name: str
    note: str


def create_demo_hosts(settings: Settings, *, assets: Assets | None = None) -> FastAPI:
    """Build the app that serves `widgets/simulator` and `/demo-config.json`.

    Raises:
        BadSettings: the settings are not a demo's.
    """
    demo = settings.demo
    if demo is None:
        raise BadSettings("The demo's pages are served in demo mode only.")
    served = assets or Assets.read(settings.widgets / "simulator", skip=_SKIP)
    app = FastAPI(title="Switchboard demo hosts", openapi_url=None)
    problems.install(app, Metrics())
    hosts = tuple(origin.split("://", 1)[1] for origin in origins_of(demo.origin))
    app.add_middleware(HostCheck, hosts=hosts)

    @app.get("/demo-config.json")
    async def demo_config() -> DemoConfig:
        return config_of(settings, demo)

    @app.get("/{path:path}")
    async def page(path: str) -> Response:
        # `/simulator/agent-sdk.js` is the address of the simulated SDK; pages lie at the root.
        name = _PAGES.get(path, path.removeprefix("simulator/"))
        found = served.get(name)
        return Response(
            found.body,
            media_type=found.media_type,
            headers={
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                # The gateway's pages load the simulated SDKs from this origin.
                "Cross-Origin-Resource-Policy": "cross-origin",
                "Access-Control-Allow-Origin": settings.origin,
            },
        )

    return app


def origins_of(origin: str) -> tuple[str, str]:
    """Return how the hosts' pages may be called that are served there.

    By `localhost` they are another site than the gateway at 127.0.0.1, as a brand's pages are:
    for browsers its frames are strangers there, and keep apart what they keep.
    """
    return origin, origin.replace("127.0.0.1", "localhost")


def config_of(settings: Settings, demo: DemoHost) -> DemoConfig:
    """Say what the simulator needs to know."""
    return DemoConfig(
        gateway=settings.origin,
        account_id=demo.account_id,
        agent_id=demo.agent_id,
        agent_name=demo.agent_name,
        note=NOTE,
    )
