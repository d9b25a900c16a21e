"""The broker's half of the wire, played to one page: for states that are hard to bring about.

Messages are built with the broker's own models, so what a page is shown here is what it could be
shown by the real one.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.async_api import Page, Route, WebSocketRoute

from broker.messages import encode
from broker.messages.facts import (
    ConnectionPong,
    ConnectionWelcome,
    ReachChanged,
    SessionSnapshot,
)
from broker.messages.login import LoginCode
from broker.messages.parts import (
    GuestInvitationView,
    InvitationView,
    MediaLimits,
    Part,
    ReachView,
    RosterEntry,
    SeatAssignment,
)
from broker.words import (
    Attendance,
    Capability,
    InvitationState,
    Mode,
    Reach,
    Role,
    Surface,
)
from gateway.accounts import Account, AgentLogin
from gateway.settings import Settings
from gateway.site.assets import Assets, assets_router
from gateway.site.pages import pages_router
from tests.browser.demo import ROOT
from tests.patience import PATIENCE
from tests.ports import free_port

DEMO: Mapping[str, str] = {"agent_login": "demo"}
LOGIN = LoginCode(code="K7M2QP", url="about:blank")


@contextmanager
def serve_pages() -> Iterator[str]:
    """The gateway's pages with their real headers, and nothing behind them."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    settings = Settings(
        origin=origin,
        secret=b"0" * 32,
        accounts={"demo": Account(account_id="demo", agent_login=AgentLogin.DEMO)},
        agent_sdk=f"{origin}/no-sdk.js",
        window_sdk=f"{origin}/no-sdk.js",
    )
    assets = Assets.read(ROOT / "widgets")
    app = FastAPI()
    app.include_router(pages_router(settings, assets))
    app.include_router(assets_router(assets))

    @app.get("/brand")
    def brand(body: str, headers: str) -> HTMLResponse:
        """A page of somebody else's, by `localhost` on another site. Really served: what a test
        fulfils itself counts as the internet, which may frame nothing of this machine."""
        return HTMLResponse(body, headers=json.loads(headers))

    server = uvicorn.Server(
        uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield origin
    finally:
        server.should_exit = True
        thread.join()


def brand(pages: str, body: str, headers: Mapping[str, str] | None = None) -> str:
    """The address of a page with this body, on another site than the gateway's pages."""
    query = urlencode({"body": body, "headers": json.dumps(headers or {})})
    return f"{pages.replace('127.0.0.1', 'localhost')}/brand?{query}"


class BrokerDouble:
    """Answers one page's hello, then says what the test says."""

    def __init__(self, page: Page, role: Role, *, in_session: bool = True) -> None:
        self.page = page
        self.config = DEMO
        """What the account wants of its agents and consumers."""
        self.heard: list[dict[str, Any]] = []
        """What the page sent."""
        self.deaf = False
        """Whether a hello stays without answer, as when the network is gone."""
        self._role = role
        self.in_session = in_session
        """Whether whoever says hello takes part in a session."""
        self._sockets: list[WebSocketRoute] = []
        self._greeted = asyncio.Event()

    async def attach(self) -> None:
        """Stand between the page and where the broker would be."""
        await self.page.route_web_socket("**/v1/connect", self._accept)
        await self.page.route_web_socket("**/v1/login*", _login)
        await self.page.route("**/v1/widget-config*", self._answer_config)
        for path in ("**/demo/agent-token", "**/v1/waiting", "**/v1/guest"):
            await self.page.route(path, _json({"token": "t", "expires_in_s": 60}))
        link = "https://video.example.com/engagement?accountId=demo&conversationId=c1#k3n1"
        await self.page.route("**/v1/consumer-links", _json({"url": link}))
        await self.page.route("**/v1/login/flow*", _json({"code": LOGIN.code}))
        no_entry = {"code": "unknown_entry", "detail": "No such code.", "retryable": False}
        await self.page.route("**/v1/enrol", _json(no_entry, status=404))

    def begin(
        self, role: Role, *, in_session: bool, config: Mapping[str, str] | None = None
    ) -> None:
        """Forget everything: another widget is about to say hello."""
        self.config = config or DEMO
        self.heard.clear()
        self.deaf = False
        self._role = role
        self.in_session = in_session
        self.swallow()

    def swallow(self) -> None:
        """Hear and answer nothing on what stands, without closing it: the line is gone."""
        self._sockets.clear()
        self._greeted.clear()

    async def _answer_config(self, route: Route) -> None:
        await route.fulfill(json={"account_id": "demo", "consumer_proof": "ids", **self.config})

    def _accept(self, socket: WebSocketRoute) -> None:
        self._sockets.append(socket)
        socket.on_message(lambda text: self._hear(socket, text))

    def _hear(self, socket: WebSocketRoute, text: str | bytes) -> None:
        if socket not in self._sockets:
            return
        message = json.loads(text)
        if message["type"] == "connection.ping":
            socket.send(encode(ConnectionPong()).decode())
            return
        self.heard.append(message)
        if message["type"] == "connection.hello" and not self.deaf:
            back = self.in_session and "resume" in message
            greeting = welcome(message["id"], self._role, in_session=self.in_session, resumed=back)
            socket.send(encode(greeting).decode())
            self._greeted.set()

    async def tell(self, *messages: Part) -> None:
        """Send facts to the page, once it has said hello, and wait until it shows them."""
        async with asyncio.timeout(10 * PATIENCE):
            await self._greeted.wait()
        for message in messages:
            self._sockets[-1].send(encode(message).decode())
        await painted(self.page)

    async def drop(self, code: int) -> None:
        """Close the connection, and wait until the page shows it."""
        await self._sockets[-1].close(code=code, reason="")
        await painted(self.page)

    async def until_heard(self, kind: str) -> dict[str, Any]:
        """Wait for a message of this type from the page."""
        async with asyncio.timeout(10 * PATIENCE):
            while True:
                for message in self.heard:
                    if message["type"] == kind:
                        return message
                await asyncio.sleep(0.02)


async def heard(double: BrokerDouble, kind: str) -> dict[str, Any]:
    """Take the next message of this type, and forget what else the page sent so far."""
    message = await double.until_heard(kind)
    double.heard.clear()
    return message


async def asked(double: BrokerDouble, kind: str) -> dict[str, Any]:
    """What was asked, without the number of the request."""
    message = await double.until_heard(kind)
    return {name: value for name, value in message.items() if name not in ("id", "type")}


def welcome(
    reply_to: str, role: Role, *, in_session: bool, resumed: bool = False
) -> ConnectionWelcome:
    """The answer to a hello."""
    return ConnectionWelcome(
        reply_to=reply_to,
        revision=1,
        connection_id="c",
        role=role,
        in_session=in_session,
        resumed=resumed,
    )


async def painted(page: Page) -> None:
    """Wait until everything that is under way in the page stands on the screen."""
    await page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def _json(body: dict[str, Any], status: int = 200) -> Any:
    async def answer(route: Route) -> None:
        await route.fulfill(json=body, status=status)

    return answer


def _login(socket: WebSocketRoute) -> None:
    """Begin a login, and have it wait for ever."""
    socket.send(encode(LOGIN).decode())


ALL = list(Capability)
TAKING_PART = [Capability.SEND_AUDIO, Capability.SEND_VIDEO, Capability.SEND_SCREEN]
NAMES = (
    "Alex Berger",
    "Maya Cohen",
    "Noa Levi",
    "Maximiliane von Hohenlohe-Schillingsfürst",
    "李小龍",
    "محمد الأحمد",
    "J",
    "Anastasia Papadopoulou",
)


def person(number: int, role: Role = Role.GUEST, **more: Any) -> RosterEntry:
    """One of the cast; number 0 is the agent, 1 the consumer."""
    fields: dict[str, Any] = {
        "participant_id": f"p{number}",
        "role": (Role.AGENT, Role.CONSUMER)[number] if number < 2 else role,
        "name": NAMES[number % len(NAMES)],
        "attendance": Attendance.PRESENT,
        "mode": Mode.VIDEO,
        "owner": number == 0,
        "verified": number != 1,
        "capabilities": TAKING_PART,
        "microphone": number % 3 != 2,
        "camera": False,
        "screen": False,
    }
    return RosterEntry(**(fields | more))


def invitation(state: InvitationState = InvitationState.RINGING, **more: Any) -> InvitationView:
    fields: dict[str, Any] = {
        "invitation_id": "i1",
        "state": state,
        "mode": Mode.VIDEO,
        "from_name": NAMES[0],
        "surfaces": [Surface.LAUNCHER],
        "visible": True,
        "expires_in_ms": 93_000,
    }
    return InvitationView(**(fields | more))


def snapshot(
    me: int,
    people: Sequence[RosterEntry],
    *,
    attendance: str = "present",
    ringing: InvitationView | None = None,
    links: Sequence[GuestInvitationView] = (),
    mode: Mode = Mode.VIDEO,
) -> SessionSnapshot:
    """The session as number `me` sees it, everybody seated."""
    role = (Role.AGENT, Role.CONSUMER, Role.GUEST)[min(me, 2)]
    seated = [entry for entry in people if entry.participant_id != f"p{me}"]
    return SessionSnapshot(
        seq=1,
        session_id="s1",
        epoch=1,
        participant_id=f"p{me}",
        role=role,
        mode=mode,
        attendance=attendance,
        capabilities=ALL if role is Role.AGENT else TAKING_PART,
        roster=list(people),
        invitation=ringing,
        guest_invitations=list(links),
        seats=[
            SeatAssignment(kind="seat", index=index, participant_id=entry.participant_id)
            for index, entry in enumerate(seated)
            if entry.attendance is not Attendance.LOBBY
        ],
        media=MediaLimits(seats=7, screens=1, ice_servers=[], relay_only=False),
        started_ms_ago=754_000,
    )


def reach(of: Reach) -> ReachChanged:
    surfaces = [] if of is Reach.ABSENT else [Surface.LAUNCHER]
    return ReachChanged(consumer=ReachView(reach=of, surfaces=surfaces))


async def show(page: Page, address: str, role: Role, *, in_session: bool = True) -> BrokerDouble:
    """The widget as somebody of this role, and what stands for the broker."""
    double = BrokerDouble(page, role, in_session=in_session)
    await double.attach()
    await page.goto(address)
    return double
