"""A gateway under a real uvicorn on port 0, with the fakes behind it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
import websockets
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection
from websockets.typing import Origin

from broker.keys import KeyPurpose, derive_key
from broker.messages import SUBPROTOCOL
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.trunk import Principal
from broker.words import Role
from gateway.accounts import Account, AgentLogin, ApiKey, hash_key
from gateway.app import create_app
from gateway.connections.switchroom import Switchroom
from gateway.links.ledger_client import LedgerClient
from gateway.proofs.tokens import Audience, Tokens
from gateway.serve import EdgeServer, bind
from gateway.settings import Limits, Settings
from gateway.site.pictures import Pictures
from tests.gateway.fake_ledger import FakeLedger
from tests.gateway.fake_session import FakeSession
from tests.patience import PATIENCE
from tests.stops import stop_soon

stop_soon()
SECRET = b"a secret of tests, 32 bytes long at least"
KEY = derive_key(SECRET, KeyPurpose.TRUNK)
API_KEY = "swk_k1_" + "s" * 40
ENGAGEMENT = {"account_id": "acc", "rt_session_id": "eng-1"}
WINDOW = {"account_id": "acc", "window_session_id": "eng-1"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on the loop that gateways run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def widgets(tmp_path: Path) -> Path:
    """A small widgets folder."""
    pages = tmp_path / "widgets" / "pages"
    pages.mkdir(parents=True)
    for name in ("agent", "window", "engagement", "join"):
        pages.joinpath(f"{name}.html").write_text(
            '<!doctype html><script src="{{sdk_script}}"></script>'
            f'<script type="module" src="{{{{assets}}}}/entry/{name}.js"></script>'
            '<link rel="modulepreload" href="{{assets}}/catalogues/{{language}}.js" />'
        )
    folder = tmp_path / "widgets"
    folder.joinpath("entry").mkdir()
    folder.joinpath("entry", "agent.js").write_text("export {};\n")
    folder.joinpath("entry", "notes.txt").write_text("not served")
    folder.joinpath("catalogues").mkdir()
    for language in ("en", "he", "words"):
        body = "export default {" + "many: 'words', " * 50 + "};"
        folder.joinpath("catalogues", f"{language}.js").write_text(body)
    folder.joinpath("launcher").mkdir()
    folder.joinpath("launcher", "launcher.js").write_text("(() => {})();\n")
    folder.joinpath("simulator").mkdir()
    folder.joinpath("simulator", "index.html").write_text("<!doctype html>demo")
    folder.joinpath("simulator", "agent-sdk.js").write_text("sdk();\n")
    return folder


@pytest.fixture
def settings(widgets: Path) -> Settings:
    """Settings of one account, with short time-outs."""
    return Settings(
        origin="http://127.0.0.1:1",
        secret=SECRET,
        widgets=widgets,
        gateway_id="g-" + secrets.token_hex(4),
        accounts={
            "acc": Account(
                "acc",
                agent_login=AgentLogin.DEMO,
                api_keys=(ApiKey("k1", hash_key(API_KEY)),),
                frame_ancestors=("https://desk.example.com",),
            ),
            "other": Account("other", frame_ancestors=("https://other.example.com",)),
        },
        limits=Limits(call_timeout_s=3.0, takeover_bound_s=6.0),
    )


@dataclass
class Widget:
    """A client that speaks as a widget does."""

    socket: ClientConnection
    got: list[dict[str, Any]] = field(default_factory=list)

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def next(self) -> dict[str, Any]:
        """Return the next message."""
        async with asyncio.timeout(10 * PATIENCE):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        self.got.append(message)
        return message

    async def until(self, kind: str) -> dict[str, Any]:
        """Read on to the next message of a type."""
        while (message := await self.next())["type"] != kind:
            pass
        return message

    async def closed(self) -> int:
        """Read on to the close and return its code."""
        async with asyncio.timeout(10 * PATIENCE):
            try:
                while True:
                    self.got.append(json.loads(await self.socket.recv()))
            except websockets.ConnectionClosed:
                return self.socket.close_code or 0

    async def hello(self, **fields: Any) -> dict[str, Any]:
        """Say hello and return the answer."""
        await self.greet(**fields)
        return await self.next()

    async def greet(self, **fields: Any) -> None:
        """Say hello."""
        await self.say(
            **{
                "type": "connection.hello",
                "id": "h",
                "revision": 1,
                "surface": "launcher",
                **fields,
            }
        )


class World:
    """A gateway, its ledger, sessions and widgets; everything is closed at the end."""

    def __init__(self, settings: Settings) -> None:
        self._given = settings
        self.ledger = FakeLedger(KEY)
        self.sessions: list[FakeSession] = []
        self.widgets: list[Widget] = []
        self.app: FastAPI
        self.server: EdgeServer
        self.directory: LedgerClient
        self.tokens = Tokens(SECRET, time.time, secrets.token_bytes, resume_s=3_600)
        self.picture_hosts: httpx.AsyncBaseTransport | None = None
        """What answers instead of the network when pictures are fetched."""
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def room(self) -> Switchroom:
        room = self.app.state.switchroom
        assert isinstance(room, Switchroom)
        return room

    async def start(self) -> None:
        await self.ledger.start()
        listening = bind("127.0.0.1", 0)
        self.port = listening.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.settings = replace(self._given, origin=self.origin)
        self.directory = LedgerClient(
            self._resolve,
            KEY,
            LinkHello(kind="gateway", member_id=self.settings.gateway_id, node="test"),
            limits=self.settings.limits,
        )
        pictures = Pictures(SECRET, self.settings.accounts, transport=self.picture_hosts)
        self.app = create_app(self.settings, self.directory, pictures=pictures)
        self.directory.listen(self.room)
        self.server = EdgeServer(
            self.app,
            [listening],
            trusted_proxies=self.settings.trusted_proxies,
            stop_bound_s=self.settings.limits.stop_bound_s,
        )
        self._tasks = [
            asyncio.create_task(self.directory.run()),
            asyncio.create_task(self.server.run()),
        ]
        async with asyncio.timeout(10 * PATIENCE):
            await self.server.started.wait()
            await self.directory.wait_ready()

    async def stop(self) -> None:
        for widget in self.widgets:
            await widget.socket.close()
        await self.server.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for session in self.sessions:
            await session.stop()
        await self.ledger.stop()

    async def _resolve(self) -> tuple[str, int]:
        return "127.0.0.1", self.ledger.port

    async def session(self, session_id: str = "s-1", epoch: int = 1) -> FakeSession:
        """Start a session actor."""
        session = FakeSession(KEY, session_id, epoch)
        await session.start()
        self.sessions.append(session)
        return session

    async def widget(self, *, origin: str | None = None, query: str = "", **options: Any) -> Widget:
        """Open a widget's WebSocket."""
        options.setdefault("subprotocols", [SUBPROTOCOL])
        socket = await websockets.connect(
            f"ws://127.0.0.1:{self.port}/v1/connect{query}",
            origin=Origin(origin or self.origin),
            ping_interval=None,
            max_size=None,
            open_timeout=10 * PATIENCE,
            # Else the environment is read for one each time.
            proxy=None,
            **options,
        )
        widget = Widget(socket)
        self.widgets.append(widget)
        return widget

    def http(self) -> httpx.AsyncClient:
        """A client of the REST surface, in process."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://gateway.test"
        )

    def agent_token(self, agent_id: str = "7", role: Role = Role.AGENT, **more: Any) -> str:
        principal = Principal(
            role=role, account_id="acc", agent_id=agent_id, name="Alex", verified=True
        )
        return self.tokens.mint(Audience.AGENT, principal, 600, **more)

    def waiting_token(self) -> str:
        principal = Principal(role=Role.CONSUMER, account_id="acc")
        return self.tokens.mint(Audience.WAITING, principal, 600, keys=("eng-1",))

    async def agent(self, **fields: Any) -> Widget:
        """An agent's widget that has said hello; the welcome is read."""
        widget = await self.widget()
        await widget.greet(
            **{
                "token": self.agent_token(),
                "surface": "agent_frame",
                "engagement": ENGAGEMENT,
                **fields,
            }
        )
        assert (await widget.next())["type"] == "connection.welcome"
        return widget

    async def consumer(self, **fields: Any) -> Widget:
        """A consumer's widget that waits; the welcome is read."""
        widget = await self.widget()
        await widget.greet(
            **{
                "token": self.waiting_token(),
                "engagement": WINDOW,
                "claim_secret": "c" * 20,
                **fields,
            }
        )
        assert (await widget.next())["type"] == "connection.welcome"
        return widget


@pytest.fixture
def api_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key for commands, in their environment."""
    monkeypatch.setenv("SWITCHBOARD_API_KEY", "k")


@pytest.fixture
async def world(settings: Settings) -> AsyncIterator[World]:
    """A running gateway with its fakes."""
    world = World(settings)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the REST surface that a backend of the account has."""
    async with world.http() as client:
        client.headers["Authorization"] = f"Bearer {API_KEY}"
        yield client


async def attached(world: World) -> tuple[Widget, FakeSession]:
    """A consumer's widget in a session."""
    session = await world.session()
    world.ledger.attach(session)
    widget = await world.consumer()
    await widget.until("session.snapshot")
    return widget, session
