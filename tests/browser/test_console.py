"""The operations console: what the operators' API offers, by its token, and nothing more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.accessibility import prepare, violations
from tests.browser.demo import shoot
from tests.browser.operators_double import ANSWERS, AWAY, ENDED, EXPIRED, Operators, log_in
from tests.patience import PATIENCE


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
    named = {**session, "session_id": "6J0IPTk19Gv995Obd0yy2w", "account_id": "brand-" * 10}
    operators.answers["sessions"] = {"sessions": [named], "cursor": None}
    await page.set_viewport_size({"width": 320, "height": 640})
    await log_in(page)
    table = page.get_by_role("region", name="Live sessions")
    button = table.get_by_role("button", name="Look")
    place = "node => [node.offsetLeft, node.offsetTop, node.offsetWidth, node.offsetHeight]"
    before = await button.evaluate(place)
    await table.get_by_role("button", name="End", exact=True).click()
    await shoot(page, "console-question")
    around = await table.bounding_box()
    whom = await table.get_by_role("rowheader").bounding_box()
    asked = await table.get_by_role("button", name="End it for everybody?").bounding_box()
    look = await button.bounding_box()
    assert around is not None
    assert whom is not None
    assert asked is not None
    assert look is not None
    assert await button.evaluate(place) == before, "what is asked moves no other"
    assert whom["y"] + whom["height"] <= asked["y"]
    assert around["x"] <= asked["x"]
    assert asked["x"] + asked["width"] <= look["x"]
    assert look["x"] + look["width"] <= around["x"] + around["width"]
    assert abs(asked["y"] - look["y"]) < 1
    cut = (
        "node => [...node.querySelectorAll('*')].filter((one) => one.scrollWidth > one.clientWidth"
    )
    assert await table.evaluate(f"{cut} && getComputedStyle(one).display !== 'inline').length") == 0


async def test_lists_are_told_apart_and_cards_use_their_width(page: Page) -> None:
    await log_in(page)
    ends = page.get_by_role("region", name="Recent ends")
    await expect(ends).to_be_visible()
    heading = page.get_by_role("heading", name=re.compile("^Recent ends"))
    for width in (1280, 861, 860, 320):
        await page.set_viewport_size({"width": width, "height": 800})
        above, below = await heading.bounding_box(), await ends.bounding_box()
        assert above is not None
        assert below is not None
        assert below["y"] - above["y"] - above["height"] >= 8, width
        tall = await page.locator("section button").evaluate_all(
            "all => all.map(({ offsetHeight }) => offsetHeight)"
        )
        assert set(tall) == {36}, "a row is hardly higher than its words"
    await page.set_viewport_size({"width": 860, "height": 800})
    reach = await ends.evaluate(
        """node => Math.max(...[...node.querySelectorAll('td')].map((one) =>
          one.getBoundingClientRect().right)) - node.getBoundingClientRect().right"""
    )
    assert -24 <= reach <= 0, "nothing of the width is left empty"


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
    done = "Node n1: It gets no new session; it is draining until "
    await expect(page.get_by_role("status").filter(has_text=done)).to_be_in_viewport()


async def test_what_has_come_of_an_end_is_said_in_sight_and_what_is_over_is_looked_at_no_more(
    page: Page, operators: Operators
) -> None:
    [session] = ANSWERS["sessions"]["sessions"]
    others = [{**session, "session_id": f"s-{number}"} for number in range(100, 139)]
    operators.answers["sessions"] = {"sessions": [*others, session], "cursor": None}
    await page.clock.install()
    await log_in(page)
    row = page.get_by_role("row").filter(has_text="s-7")
    await row.get_by_role("button", name="Look").click()
    await expect(page.get_by_text("2 people, nothing lost in the relay")).to_be_visible()
    await row.get_by_role("button", name="End").click()
    operators.answers["sessions"] = {"sessions": others, "cursor": None}
    operators.refuse["sessions/s-7"] = ENDED
    await page.keyboard.press("Enter")
    done = page.get_by_text("Session s-7: It has ended for everybody.")
    await expect(done).to_be_in_viewport()
    closer = page.locator("[data-section=sessions-one]")
    await expect(closer.get_by_text("The session has ended.")).to_be_visible()
    await expect(closer.get_by_role("row")).to_have_count(0)
    await expect(page.get_by_role("row").filter(has_text="s-138")).to_be_focused()
    looked: list[str] = []
    page.on("request", lambda request: looked.append(request.url.rpartition("/")[2]))
    async with page.expect_response("**/operator/accounts"):
        await page.clock.fast_forward(15_000)
    await expect(done).to_have_count(0)
    assert "s-7" not in looked


async def test_the_last_one_that_ends_leaves_the_focus_at_its_list(
    page: Page, operators: Operators
) -> None:
    await log_in(page)
    await page.get_by_role("button", name="End", exact=True).click()
    operators.answers["sessions"] = {"sessions": [], "cursor": None}
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Nobody is talking.")).to_be_visible()
    await expect(page.get_by_role("heading", name=re.compile("^Live sessions"))).to_be_focused()


async def test_a_deed_that_comes_too_late_is_named_and_seen_at_once(
    page: Page, operators: Operators
) -> None:
    await page.clock.install()
    await log_in(page)
    await page.get_by_role("button", name="End", exact=True).click()
    operators.answers["sessions"] = {"sessions": [], "cursor": None}
    operators.refuse["sessions/s-7/end"] = ENDED
    await page.get_by_role("button", name="End it for everybody?").click()
    await expect(page.get_by_role("alert")).to_have_text("Session s-7: The session has ended.")
    await expect(page.get_by_text("Nobody is talking.")).to_be_visible()


async def test_a_token_that_expires_at_a_deed_asks_for_another_at_once(
    page: Page, operators: Operators
) -> None:
    await page.clock.install()
    await log_in(page)
    operators.refuse["nodes/n1/drain"] = EXPIRED
    await page.get_by_role("button", name="Drain").click()
    await page.get_by_role("button", name="Drain within 5 minutes?").click()
    await expect(page.get_by_role("alert")).to_have_text("The token has expired. Nothing was done.")
    await expect(page.get_by_label("Operator's token")).to_be_focused()


NOTE_WHAT_ENDS = """() => {
  window.ends = false;
  new MutationObserver(() => {
    const buttons = [...document.querySelectorAll('button')];
    window.ends ||= buttons.some(({ textContent }) => textContent === 'End');
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
"""Notes whether anything can be ended from now on, be it for a moment."""


async def test_what_was_asked_before_a_deed_does_not_show_it_undone(
    page: Page, operators: Operators
) -> None:
    await page.clock.install()
    await log_in(page)
    end = page.get_by_role("button", name="End", exact=True)
    await end.click()
    held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()

    async def hold(route: Route) -> None:
        held.set_result(route)

    await page.route("**/operator/accounts", hold)
    await page.clock.fast_forward(5_000)
    old = await asyncio.wait_for(held, 15 * PATIENCE)
    await page.unroute("**/operator/accounts")
    operators.answers["sessions"] = {"sessions": [], "cursor": None}
    await page.get_by_role("button", name="End it for everybody?").click()
    await expect(page.get_by_text("Nobody is talking.")).to_be_visible()
    await page.evaluate(NOTE_WHAT_ENDS)
    async with page.expect_response("**/operator/accounts"):
        await old.fulfill(json=ANSWERS["accounts"])
    later: list[str] = []
    page.on("request", lambda request: later.append(request.url))
    operators.answers["nodes"] = {"nodes": []}
    async with page.expect_response("**/operator/accounts"):
        await page.clock.run_for(5_000)
    # What was asked last is shown by now, and the old answer would have been before it.
    await expect(page.get_by_text("No node holds")).to_be_visible()
    assert await page.evaluate("window.ends") is False
    await expect(end).to_have_count(0)
    assert len([url for url in later if url.endswith("/accounts")]) == 1


async def test_a_dead_letter_is_sent_again(page: Page, operators: Operators) -> None:
    await log_in(page)
    await page.get_by_role("button", name="Send again").click()
    async with page.expect_response("**/redeliveries"):
        await page.get_by_role("button", name="Send it once more?").click()
    await expect(page.get_by_role("button", name="Send again")).to_be_visible()
    await expect(page.get_by_text("session.ended of s-1: It is sent once more.")).to_be_visible()
    body = {"endpoint_id": "crm", "session_id": "s-1", "seq": 4}
    assert operators.posts == [("redeliveries", body)]


async def test_a_refused_token_asks_for_another(page: Page) -> None:
    await log_in(page, "old")
    await expect(page.get_by_role("alert")).to_have_text("The token has expired.")
    await expect(page.get_by_label("Operator's token")).to_be_focused()


async def test_one_list_that_fails_leaves_the_others(page: Page, operators: Operators) -> None:
    operators.refuse["ends"] = AWAY
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
    everything = dict.fromkeys(("nodes", "sessions", "ends", "dead-letters", "accounts"), AWAY)
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
    await expect(page.get_by_text("The ledger is away.").locator("visible=true")).to_have_count(1)
    await expect(said).to_be_visible()


async def test_what_could_not_be_done_is_said_until_something_is(
    page: Page, operators: Operators
) -> None:
    await page.clock.install()
    await log_in(page)
    operators.refuse["nodes/n1/drain"] = AWAY
    await page.get_by_role("button", name="Drain").click()
    await page.get_by_role("button", name="Drain within 5 minutes?").click()
    said = page.get_by_role("alert")
    await expect(said).to_have_text("Node n1: The ledger is away.")
    async with page.expect_response("**/operator/nodes"):
        await page.clock.fast_forward(5_000)
    await expect(said).to_have_text("Node n1: The ledger is away.")
    await page.get_by_role("button", name="Send again").click()
    async with page.expect_response("**/redeliveries"):
        await page.get_by_role("button", name="Send it once more?").click()
    await expect(said).to_have_text("")
