"""The operations console: what the operators' API offers, by its token, and nothing more."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Route, expect

from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.messages.cluster.deeds import SessionCommandDone
from broker.messages.cluster.nodes import NodeList, NodeState
from broker.words import Role, SessionPhase
from gateway.accounts import Account, AgentLogin
from gateway.proofs.operators import operator_token
from gateway.settings import Settings
from tests.browser.accessibility import prepare, violations
from tests.browser.demo import shoot
from tests.gateway.conftest import KEY, SECRET, World
from tests.gateway.fake_session import BackendSession
from tests.gateway.records import LETTER, RECORD
from tests.gateway.test_operator_sessions import MEDIA, present

NODE = {"label": "eu-1", "deadline_ms": None, "standbys": 2, "live": 3, "members": 6, "moved": 0}
LINE = {
    "connections": 1,
    "bitrate_in": 812_400,
    "bitrate_out": 640_000,
    "loss_in": 0.0,
    "loss_out": 0.004,
    "round_trip_ms": 38.4,
}
PARTICIPANT = {
    "attendance": "present",
    "mode": "video",
    "owner": False,
    "way": None,
    "microphone": True,
    "camera": True,
    "screen": False,
    "quality": "good",
    "reason": None,
    "line": LINE,
}
ANSWERS: dict[str, dict[str, Any]] = {
    "nodes": {"nodes": [{**NODE, "node": "n1", "drain": "no"}], "standbys": 2, "live": 3},
    "sessions": {
        "sessions": [
            {
                "session_id": "s-7",
                "account_id": "acme",
                "mode": "video",
                "created_ms": 1_750_000_000_000,
                "epoch": 1,
            }
        ],
        "cursor": None,
    },
    "sessions/s-7": {
        "session_id": "s-7",
        "participants": [
            {**PARTICIPANT, "participant_id": "p-1", "role": "agent", "owner": True},
            {
                **PARTICIPANT,
                "participant_id": "p-2",
                "role": "consumer",
                "camera": False,
                "quality": "poor",
                "reason": "loss_down",
                "line": {**LINE, "loss_out": 0.125},
            },
        ],
        "drops": {"kernel": 0, "sends_blocked": 0, "strangers": 4},
    },
    "ends": {
        "ends": [
            {
                "session_id": "s-1",
                "account_id": "acme",
                "created_ms": 1_750_000_000_000,
                "ended_ms": 1_750_000_095_000,
                "end_reason": "ended_by_agent",
                "epoch": 2,
            }
        ],
        "cursor": None,
    },
    "dead-letters": {
        "dead_letters": [
            {
                "account_id": "acme",
                "endpoint_id": "crm",
                "session_id": "s-1",
                "seq": 4,
                "type": "session.ended",
                "dead_ms": 1_750_000_099_000,
                "why": "410",
                "again": False,
            }
        ]
    },
    "accounts": {"accounts": []},
}


class Operators:
    """The API's half: answers, and what was asked of it."""

    def __init__(self) -> None:
        self.answers = dict(ANSWERS)
        self.posts: list[tuple[str, Any]] = []
        self.refuse: dict[str, int] = {}
        self.hang: set[str] = set()

    async def answer(self, route: Route) -> None:
        path = route.request.url.partition("/v1/operator/")[2].partition("?")[0]
        if route.request.headers.get("authorization") != "Bearer good":
            detail = "The token has expired."
            await route.fulfill(status=401, json={"code": "token_expired", "detail": detail})
        elif path in self.hang:
            return
        elif path in self.refuse:
            await route.fulfill(status=self.refuse[path], json={"detail": "The ledger is away."})
        elif route.request.method == "POST":
            self.posts.append((path, route.request.post_data_json))
            await route.fulfill(json={})
        else:
            await route.fulfill(json=self.answers[path])


@pytest.fixture
def operators() -> Operators:
    return Operators()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, pages: str, operators: Operators) -> AsyncIterator[Page]:
    context = await browser.new_context(
        viewport={"width": 1200, "height": 900}, reduced_motion="reduce"
    )
    page = await context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.route("**/v1/operator/**", operators.answer)
    await page.goto(f"{pages}/console")
    yield page
    await context.close()
    assert problems == []


