"""The operations console: what the operators' API offers, by its token, and nothing more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.accessibility import prepare, violations
from tests.browser.demo import shoot

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
        self.posts: list[tuple[str, Any]] = []
        self.refuse: dict[str, int] = {}

    async def answer(self, route: Route) -> None:
        path = route.request.url.partition("/v1/operator/")[2].partition("?")[0]
        if route.request.headers.get("authorization") != "Bearer good":
            detail = "The token has expired."
            await route.fulfill(status=401, json={"code": "token_expired", "detail": detail})
        elif path in self.refuse:
            await route.fulfill(status=self.refuse[path], json={"detail": "The ledger is away."})
        elif route.request.method == "POST":
            self.posts.append((path, route.request.post_data_json))
            await route.fulfill(json={})
        else:
            await route.fulfill(json=ANSWERS[path])


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
