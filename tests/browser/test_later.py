"""What comes later may not come: the page says so once, and gets it when it can."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, expect

from broker.words import Role
from tests.browser.broker_double import BrokerDouble, person, snapshot
from tests.browser.gallery import AGENT, CONFLICT, PAIR

SENTENCE = "That did not work. Please try again."
REST = """
const { setTimeout: real } = window;
window.rests = 0;
window.setTimeout = (call, ms, ...more) => {
  if (ms !== 3_000) return real(call, ms, ...more);
  window.rests += 1;
  return REST_MS ? real(call, REST_MS) : 0;
};
"""
"""Stands in for the timer by which what comes later comes unasked, and counts how often."""
SHORT_REST = REST.replace("REST_MS", "300")
NO_REST = REST.replace("REST_MS", "0")
"""Nothing comes by itself any more, only what was asked for."""


async def test_a_part_that_cannot_be_had_is_excused_and_tried_again(
    browser: Browser, pages: str
) -> None:
    page = await browser.new_page()
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    for missing in ("**/styles/later.css", "**/views/people.js"):
        await page.route(missing, lambda route: route.abort())
    await page.goto(f"{pages}{AGENT}&lang=en")
    await double.tell(PAIR)
    button = page.get_by_role("button", name="People")
    await button.click()
    await expect(page.get_by_text(SENTENCE)).to_be_visible()
    await expect(page.get_by_role("dialog")).to_have_count(0)

    await page.unroute("**/styles/later.css")
    await page.unroute("**/views/people.js")
    await button.click()
    panel = page.get_by_role("dialog", name="People")
    await expect(panel).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(button).to_be_focused()
    await page.close()


async def test_what_asks_for_a_decision_comes_by_itself_once_it_can(
    browser: Browser, pages: str
) -> None:
    page = await browser.new_page()
    await page.add_init_script(SHORT_REST)
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    await page.route("**/views/notices.js", lambda route: route.abort())
    await page.goto(f"{pages}{AGENT}&lang=en")
    await double.tell(PAIR, CONFLICT)
    await expect(page.get_by_text(SENTENCE)).to_be_visible()
    await page.unroute("**/views/notices.js")
    asked = page.get_by_text("Somebody else says they are Maya Cohen")
    await expect(asked).to_be_visible()
    assert await page.evaluate("rests") > 0
    await page.close()


async def test_a_line_that_goes_in_the_first_moments_is_told_of(
    browser: Browser, pages: str
) -> None:
    page = await browser.new_page()
    await page.add_init_script(NO_REST)
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    await page.goto(f"{pages}{AGENT}&lang=en")
    await double.tell(PAIR)
    strips = page.locator(".session > [role=status] > .later")
    await expect(strips.locator("> *")).to_have_count(1)
    await page.route("**/*", lambda route: route.abort())
    double.deaf = True
    await double.drop(1012)
    await expect(strips).to_have_text("Connection lost. Reconnecting…Dismiss")
    await page.close()


@pytest.mark.parametrize(
    ("chatting", "owner", "said"),
    [
        (8, True, "You are in charge of the session until they take over."),
        (7, False, "The conversation is yours, and nobody is in charge of the session."),
    ],
)
async def test_a_transfer_is_said_at_once(
    browser: Browser, pages: str, chatting: int, owner: bool, said: str
) -> None:
    page = await browser.new_page()
    await page.add_init_script(NO_REST)
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    await page.goto(f"{pages}{AGENT}&lang=en&chattingAgentId={chatting}")
    await double.tell(snapshot(0, [person(0, owner=owner), person(1)]))
    await expect(page.get_by_text(said)).to_be_visible()
    assert await page.evaluate("rests") > 0
    await page.close()