async def log_in(page: Page, token: str = "good") -> None:
    await page.get_by_label("Operator's token").fill(token)
    await page.keyboard.press("Enter")


async def test_it_shows_what_the_api_offers(page: Page) -> None:
    await log_in(page)
    nodes = page.get_by_role("region", name="Nodes")
    await expect(nodes.get_by_role("row").nth(1)).to_contain_text("n1 (eu-1)in use326")
    await expect(page.get_by_text("3 live sessions, 2 standbys")).to_be_visible()
    ends = page.get_by_role("region", name="Recent ends")
    await expect(ends.get_by_role("row").nth(1)).to_contain_text("1 min 35 sended by agent1")
    await expect(page.get_by_text("This gateway serves no account.")).to_be_visible()
    await shoot(page, "console")
    await prepare(page)
    assert await violations(page) == []
    await page.emulate_media(color_scheme="dark")
    assert await violations(page) == []
    await shoot(page, "console-dark")


async def test_a_live_session_is_looked_at_and_ended(page: Page, operators: Operators) -> None:
    await log_in(page)
    await page.get_by_role("button", name="Look").click()
    closer = page.get_by_role("region", name="Session s-7")
    rows = closer.get_by_role("row")
    await expect(rows.nth(1)).to_contain_text(
        "agent, in chargepresentvoice, cameragood812 kbit/s640 kbit/s0 %, 0.4 %38 ms"
    )
    await expect(rows.nth(2)).to_contain_text("voicepoor: loss down")
    await expect(rows.nth(2)).to_contain_text("0 %, 13 %")
    await expect(page.get_by_text("2 people, nothing lost in the relay")).to_be_visible()
    await prepare(page)
    assert await violations(page) == []
    await page.set_viewport_size({"width": 360, "height": 740})
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(wide) == 0
    await shoot(page, "console-session")
    await page.get_by_role("button", name="End", exact=True).click()
    async with page.expect_response("**/sessions/s-7/end"):
        await page.get_by_role("button", name="End it for everybody?").click()
    assert operators.posts == [("sessions/s-7/end", {})]
    await page.get_by_role("button", name="Close").click()
    await expect(closer).to_have_count(0)


async def test_below_a_long_list_what_is_looked_at_comes_into_sight(
    page: Page, operators: Operators
) -> None:
    [session] = ANSWERS["sessions"]["sessions"]
    others = [{**session, "session_id": f"s-{number}"} for number in range(100, 139)]
    operators.answers["sessions"] = {"sessions": [session, *others], "cursor": None}
    await page.clock.install()
    await log_in(page)
    look = page.get_by_role("region", name="Live sessions").get_by_role("button", name="Look")
    await look.first.click()
    heading = page.get_by_role("heading", name="Session s-7")
    await expect(heading).to_be_in_viewport()
    await expect(heading).to_be_focused()
    await page.get_by_role("button", name="Close").click()
    await expect(look.first).to_be_focused()
    await look.first.click()
    await expect(page.get_by_text("2 people, nothing lost in the relay")).to_be_visible()
    operators.answers["sessions"] = {"sessions": others, "cursor": None}
    await page.clock.fast_forward(5_000)
    await expect(look).to_have_count(39)
    await page.get_by_role("button", name="Close").click()
    await expect(page.get_by_role("heading", name=re.compile("^Live"))).to_be_focused()


async def test_what_is_asked_is_seen_whole_beside_whom_it_is_about(
    page: Page, operators: Operators
) -> None:
    [session] = ANSWERS["sessions"]["sessions"]
    named = {**session, "session_id": "6J0IPTk19Gv995Obd0yy2w"}
    operators.answers["sessions"] = {"sessions": [named], "cursor": None}
    await page.set_viewport_size({"width": 320, "height": 640})
    await log_in(page)
    table = page.get_by_role("region", name="Live sessions")
    await table.get_by_role("button", name="End", exact=True).click()
    await shoot(page, "console-question")
    around = await table.bounding_box()
    whom = await table.get_by_role("rowheader").bounding_box()
    asked = await table.get_by_role("button", name="End it for everybody?").bounding_box()
    assert around is not None
    assert whom is not None
    assert asked is not None
    assert around["x"] <= whom["x"]
    assert whom["x"] + whom["width"] <= asked["x"]
    assert asked["x"] + asked["width"] <= around["x"] + around["width"]
    words = await table.get_by_role("rowheader").evaluate(
        "node => [node.scrollWidth, node.clientWidth]"
    )
    assert words[0] <= words[1]


