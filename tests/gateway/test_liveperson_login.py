"""LivePerson's login: the frame waits, a page logs in, and nobody else's browser can."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Origin, Subprotocol

from broker.errors import TooFast, Unavailable
from broker.messages import SUBPROTOCOL
from gateway.accounts import AgentLogin, LivePersonApp
from gateway.proofs.liveperson import LivePersonLogin
from gateway.proofs.login_flows import FROM_ONE, state_of
from gateway.proofs.tokens import Audience
from gateway.settings import Settings
from tests.gateway.conftest import ENGAGEMENT, World
from tests.gateway.login_server import CLIENT, CLIENT_SECRET, LoginServer, login_server


@pytest.fixture
async def sentinel() -> AsyncIterator[LoginServer]:
    async with login_server() as server:
        yield server


@pytest.fixture
async def world(settings: Settings, sentinel: LoginServer, tmp_path: Path) -> AsyncIterator[World]:
    secret = tmp_path / "liveperson"
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o600)
    account = replace(
        settings.accounts["acc"],
        agent_login=AgentLogin.LIVEPERSON,
        supervisors=("99",),
        liveperson=LivePersonApp(CLIENT, secret, sentinel=sentinel.origin),
    )
    world = World(replace(settings, accounts={**settings.accounts, "acc": account}))
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


class Login:
    """An agent's frame that waits, and a browser's page."""

    def __init__(self, world: World, frame: ClientConnection, code: dict[str, Any]) -> None:
        self.world = world
        self.frame = frame
        self.code: str = code["code"]
        (self.flow,) = parse_qs(urlsplit(code["url"]).query)["flow"]

    async def page(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.world.origin, trust_env=False)

    async def proceed(self, page: httpx.AsyncClient) -> str:
        """Press *Continue*; returns LivePerson's answer's address."""
        body = {"flow": self.flow}
        there = (await page.post("/v1/login/continue", json=body)).raise_for_status().json()["url"]
        return (await page.get(there)).headers["location"]

    async def log_in(self) -> str:
        """Go through it all; returns what the page shows at the end."""
        async with await self.page() as page:
            answer = await page.get(await self.proceed(page))
        return answer.headers["location"]

    async def told(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.frame.recv())
        return message


async def begin(world: World, account_id: str = "acc", origin: str | None = None) -> Login:
    frame = await websockets.connect(
        f"ws://127.0.0.1:{world.port}/v1/login?account_id={account_id}",
        origin=Origin(origin or world.origin),
        subprotocols=[Subprotocol(SUBPROTOCOL)],
    )
    message = json.loads(await frame.recv())
    if message["type"] == "login.refused":
        await frame.wait_closed()
        raise AssertionError(message["code"], frame.close_code)
    return Login(world, frame, message)


async def test_an_agent_logs_in_and_the_token_names_who_it_is(world: World) -> None:
    login = await begin(world)
    async with await login.page() as page:
        shown = (await page.get("/v1/login/flow", params={"flow": login.flow})).json()
    assert shown == {"account_id": "acc", "code": login.code}
    assert await login.log_in() == "/login#done"
    done = await login.told()
    await login.frame.wait_closed()
    proof = world.tokens.read(done["token"], Audience.AGENT)
    assert (proof.principal.agent_id, proof.principal.name) == ("4711", "Alex Agent")
    widget = await world.widget()
    welcome = await widget.hello(
        token=done["token"],
        surface="agent_frame",
        engagement={**ENGAGEMENT, "agent_id": "somebody else"},
    )
    assert welcome["role"] == "agent"


async def test_a_supervisor_is_named_by_the_account(world: World, sentinel: LoginServer) -> None:
    sentinel.claims["sub"] = "acc.99"
    login = await begin(world)
    assert await login.log_in() == "/login#done"
    proof = world.tokens.read((await login.told())["token"], Audience.AGENT)
    assert (proof.principal.role, proof.principal.agent_id) == ("supervisor", "99")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"iss": "somebody"}, "/login#refused"),
        ({"aud": "app-2"}, "/login#refused"),
        ({"aud": None}, "/login#refused"),
        ({"exp": 1_000_000_000}, "/login#refused"),
        ({"exp": None}, "/login#refused"),
        ({"exp": "soon"}, "/login#refused"),
        ({"sub": None}, "/login#refused"),
        ({"sub": ["4711"]}, "/login#refused"),
        ({"sub": 4711}, "/login#done"),
        ({"aud": ["other", CLIENT]}, "/login#done"),
    ],
)
async def test_what_liveperson_says_is_checked(
    world: World, sentinel: LoginServer, changes: dict[str, Any], shown: str
) -> None:
    sentinel.token = sentinel.id_token(**changes)
    login = await begin(world)
    assert await login.log_in() == shown
    if shown.endswith("done"):
        assert "token" in await login.told()


@pytest.mark.parametrize(("status", "shown"), [(400, "refused"), (302, "refused"), (500, "away")])
async def test_liveperson_that_refuses_or_is_away_is_told_apart(
    world: World, sentinel: LoginServer, status: int, shown: str
) -> None:
    sentinel.status = status
    assert await (await begin(world)).log_in() == f"/login#{shown}"


async def test_a_no_token_at_all_is_refused(world: World, sentinel: LoginServer) -> None:
    sentinel.token = "not a token"
    assert await (await begin(world)).log_in() == "/login#refused"


async def test_another_claim_may_name_the_agent(
    world: World, sentinel: LoginServer, settings: Settings
) -> None:
    account = world.settings.accounts["acc"]
    assert account.liveperson is not None
    app = replace(account.liveperson, agent_id_claim="lp_agent")
    other = World(replace(settings, accounts={"acc": replace(account, liveperson=app)}))
    await other.start()
    try:
        sentinel.claims = {"sub": "not this", "lp_agent": "815"}
        login = await begin(other)
        assert await login.log_in() == "/login#done"
        proof = other.tokens.read((await login.told())["token"], Audience.AGENT)
        assert proof.principal.agent_id == "815"
    finally:
        await other.stop()


async def test_a_browser_that_was_not_shown_the_code_logs_nobody_in(
    world: World, sentinel: LoginServer
) -> None:
    """An attacker's frame waits; the victim's browser is sent straight to LivePerson."""
    attacker = await begin(world)
    async with await attacker.page() as page:
        answer = await attacker.proceed(page)
    async with await attacker.page() as victim:
        assert (await victim.get(answer)).headers["location"] == "/login#refused"
    own = await begin(world)
    async with await own.page() as victim:
        await own.proceed(victim)
        # Its own login is under way, so there is a cookie: of another login.
        assert (await victim.get(answer)).headers["location"] == "/login#refused"
    assert sentinel.exchanged == []


async def test_one_address_has_liveperson_asked_only_so_often(
    world: World, sentinel: LoginServer
) -> None:
    """It holds back our application as a whole: with it every agent of the account."""
    limits = replace(world.settings.limits, requests_per_minute=0.001, request_burst=3)
    strict = World(replace(world.settings, limits=limits))
    await strict.start()
    try:
        login = await begin(strict)
        async with await login.page() as page:
            await login.proceed(page)
            shown = []
            for _ in range(4):
                answer = await page.get(
                    "/login/callback",
                    params={"state": state_of(login.flow), "code": "made up"},
                    headers={"Cookie": f"switchboard_login={login.flow}"},
                )
                shown.append(answer.headers["location"])
            further = await page.post("/v1/login/continue", json={"flow": login.flow})
    finally:
        await strict.stop()
    assert shown == ["/login#refused", "/login#refused", "/login#away", "/login#away"]
    assert len(sentinel.exchanged) == 2
    assert (further.status_code, further.json()["code"]) == (429, "rate_limited")


@pytest.mark.parametrize(
    "named", ["evil.example#.liveperson.net", "evil.example?.liveperson.net", "a\\.liveperson.net"]
)
async def test_the_secret_goes_to_no_host_but_liveperson(
    world: World, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    account = world.settings.accounts["acc"]
    assert account.liveperson is not None
    found = replace(account, liveperson=replace(account.liveperson, sentinel=None))
    login = LivePersonLogin("https://video.example.com/login/callback", lambda: 0.0)

    async def said(method: str, url: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        return {"baseURI": named}

    monkeypatch.setattr(login, "_ask", said)
    with pytest.raises(Unavailable):
        await login.authorize_url(found, "state")
    named = "va.sentinel.liveperson.net"
    url = await login.authorize_url(found, "state")
    assert url.startswith("https://va.sentinel.liveperson.net/sentinel/api/account/acc/")
    await login.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ({"Origin": "https://evil.example", "Content-Type": "application/json"}, 403),
        ({"Origin": "null", "Content-Type": "application/json"}, 403),
        ({"Content-Type": "text/plain"}, 400),
    ],
)
async def test_a_page_elsewhere_gives_no_browser_the_cookie(
    world: World, head: dict[str, str], status: int
) -> None:
    """A form of type text/plain can say what looks like JSON, and its answer may set cookies."""
    login = await begin(world)
    async with await login.page() as page:
        body = json.dumps({"flow": login.flow}).encode()
        answer = await page.post("/v1/login/continue", content=body, headers=head)
        assert (answer.status_code, dict(page.cookies)) == (status, {})


async def test_a_code_works_once(world: World) -> None:
    login = await begin(world)
    async with await login.page() as page:
        answer = await login.proceed(page)
        (cookie,) = page.cookies.values()
        assert (await page.get(answer)).headers["location"] == "/login#done"
        assert not page.cookies
        again = await page.get(answer, headers={"Cookie": f"switchboard_login={login.flow}"})
    assert cookie.strip('"') == login.flow
    assert again.headers["location"] == "/login#refused"


async def test_the_page_may_be_at_another_gateway_than_the_frame(
    world: World, settings: Settings
) -> None:
    login = await begin(world)
    elsewhere = World(replace(settings, accounts=world.settings.accounts))
    await elsewhere.start()
    try:
        flow = elsewhere.room.logins.open(login.flow)
        elsewhere.ledger.others = {}
        handed: list[Any] = []
        notify = world.ledger.notify
        elsewhere.ledger.notify = lambda method, body: handed.append((method, body))  # type: ignore[method-assign]
        await elsewhere.room.logins.hand(flow, "the token")
        ((method, body),) = handed
        assert "the token" not in str(body)
        notify(method, body)
        assert (await login.told())["token"] == "the token"
    finally:
        await elsewhere.stop()


@pytest.mark.parametrize(
    ("account_id", "origin", "refusal"),
    [
        ("none", None, ("unknown_account", 4404)),
        ("other", None, ("not_permitted", 4403)),
        ("acc", "https://evil.example", ("origin_refused", 4403)),
    ],
)
async def test_who_may_not_log_in_here_is_told_why(
    world: World, account_id: str, origin: str | None, refusal: tuple[str, int]
) -> None:
    with pytest.raises(AssertionError) as told:
        await begin(world, account_id, origin)
    assert told.value.args == refusal


async def test_a_login_that_is_not_under_way_is_unknown(world: World) -> None:
    async with world.http() as client:
        for flow in ("x", "é", "gAAAAAB" + "x" * 90):
            answer = await client.get("/v1/login/flow", params={"flow": flow})
            assert (answer.status_code, answer.json()["code"]) == (404, "unknown_entry")


async def test_one_address_cannot_take_every_place_of_a_login(world: World) -> None:
    for number in range(FROM_ONE):
        world.room.logins.begin("acc", "198.51.100.7")
        assert world.room.logins.waiting == number + 1
    with pytest.raises(TooFast):
        world.room.logins.begin("other", "198.51.100.7")
    flow, _ = world.room.logins.begin("acc", "198.51.100.8")
    world.room.logins.forget(flow)
    assert world.room.logins.waiting == FROM_ONE


async def test_a_frame_that_goes_is_forgotten(world: World) -> None:
    login = await begin(world)
    await login.frame.close()
    again = await begin(world)
    assert await again.log_in() == "/login#done"
    await again.told()
    await again.frame.wait_closed()
    assert not world.room.logins.waiting
