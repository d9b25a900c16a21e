"""Agent and consumer on two different gateways, and crowds that wait: real parts, without Ray.

Ledger, session actors and both gateways run in this process, joined by real sockets, so that the
number of actors can be counted exactly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from actors.ledger import Ledger
from actors.session.actor import SessionActor
from actors.session.config import SessionConfig
from broker.keys import KeyPurpose, derive_key
from broker.messages.cluster import LinkHello
from gateway.accounts import Account, AgentLogin
from gateway.app import create_app
from gateway.ledger_client import LedgerClient
from gateway.serve import bind, gateway_server
from gateway.settings import DemoHost, Limits, Settings
from tests.widget import Widget, agent_widget, consumer_widget

SECRET = b"s" * 32
WAIT_S = 20.0


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class House:
    """One ledger, its standbys, and as many gateways as are opened."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.key = derive_key(SECRET, KeyPurpose.TRUNK)
        self.address = ("", 0)
        self.over = asyncio.Event()
        """Set when a session actor has ended."""
        self.ledger: Ledger | None = None

    async def resolve(self) -> tuple[str, int]:
        return self.address

    async def standby(self) -> SessionActor:
        actor = SessionActor(
            SessionConfig(node="n", trunk_key=self.key, lonely_s=1.0),
            self.resolve,
            now_ms=now_ms,
            on_over=self.over.set,
        )
        await actor.start()
        self.stack.push_async_callback(actor.close)
        return actor

    async def gateway(self, name: str) -> str:
        """Start a gateway; returns its origin."""
        listening = bind("127.0.0.1", 0)
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = Settings(
            origin=origin,
            secret=SECRET,
            accounts={"demo": Account(account_id="demo", agent_login=AgentLogin.DEMO)},
            gateway_id=name,
            demo=DemoHost(origin="http://127.0.0.1:1"),
            limits=Limits(requests_per_minute=1e6, request_burst=100_000, silent_s=300.0),
        )
        directory = LedgerClient(
            self.resolve, self.key, LinkHello(kind="gateway", member_id=name, node="n")
        )
        app = create_app(settings, directory)
        directory.listen(app.state.switchroom)
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


@asynccontextmanager
async def house(folder: Path, standbys: int) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        made = House(stack)
        ledger = Ledger(f"sqlite+aiosqlite:///{folder / 'l.sqlite3'}", made.key, now_ms=now_ms)
        made.address = ("127.0.0.1", await ledger.start("127.0.0.1", 0))
        made.ledger = ledger
        stack.push_async_callback(ledger.close)
        for _ in range(standbys):
            await made.standby()
        yield made


async def hang_up(*widgets: Widget) -> None:
    for widget in widgets:
        await widget.close()


@pytest.mark.parametrize("channel", ["chat", "messaging"])
@pytest.mark.parametrize("first", ["agent", "consumer"])
async def test_they_meet_on_two_gateways(tmp_path: Path, channel: str, first: str) -> None:
    ids = (
        {"window_session_id": "eng", "channel": "chat"}
        if channel == "chat"
        else {"window_session_id": "other", "conversation_id": "eng", "channel": "messaging"}
    )
    async with house(tmp_path, standbys=1) as running:
        one, two = await running.gateway("one"), await running.gateway("two")
        if first == "consumer":
            consumer = await consumer_widget(two, "eng", engagement=ids)
            agent = await agent_widget(one, "eng")
            await agent.expect(
                "reach.changed", consumer={"reach": "reachable", "surfaces": ["launcher"]}
            )
            await agent.request("session.start", mode="video")
        else:
            agent = await agent_widget(one, "eng")
            await agent.request("session.start", mode="video")
            consumer = await consumer_widget(two, "eng", engagement=ids)
        snapshot = await consumer.expect("session.snapshot")
        assert snapshot["attendance"] == "invited"
        invitation_id = snapshot["invitation"]["invitation_id"]
        await consumer.request("invitation.accept", invitation_id=invitation_id, mode="video")
        roster = await agent.expect("roster.changed")
        assert [entry["role"] for entry in roster["roster"]] == ["agent", "consumer"]
        await hang_up(agent, consumer)


async def test_two_thousand_waiting_connections_make_no_session(tmp_path: Path) -> None:
    async with house(tmp_path, standbys=2) as running:
        origin = await running.gateway("one")
        crowd: list[Widget] = []
        for start in range(0, 2_000, 100):
            crowd += await asyncio.gather(
                *(consumer_widget(origin, f"eng-{n}") for n in range(start, start + 100))
            )
        agent = await agent_widget(origin, "eng-1234")
        await agent.expect(
            "reach.changed", consumer={"reach": "reachable", "surfaces": ["launcher"]}
        )
        # Both standbys are still there for two agents who start now.
        await agent.request("session.start", mode="video")
        await crowd[1_234].expect("session.snapshot")
        other = await agent_widget(origin, "eng-7", agent_id="8")
        await other.request("session.start", mode="voice")
        await crowd[7].expect("session.snapshot")
        assert sum("session.snapshot" in widget.types() for widget in crowd) == 2
        await hang_up(agent, other, *crowd)


async def test_an_actor_with_neither_trunk_nor_ledger_falls_silent(tmp_path: Path) -> None:
    async with house(tmp_path, standbys=1) as running:
        origin = await running.gateway("one")
        agent = await agent_widget(origin, "eng")
        await agent.request("session.start", mode="video")
        await agent.expect("session.snapshot")
        assert running.ledger is not None
        await running.ledger.close()
        # With a trunk the call goes on, however long the ledger is away.
        await agent.request("media.publish", microphone=True, camera=True, screen=False)
        assert not running.over.is_set()
        await agent.close()
        async with asyncio.timeout(WAIT_S):
            await running.over.wait()