async def test_another_button_does_not_move_when_a_question_is_taken_back(page: Page) -> None:
    await log_in(page)
    await page.get_by_role("button", name="End", exact=True).click()
    await expect(page.get_by_role("button", name="End it for everybody?")).to_be_visible()
    await page.get_by_role("button", name="Look").click()
    await expect(page.get_by_role("heading", name="Session s-7")).to_be_visible()


async def test_a_node_is_drained_after_a_second_click_only(
    page: Page, operators: Operators
) -> None:
    await log_in(page)
    await page.get_by_role("button", name="Drain").click()
    assert operators.posts == []
    async with page.expect_response("**/nodes/n1/drain"):
        await page.get_by_role("button", name="Drain within 5 minutes?").click()
    await expect(page.get_by_role("button", name="Drain", exact=True)).to_be_visible()
    assert operators.posts == [("nodes/n1/drain", {"deadline_s": 300})]


async def test_a_dead_letter_is_sent_again(page: Page, operators: Operators) -> None:
    await log_in(page)
    await page.get_by_role("button", name="Send again").click()
    async with page.expect_response("**/redeliveries"):
        await page.get_by_role("button", name="Send it once more?").click()
    await expect(page.get_by_role("button", name="Send again")).to_be_visible()
    body = {"endpoint_id": "crm", "session_id": "s-1", "seq": 4}
    assert operators.posts == [("redeliveries", body)]


async def test_a_refused_token_asks_for_another(page: Page) -> None:
    await log_in(page, "old")
    await expect(page.get_by_role("alert")).to_have_text("The token has expired.")
    await expect(page.get_by_label("Operator's token")).to_be_focused()


async def test_one_list_that_fails_leaves_the_others(page: Page, operators: Operators) -> None:
    operators.refuse["ends"] = 503
    await log_in(page)
    await expect(page.get_by_text("The ledger is away.")).to_be_visible()
    await expect(page.get_by_role("region", name="Nodes")).to_be_visible()


async def test_a_gateway_that_hangs_is_told_and_asked_again(
    page: Page, operators: Operators
) -> None:
    await page.evaluate(
        """() => {
          const timeout = AbortSignal.timeout.bind(AbortSignal);
          AbortSignal.timeout = (ms) => timeout(ms / 20);
        }"""
    )
    operators.hang.add("ends")
    await log_in(page)
    # Others may be late as well, where half a second is soon over, and are asked again.
    ends = page.locator("[data-section=ends]")
    await expect(ends.get_by_text("The service cannot be reached.")).to_be_visible()
    await expect(page.get_by_role("region", name="Nodes")).to_contain_text("n1")


async def test_what_is_old_says_since_when_and_nothing_is_read_out_at_each_look(
    page: Page, operators: Operators
) -> None:
    await page.clock.install(time=datetime(2026, 11, 28, 9, 0))
    everything = dict.fromkeys(("nodes", "sessions", "ends", "dead-letters", "accounts"), 503)
    operators.refuse |= everything
    await log_in(page)
    await expect(page.get_by_text("Nothing was answered yet; asked again")).to_be_visible()
    operators.refuse.clear()
    await page.clock.set_fixed_time(datetime(2026, 11, 28, 9, 5))
    await page.clock.fast_forward(5_000)
    said = page.get_by_text(re.compile(r"^As of 9:05:00.AM; asked again every 5 seconds\.$"))
    await expect(said).to_be_visible()
    assert await said.evaluate("node => node.closest('[role], [aria-live]')") is None
    operators.refuse |= everything
    await page.clock.set_fixed_time(datetime(2026, 11, 28, 9, 10))
    await page.clock.fast_forward(5_000)
    await expect(page.get_by_text("The ledger is away.")).to_have_count(5)
    await expect(said).to_be_visible()


