"""One ledger, its standbys and gateways in this process: real parts and sockets, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from actors.ledger import Ledger, LedgerPolicy
from actors.session.actor import SessionActor
from actors.session.config import SessionConfig
from broker.keys import KeyPurpose, derive_key
from broker.messages.cluster.members import LinkHello
from broker.tracing import Traces
from gateway.accounts import Account, AgentLogin, ApiKey, hash_key
from gateway.app import create_app
from gateway.clock import steady_clock
from gateway.connections.switchroom import Switchroom
from gateway.links.ledger_client import LedgerClient, Resolver
from gateway.links.trunk_tls import trunk_tls
from gateway.serve import bind, gateway_server
from gateway.settings import DemoHost, Limits, Settings
from gateway.site.assets import Assets
from tests import databases
from tests.patience import PATIENCE
from tests.stops import stop_soon
from tests.widget import Widget

stop_soon()
SECRET = b"s" * 32
API_KEY = "swk_house_" + "k" * 32
WAIT_S = 20.0 * PATIENCE
LONELY_S = 10.0
"""What actors have in a cluster: a stall of the machine must not end a standby."""


@cache
def widgets(folder: Path) -> Assets:
    """Return the widgets' files, which take long to compress, as read once."""
    return Assets.read(folder)


class House:
    """One ledger, its standbys, and as many gateways as are opened."""

    def __init__(
        self,
        stack: AsyncExitStack,
        *,
        lonely_s: float = LONELY_S,
        traces: Traces | None = None,
        ledger_policy: LedgerPolicy | None = None,
    ) -> None:
        self.stack = stack
        self.ledger_policy = ledger_policy
        self.traces = traces
        self.now_ms = steady_clock()
        self.lonely_s = lonely_s
        self.key = derive_key(SECRET, KeyPurpose.TRUNK)
        self.address = ("", 0)
        self.limits = Limits(
            requests_per_minute=1e6,
            request_burst=100_000,
            engagement_try_burst=100_000,
            silent_s=300.0,
            messages_per_s=1e6,
        )
        """Of the gateways opened from now on."""
        self.policy: dict[str, object] = {}
        """Of the account, for the gateways opened from now on."""
        self.over = asyncio.Event()
        """Set when a session actor has ended."""
        self.ledger: Ledger | None = None
        self.rooms: list[Switchroom] = []
        """Of each gateway, in the order in which they were opened."""

    async def resolve(self) -> tuple[str, int]:
        return self.address

    def config(self) -> SessionConfig:
        """What a session actor of this house is told."""
        return SessionConfig(
            node="n",
            trunk_key=self.key,
            tls=trunk_tls(self.key),
            lonely_s=self.lonely_s,
            traces=self.traces,
        )

    async def standby(self, resolve: Resolver | None = None) -> SessionActor:
        """Start a session actor; `resolve`: how it finds the ledger, if not as everybody does."""
        actor = SessionActor(
            self.config(),
            resolve or self.resolve,
            now_ms=self.now_ms,
            on_over=self.over.set,
        )
        await actor.start()
        self.stack.push_async_callback(actor.close)
        return actor

    def settings(self, origin: str, name: str) -> Settings:
        """What a gateway of this house is told."""
        return Settings(
            origin=origin,
            secret=SECRET,
            accounts={
                "demo": Account(
                    account_id="demo",
                    agent_login=AgentLogin.DEMO,
                    policy={"silent_monitoring": True, **self.policy},
                    api_keys=(ApiKey("house", hash_key(API_KEY)),),
                )
            },
            gateway_id=name,
            demo=DemoHost(origin="http://127.0.0.1:1"),
            limits=self.limits,
        )

    def made(self, room: Switchroom, directory: LedgerClient) -> None:
        """Add to a gateway what this house has beside it."""

    async def gateway(self, name: str) -> str:
        """Start a gateway; returns its origin."""
        listening = bind("127.0.0.1", 0)
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = self.settings(origin, name)
        directory = LedgerClient(
            self.resolve,
            self.key,
            LinkHello(kind="gateway", member_id=name, node="n"),
            traces=self.traces,
        )
        app = create_app(settings, directory, assets=widgets(settings.widgets), traces=self.traces)
        directory.listen(app.state.switchroom)
        self.rooms.append(app.state.switchroom)
        self.made(app.state.switchroom, directory)
        server = gateway_server(settings, app, [listening])
        for work in (directory.run(), server.run()):
            self.stack.push_async_callback(end, asyncio.create_task(work))
        async with asyncio.timeout(WAIT_S):
            await server.started.wait()
        self.stack.push_async_callback(server.stop)
        return origin


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


H = TypeVar("H", bound=House)


@asynccontextmanager
async def house(folder: Path, standbys: int, **options: Any) -> AsyncIterator[House]:
    """A house with its ledger and standbys; `options` are those of `House`."""
    async with settled(folder, lambda stack: House(stack, **options)) as made:
        for _ in range(standbys):
            await made.standby()
        yield made


@asynccontextmanager
async def settled(folder: Path, build: Callable[[AsyncExitStack], H]) -> AsyncIterator[H]:
    """A house of some kind with its ledger, and nobody in it yet."""
    async with AsyncExitStack() as stack:
        made = build(stack)
        ledger = Ledger(
            databases.sqlite(folder / "l.sqlite3"),
            made.key,
            now_ms=made.now_ms,
            policy=made.ledger_policy,
            tls=trunk_tls(made.key),
            traces=made.traces,
        )
        made.address = ("127.0.0.1", await ledger.start("127.0.0.1", 0))
        made.ledger = ledger
        stack.push_async_callback(ledger.close)
        yield made


async def hang_up(*widgets: Widget) -> None:
    for widget in widgets:
        await widget.close()
