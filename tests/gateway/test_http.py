"""Pages, assets, tokens and records over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.errors import ErrorCode, Unavailable
from broker.messages.cluster.records import SessionRecord
from broker.messages.cluster.sessions import GuestLocated
from broker.messages.cluster.tenure import JournalEntry
from broker.messages.parts import EngagementIds
from broker.words import Mode, Role, SessionPhase
from gateway.accounts import Account
from gateway.app import create_app
from gateway.commands.demo_hosts import create_demo_hosts
from gateway.proofs.tokens import Audience, hash_secret
from gateway.settings import BadSettings, DemoHost, Settings
from gateway.site.assets import Assets
from tests.gateway.conftest import API_KEY, World


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.http() as client:
        yield client


RECORD = SessionRecord(
    session_id="s-1",
    account_id="acc",
    engagement_key="eng-1",
    ids=EngagementIds(account_id="acc", rt_session_id="eng-1"),
    epoch=1,
    phase=SessionPhase.ENDED,
    mode=Mode.VIDEO,
    created_ms=1,
    events=[JournalEntry(seq=1, at_ms=1, type="session.opened", version=1, body={})],
)


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"].endswith(".")
    assert set(body) == {"type", "title", "status", "detail", "code", "retryable"}


@pytest.mark.parametrize(
    ("page", "sdk"), [("agent", True), ("window", True), ("engagement", False)]
)
async def test_a_widget_page_names_its_assets_and_is_fenced(
    client: httpx.AsyncClient, world: World, page: str, sdk: bool
) -> None:
    answer = await client.get(f"/{page}", params={"accountId": "acc"})
    assert answer.status_code == 200
    revision = Assets.read(world.settings.widgets).revision
    assert f"/assets/{revision}/entry/{page}.js" in answer.text
    assert ("https://lpcdn.lpsnmedia.net/" in answer.text) is sdk
    assert "{{" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    # Our launcher frames the engagement page, and no SDK of LivePerson's is there.
    scripts = "'self' https://lpcdn.lpsnmedia.net" if sdk else "'self'"
    assert f"script-src {scripts};" in policy
    assert policy.endswith("frame-ancestors https://desk.example.com")
    assert f"connect-src 'self' ws://127.0.0.1:{world.port};" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "camera=(self)" in answer.headers["permissions-policy"]


async def test_an_agents_page_of_no_workspace_asks_liveperson_for_nothing(
    client: httpx.AsyncClient,
) -> None:
    for session, sdk in (("42", False), ("", True)):
        address = {"accountId": "acc", "rtSessionId": session}
        answer = await client.get("/agent", params=address)
        told = answer.text + str(answer.headers)
        assert ("lpsnmedia" in told) is sdk, session


async def test_a_page_that_does_not_say_its_account_may_be_framed_by_any(
    client: httpx.AsyncClient,
) -> None:
    policy = (await client.get("/agent")).headers["content-security-policy"]
    assert "frame-ancestors https://desk.example.com https://other.example.com" in policy


@pytest.mark.parametrize("query", ["accountId=acc&accountId=other", "accountId=%20acc%20"])
async def test_a_page_is_framed_by_the_hosts_of_the_account_that_its_widget_reads(
    client: httpx.AsyncClient, query: str
) -> None:
    """A browser reads the first of two, and our ids are trimmed."""
    policy = (await client.get(f"/engagement?{query}")).headers["content-security-policy"]
    assert policy.endswith("frame-ancestors https://desk.example.com")


async def test_the_guest_page_is_framed_by_nobody_and_loads_no_sdk(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/join")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    # The code stands in the address: it goes to nobody, whatever the page links to.
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_framing_is_only_reported_until_it_is_configured(settings: Settings) -> None:
    account = replace(settings.accounts["acc"], frame_ancestors=())
    world = World(replace(settings, accounts={"acc": account}))
    await world.start()
    try:
        async with world.http() as client:
            headers = (await client.get("/agent")).headers
        assert "frame-ancestors" not in headers["content-security-policy"]
        assert headers["content-security-policy-report-only"] == "frame-ancestors 'self'"
    finally:
        await world.stop()


async def test_assets_are_kept_for_ever_under_their_revision(
    client: httpx.AsyncClient, world: World
) -> None:
    prefix = Assets.read(world.settings.widgets).prefix
    answer = await client.get(f"{prefix}/entry/agent.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    for path in (
        f"{prefix}/entry/notes.txt",
        f"{prefix}/simulator/agent-sdk.js",
        f"{prefix}/../settings.py",
        "/assets/0000000000000000/entry/agent.js",
    ):
        assert (await client.get(path)).status_code == 404


async def test_assets_are_sent_compressed_to_who_can_unpack_them(
    client: httpx.AsyncClient, world: World
) -> None:
    path = f"{Assets.read(world.settings.widgets).prefix}/catalogues/en.js"
    packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = await client.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2


@pytest.mark.parametrize(
    ("asked", "header", "language"),
    [
        ({}, "he-IL,he;q=0.9,en;q=0.5", "he"),
        ({}, "iw", "he"),
        ({}, "xx, en", "en"),
        ({}, "words", "en"),
        ({"lang": "he"}, "en", "he"),
        ({"lang": '"><script>'}, "he", "en"),
        ({}, "", "en"),
    ],
)
async def test_a_page_brings_the_catalogue_of_its_readers_language_and_no_other(
    client: httpx.AsyncClient, asked: dict[str, str], header: str, language: str
) -> None:
    answer = await client.get("/join", params=asked, headers={"Accept-Language": header})
    assert re.findall(r"catalogues/(\w+)\.js", answer.text) == [language]
    assert answer.headers["vary"] == "Accept-Language"


def test_another_content_is_another_revision(widgets: Path) -> None:
    before = Assets.read(widgets).revision
    assert Assets.read(widgets).revision == before
    widgets.joinpath("entry", "agent.js").write_text("export const changed = 1;\n")
    assert Assets.read(widgets).revision != before


async def test_the_launcher_is_cached_shortly(client: httpx.AsyncClient) -> None:
    answer = await client.get("/launcher.js")
    assert answer.headers["cache-control"] == "public, max-age=60"
    again = await client.get("/launcher.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_waiting_token_says_nothing_about_the_engagement(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.consumer(engagement={"account_id": "acc", "window_session_id": "waited for"})
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    answers = []
    for key in ("unknown", "waited for", "eng-1"):
        engagement = {"account_id": "acc", "window_session_id": key}
        answer = await client.post("/v1/waiting", json={"engagement": engagement})
        answers.append((answer.status_code, sorted(answer.json()), answer.json()["expires_in_s"]))
    assert answers == [(200, ["expires_in_s", "token"], 900)] * 3
    proof = world.tokens.read(answer.json()["token"], Audience.WAITING)
    assert (proof.principal.role, proof.keys) == (Role.CONSUMER, ("eng-1",))
    assert not proof.principal.verified


async def test_a_guest_code_becomes_a_token_of_its_session(
    client: httpx.AsyncClient, world: World
) -> None:
    session = await world.session()
    world.ledger.places["s-1"] = session.location
    world.ledger.guests[hash_secret("a-good-code")] = GuestLocated(
        location=session.location, guest_invitation_id="gi-1"
    )
    answer = await client.post("/v1/guest", json={"code": "a-good-code", "name": " Kim "})
    body = answer.json()
    assert body["session_expires_in_s"] > body["expires_in_s"] > 0
    widget = await world.widget()
    welcome = await widget.hello(token=body["token"], surface="guest_page")
    assert (welcome["role"], welcome["in_session"]) == ("guest", True)
    principal = session.seen[0].principal
    assert (principal.guest_invitation_id, principal.name) == ("gi-1", "Kim")
    await widget.until("session.snapshot")


async def test_guessing_guest_codes_is_held_back(client: httpx.AsyncClient) -> None:
    answers = [
        await client.post("/v1/guest", json={"code": f"guess-{n:04}", "name": "x"})
        for n in range(12)
    ]
    assert_problem(answers[0], 404, "unknown_invitation")
    assert_problem(answers[-1], 429, "rate_limited")
    assert [answer.status_code for answer in answers].count(404) == 10


async def test_guessing_who_may_rate_is_held_back(client: httpx.AsyncClient) -> None:
    guesses = [{"resume": f"guess {number}", "stars": 1} for number in range(14)]
    statuses = [(await client.post("/v1/ratings", json=body)).status_code for body in guesses]
    assert (statuses[:10], 429 in statuses[10:]) == ([401] * 10, True)


async def test_ten_thousand_waiting_look_ups_are_held_back(
    client: httpx.AsyncClient, world: World
) -> None:
    engagement = {"account_id": "acc", "window_session_id": "eng-1"}
    statuses = [
        (await client.post("/v1/waiting", json={"engagement": engagement})).status_code
        for _ in range(100)
    ]
    assert statuses.count(200) <= world.settings.limits.request_burst + 5
    assert statuses[-1] == 429


async def test_an_unknown_account_is_not_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/widget-config", params={"account_id": "nobody"})
    assert_problem(answer, 404, "unknown_account")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "body.engagement"),
        ({"engagement": {"account_id": "acc", "spectating": "?"}}, "body.engagement.spectating"),
        ({"engagement": {"account_id": "x" * 200}}, "body.engagement.account_id"),
    ],
)
async def test_a_bad_body_is_a_problem_that_names_the_place(
    client: httpx.AsyncClient, body: dict[str, object], place: str
) -> None:
    answer = await client.post("/v1/waiting", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert answer.json()["detail"].startswith(place)


async def test_ids_that_a_page_of_the_next_release_adds_are_left_out(
    client: httpx.AsyncClient,
) -> None:
    ids = {"account_id": "acc", "window_session_id": "eng-1"}
    for more in ({}, {"mood_id": "calm"}, {"mood_id": {"of": ["a later release"]}}):
        answer = await client.post("/v1/waiting", json={"engagement": {**ids, **more}})
        assert answer.status_code == 200, answer.text
    answer = await client.post("/v1/waiting", json={"engagement": ["acc"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_demo_tokens_exist_in_demo_mode_only(client: httpx.AsyncClient) -> None:
    body = {"account_id": "acc", "agent_id": "7", "name": "Alex"}
    assert_problem(await client.post("/demo/agent-token", json=body), 404, "malformed")


async def test_records_need_an_api_key_and_are_the_accounts_own(
    client: httpx.AsyncClient, world: World
) -> None:
    world.ledger.records["s-1"] = RECORD
    world.ledger.records["s-2"] = RECORD.model_copy(
        update={"session_id": "s-2", "account_id": "other"}
    )
    assert_problem(await client.get("/v1/sessions"), 401, "token_missing")
    for wrong in ("swk_k1_" + "x" * 40, "swk_zz_" + "s" * 40, "nonsense"):
        headers = {"Authorization": f"Bearer {wrong}"}
        assert_problem(await client.get("/v1/sessions", headers=headers), 401, "token_invalid")
    headers = {"Authorization": f"Bearer {API_KEY}"}
    page = (await client.get("/v1/sessions", headers=headers)).json()
    assert [record["session_id"] for record in page["sessions"]] == ["s-1"]
    record = (await client.get("/v1/sessions/s-1", headers=headers)).json()
    assert record["events"][0]["type"] == "session.opened"
    assert_problem(await client.get("/v1/sessions/s-2", headers=headers), 404, "unknown_session")


async def test_metrics_count_connections_and_refusals(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.consumer()
    await client.get("/v1/sessions")
    text = (await client.get("/metrics")).text
    assert "switchboard_gateway_connections 1.0" in text
    assert 'switchboard_gateway_refusals_total{code="token_missing"} 1.0' in text


async def test_metrics_are_shown_to_private_addresses_and_named_networks(
    settings: Settings,
) -> None:
    """Addresses that a carrier shares among its customers are nobody's own (RFC 6598)."""
    world = World(replace(settings, metrics_networks=("8.8.4.0/24", "100.64.8.0/24")))
    await world.start()
    found = {}
    for address in (
        *("127.0.0.1", "10.0.3.9", "172.31.0.1", "fd00::9", "::ffff:10.0.3.9", "fe80::1"),
        *("8.8.4.4", "100.64.8.1"),
        *("8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111", "somebody"),
        *("100.64.0.1", "100.127.255.255", "172.32.0.1", "0.0.0.1", "203.0.113.1", "2001:db8::1"),
    ):
        transport = httpx.ASGITransport(world.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as asking:
            found[address] = (await asking.get("/metrics")).status_code
            assert (await asking.get("/healthz")).status_code == 200
    await world.stop()
    assert list(found.values()) == [200] * 8 + [404] * 10


async def test_metrics_are_shown_to_the_machine_itself_at_its_public_address(world: World) -> None:
    """So `switchboard down` and `top` see a gateway that is bound there."""
    for here in ("203.0.113.20", "[2606:4700::20]"):
        statuses = []
        for address in (here.strip("[]"), "203.0.113.21", "2606:4700::21"):
            transport = httpx.ASGITransport(world.app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{here}") as asking:
                statuses.append((await asking.get("/metrics")).status_code)
        assert statuses == [200, 404, 404]


def demo_settings(settings: Settings) -> Settings:
    return replace(
        settings,
        origin="http://127.0.0.1:8787",
        allowed_hosts=("127.0.0.1:8787",),
        demo=DemoHost(origin="http://127.0.0.1:8788", account_id="acc"),
    )


async def test_the_demo_mints_agent_tokens_for_its_host_only(world: World) -> None:
    app = create_app(demo_settings(world.settings), world.directory)
    body = {"account_id": "acc", "agent_id": "demo.7", "name": "Alex"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8787") as client:
        answer = await client.post("/demo/agent-token", json=body)
        proof = world.tokens.read(answer.json()["token"], Audience.AGENT)
        assert proof.principal.agent_id == "demo.7"
    async with httpx.AsyncClient(transport=transport, base_url="http://rebound.example") as client:
        assert_problem(await client.post("/demo/agent-token", json=body), 403, "origin_refused")


async def test_the_demo_hosts_serve_the_simulator(settings: Settings) -> None:
    app = create_demo_hosts(demo_settings(settings))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8788") as client:
        assert (await client.get("/")).text == "<!doctype html>demo"
        assert (await client.get("/simulator/agent-sdk.js")).text == "sdk();\n"
        config = (await client.get("/demo-config.json")).json()
        assert_problem(await client.get("/none.html"), 404, "malformed")
    assert config["gateway"] == "http://127.0.0.1:8787"
    assert "Firefox" in config["note"]


def test_hosts_are_the_demos_only(settings: Settings) -> None:
    with pytest.raises(BadSettings):
        create_demo_hosts(settings)


async def test_the_agents_page_may_ask_the_brand_for_a_token_and_no_other_page(
    settings: Settings,
) -> None:
    brand = Account("brand", token_url="https://crm.example.com/switchboard-token")
    world = World(replace(settings, accounts={**settings.accounts, "brand": brand}))
    await world.start()
    try:
        async with world.http() as client:
            policies = {
                name: (await client.get(f"/{name}?accountId={account}")).headers[
                    "content-security-policy"
                ]
                for name, account in (("agent", "brand"), ("window", "brand"))
            }
            other = (await client.get("/agent?accountId=acc")).headers["content-security-policy"]
    finally:
        await world.stop()
    assert "https://crm.example.com" in policies["agent"]
    assert "/switchboard-token" not in policies["agent"]
    assert "https://crm.example.com" not in policies["window"] + other


UNSTORABLE: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/v1/sessions/%00", None),
    ("GET", "/v1/sessions/a%00b/events", None),
    ("GET", "/v1/sessions?reference=%00", None),
    ("GET", "/v1/sessions?engagement_key=a%00b", None),
    ("GET", "/v1/webhooks/dead-letters?endpoint_id=%00", None),
    ("PUT", "/v1/sessions/s-1/annotation", {"reference": "a\0b"}),
    ("PUT", "/v1/sessions/s-1/annotation", {"metadata": {"case": "a\0b"}}),
    ("POST", "/v1/erasures", {"visitor_id": "a\0b"}),
    ("POST", "/v1/sessions/s-1/guests", {"name": "Eve\0"}),
    ("POST", "/v1/ratings", {"resume": "x", "stars": 5, "comment": "a\0b"}),
]


async def test_what_no_database_keeps_as_text_is_refused_at_the_edge(
    world: World, api: httpx.AsyncClient
) -> None:
    """PostgreSQL takes no NUL: the ledger would say that it is away, and alert its operator."""
    world.ledger.faults |= dict.fromkeys(
        ("record.get", "record.list", "session.locate", "session.annotate", "person.erase"),
        Unavailable(ErrorCode.LEDGER_AWAY, "The database is away."),
    )
    for method, path, body in UNSTORABLE:
        answer = await api.request(method, path, json=body)
        refusal = (answer.status_code, answer.json()["code"])
        assert refusal == (400, "malformed"), f"{method} {path} {body}"