async def test_what_could_not_be_done_is_said_until_something_is(
    page: Page, operators: Operators
) -> None:
    await page.clock.install()
    await log_in(page)
    operators.refuse["nodes/n1/drain"] = 503
    await page.get_by_role("button", name="Drain").click()
    await page.get_by_role("button", name="Drain within 5 minutes?").click()
    said = page.get_by_role("alert")
    await expect(said).to_have_text("The ledger is away.")
    async with page.expect_response("**/operator/nodes"):
        await page.clock.fast_forward(5_000)
    await expect(said).to_have_text("The ledger is away.")
    await page.get_by_role("button", name="Send again").click()
    async with page.expect_response("**/redeliveries"):
        await page.get_by_role("button", name="Send it once more?").click()
    await expect(said).to_have_text("")


@asynccontextmanager
async def gateway() -> AsyncIterator[World]:
    """A gateway whose ledger has two nodes, one live session, one that ended and a dead letter."""
    account = Account("acc", agent_login=AgentLogin.DEMO)
    world = World(Settings(origin="http://127.0.0.1:1", secret=SECRET, accounts={"acc": account}))
    letter = LETTER.model_copy(update={"session_id": "s-0"})
    nodes = [
        NodeState(node="n-1", label="eu-1", standbys=2, live=1, members=3),
        NodeState(node="n-2", drain="drained", moved=4),
    ]
    world.ledger.records["s-0"] = RECORD.model_copy(update={"session_id": "s-0"})
    world.ledger.records["s-1"] = RECORD.model_copy(
        update={"phase": SessionPhase.OPEN, "ended_ms": None, "end_reason": None}
    )
    world.ledger.others |= {
        "node.list": lambda payload: NodeList(nodes=nodes),
        "node.drain": lambda payload: NodeState(node="n-1", drain="moving"),
        "node.undrain": lambda payload: Done(),
        "outbox.dead": lambda payload: upkeep.DeadLetterPage(letters=[letter]),
    }
    await world.start()
    session = BackendSession(KEY)
    people = [present("p-1", Role.AGENT), present("p-2", Role.CONSUMER)]
    session.done = SessionCommandDone(participants=people, media=MEDIA)
    await session.start()
    world.sessions.append(session)
    world.ledger.attach(session)
    try:
        yield world
    finally:
        await world.stop()


async def test_it_shows_what_a_gateway_answers_and_does_what_one_offers(browser: Browser) -> None:
    async with gateway() as world:
        page = await browser.new_page()
        await page.goto(f"{world.origin}/console")
        await log_in(page, operator_token(world.tokens, "Sam", 600))

        def row(section: str, number: int = 1) -> Locator:
            return page.get_by_role("region", name=section).get_by_role("row").nth(number)

        for section, number, words in (
            ("Nodes", 1, "n-1 (eu-1)in use1230"),
            ("Nodes", 2, "n-2drained0004"),
            ("Live sessions", 1, re.compile(r"^s-1acc\d.*video1")),
            ("Recent ends", 1, re.compile(r"^s-0acc\d.*0 min 8 sended by agent1")),
            ("Dead letters", 1, re.compile(r"^acccrmsession\.endeds-0\d.*status 500")),
            ("Accounts", 1, "accdemo"),
        ):
            await expect(row(section, number)).to_contain_text(words)
        await page.get_by_role("button", name="Look").click()
        await expect(row("Session s-1")).to_contain_text(
            "agent, in chargepresentvoicefair: loss down1600 kbit/s1400 kbit/s1.0 %, 2.0 %40 ms"
        )
        await expect(page.get_by_text("2 people, 2 packets lost in the relay")).to_be_visible()
        for first, certain, place in (
            ("Drain", "Drain within 5 minutes?", "nodes/n-1/drain"),
            ("Use again", "Let sessions come again?", "nodes/n-2/undrain"),
            ("End", "End it for everybody?", "sessions/s-1/end"),
        ):
            await page.get_by_role("button", name=first, exact=True).click()
            async with page.expect_response(f"**/v1/operator/{place}") as answered:
                await page.get_by_role("button", name=certain).click()
            assert (await answered.value).ok, place
        await page.close()
