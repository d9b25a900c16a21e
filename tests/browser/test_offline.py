"""Somebody's line, sound, picture and signalling, goes away without a word, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, Frame, ViewportSize, expect

from tests.browser.demo import (
    SMALL_CAMERA,
    WAIT_MS,
    People,
    recorded,
    session_of,
    until_counts,
    until_silent,
)
from tests.browser.line import Line
from tests.deployment import Deployment

NOTE = """() => {
  const widget = document.querySelector('switchboard-agent, switchboard-engagement');
  const note = (list, now) => now !== list.at(-1) && list.push(now);
  window.noted = { words: [], views: [] };
  const look = () => {
    const words = [...widget.querySelectorAll('.notice-words')].map((one) => one.textContent);
    note(window.noted.words, words.join(' '));
    note(window.noted.views, widget.dataset.view);
  };
  new MutationObserver(look).observe(widget, {
    attributeFilter: ['data-view'], characterData: true, childList: true, subtree: true,
  });
  look();
}"""
"""Note each sentence that stands in the strips from now on, and each screen, in order."""
NOTED = "(what) => window.noted[what]"
LOST = "Connection lost. Reconnecting…"
SILENT = "Poor connection: nothing is arriving"
GOING = "You leave as soon as the connection is back."
ROSTER = """() => document.querySelector('switchboard-agent').client.session.roster
  .map(({ participant_id, attendance }) => [participant_id, attendance])"""


@dataclass(frozen=True)
class Call:
    """An agent, and a consumer whose browser has a line of its own, in a call."""

    agent: Frame
    consumer: Frame
    line: Line
    conversation: str


@asynccontextmanager
async def in_a_call(browser: Browser, demo: Deployment, conversation: str) -> AsyncIterator[Call]:
    line = Line()
    size = ViewportSize(width=700, height=820)
    ours = await browser.new_context(viewport=size)
    theirs = await browser.new_context(viewport=size, proxy={"server": await line.start()})
    try:
        await line.carry(theirs)
        sides = []
        for context, page, path in (
            (ours, "workspace.html", "/agent"),
            (theirs, "shop.html", "/engagement"),
        ):
            context.set_default_timeout(WAIT_MS)
            await context.add_init_script(SMALL_CAMERA)
            people = People(demo, context)
            people.page = await people.new_page()
            await people.page.goto(f"{demo.host}/{page}?conversation={conversation}")
            sides.append((people, await people.frame(path)))
        (_, agent), (_, consumer) = sides
        await expect(agent.get_by_text("Can be rung now")).to_be_visible()
        await agent.get_by_role("button", name="Start video").click()
        await consumer.get_by_role("button", name="Accept with video").click()
        for side in (agent, consumer):
            await until_counts(side, frames=10, energy=0.0001)
            await side.evaluate(NOTE)
        yield Call(agent, consumer, line, conversation)
        assert [people.problems for people, _ in sides] == [[], []]
    finally:
        await theirs.close()
        await ours.close()
        await line.close()


async def until_back(call: Call) -> None:
    """Wait until both see and hear each other as if nothing had been."""
    await until_counts(call.consumer, frames=10, energy=0.0001)
    await until_counts(call.agent, frames=10)
    for side in (call.agent, call.consumer):
        await expect(side.locator(".notice-words:visible")).to_have_count(0)
        await expect(side.locator(".tile.seat:visible")).to_have_attribute("data-picture", "yes")
        assert await side.evaluate(NOTED, "views") == ["session"], "nothing rang, nothing was over"


@pytest.mark.parametrize("gone_s", [3, pytest.param(20, marks=pytest.mark.soak)])
async def test_whose_line_is_gone_reads_no_more_than_is_known_and_goes_on_by_itself(
    browser: Browser, demo: Deployment, gone_s: int
) -> None:
    async with in_a_call(browser, demo, f"gone-{gone_s}") as call:
        agent, consumer = call.agent, call.consumer
        seat, button = agent.locator(".tile.seat:visible"), consumer.get_by_role
        session, roster = await session_of(consumer), await agent.evaluate(ROSTER)
        call.line.go()
        gone = asyncio.create_task(asyncio.sleep(gone_s))
        await button("button", name="Mute", exact=True).click()
        await expect(button("button", name="Unmute")).to_be_visible()
        if gone_s > 10:
            await expect(consumer.get_by_text(LOST)).to_be_visible()
            # A face that stands still has made way, and who is lost is marked.
            await expect(seat).to_have_attribute("data-picture", "no")
            await expect(seat.locator(".tile-quality")).to_have_attribute("title", SILENT)
        await gone
        assert set(await consumer.evaluate(NOTED, "words")) <= {"", LOST}
        call.line.come_back()
        await until_back(call)
        assert (await consumer.evaluate(NOTED, "words")).count(LOST) <= 1, "it is told once"
        await expect(seat.locator(".tile-sign")).to_be_visible()
        await until_silent(agent)
        await button("button", name="Unmute").click()
        await until_counts(agent, energy=0.0001)
        assert await session_of(consumer) == session
        assert await agent.evaluate(ROSTER) == roster

        # Whoever ends it without a line is told when, and has ended it by then.
        before = len(await consumer.evaluate(NOTED, "words"))
        call.line.go()
        await expect(consumer.get_by_text(LOST)).to_be_visible()
        await button("button", name="End", exact=True).click()
        await expect(consumer.get_by_text(GOING)).to_be_visible()
        assert (await consumer.evaluate(NOTED, "words"))[before:] == [LOST, GOING]
        await expect(agent.get_by_role("toolbar")).to_be_visible()
        call.line.come_back()
        await expect(agent.get_by_text("The consumer ended it.")).to_be_visible()
        await expect(consumer.get_by_text("The session has ended")).to_be_visible()
        await expect(consumer.get_by_text("The consumer ended it.")).to_have_count(0)
    kinds = [event["type"] for event in recorded(demo, call.conversation)["events"]]
    assert kinds.count("invitation.sent") == 1, kinds
    assert kinds.count("participant.joined") == 2, kinds
    assert "participant.left" not in kinds
