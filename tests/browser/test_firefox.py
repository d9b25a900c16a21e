"""The widgets in Firefox ESR: agent, consumer and guest in one call, each a real page, from the
check of the devices to the end.

Firefox has no media over loopback, so everything lives in a network namespace of its own: ledger,
session actor, gateway and the simulated hosts in this process, Firefox in another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.browser.accessibility import prepare, violations
from tests.browser.demo import FACES, SCREENS, until_everybody
from tests.browser.fair import Fair
from tests.house import settled
from tests.relay.firefox import ADDRESS, Firefox, FirefoxPage, network

CHECKED = """document.querySelector('.mirror video')?.videoWidth > 0 &&
  ['camera', 'microphone'].every((source) => document.querySelector(`#pick-${source}`).value)"""
"""Whether one sees oneself, and by what. The microphone's bar stands still: on a machine without
sound no AudioContext of Firefox begins."""
MUTED = """[...document.querySelectorAll('.tile.seat:not([hidden])')]
  .filter((tile) => tile.querySelector('.tile-sign').checkVisibility())
  .map((tile) => tile.querySelector('.tile-name').textContent)"""
"""Whose tile says that nothing is heard."""


async def until_seen(page: FirefoxPage, *names: str) -> None:
    """Wait until these and nobody else are shown with a picture."""
    await page.until(f"pictures of {names}", f"String({FACES}) === '{','.join(names)}'")


@asynccontextmanager
async def fair_with_firefox(folder: Path) -> AsyncIterator[tuple[Fair, Firefox]]:
    with network() as made, made.inside():
        firefox = Firefox(made, folder / "profile")
        async with settled(folder, lambda stack: Fair(stack, media=ADDRESS)) as fair:
            try:
                await asyncio.gather(fair.begin(), firefox.start())
                yield fair, firefox
            finally:
                await firefox.close()


async def test_three_people_talk_on_the_widgets(tmp_path: Path) -> None:
    async with fair_with_firefox(tmp_path) as (fair, firefox):
        desk = await firefox.open(f"{fair.hosts}/?conversation=F1&lang=en")
        agent = await desk.frame("/agent")
        consumer = await desk.frame("/engagement")
        await agent.until_says("Can be rung now")
        await agent.press("Camera and microphone")
        await agent.until("oneself, and by which devices", CHECKED)
        await agent.press("Done")
        await agent.press("Start video")
        await agent.until_says("sees the invitation")
        await desk.shoot(SCREENS / "firefox-1-ringing.png")
        await consumer.press("Accept with video")
        await until_everybody(agent, 1)
        await until_everybody(consumer, 1)

        await agent.press("People")
        await agent.press("Make link")
        await agent.until("a link", "document.querySelector('input.link').value !== ''")
        guest = await firefox.open(
            str(await agent.evaluate("document.querySelector('input.link').value"))
        )
        await guest.evaluate("document.querySelector('input').focus()")
        await guest.type("Noa Levi")
        await guest.press("Join")
        await guest.until_says("Almost there")
        await agent.press("Let in")
        # It covers pictures, and those are not sent.
        await agent.press("Close")
        for page in (agent, consumer, guest):
            await until_everybody(page, 2)
        await until_seen(agent, "Maya Cohen", "Noa Levi")
        await until_seen(consumer, "Alex", "Noa Levi")
        await until_seen(guest, "Alex", "Maya Cohen")
        await desk.shoot(SCREENS / "firefox-2-three.png")
        await guest.shoot(SCREENS / "firefox-3-guest.png")

        for page in (agent, guest):
            await prepare(page)
            assert await violations(page) == []

        await guest.press("Mute")
        await agent.until("who is muted", f"String({MUTED}) === 'Noa Levi'")
        await guest.press("Turn camera off")
        await until_seen(agent, "Maya Cohen")
        await guest.press("Turn camera on")
        await until_seen(agent, "Maya Cohen", "Noa Levi")
        # What was left by a link and is come back to by *Back* is in the call, and as it was.
        await guest.leave_and_come_back(f"{fair.origin}/join")
        await until_everybody(guest, 2)
        await until_seen(agent, "Maya Cohen", "Noa Levi")
        assert await agent.evaluate(MUTED) == ["Noa Levi"]
        await guest.press("More")
        await guest.press("Voice only")
        await until_seen(guest)
        await until_seen(agent, "Maya Cohen")

        await agent.press("End")
        await agent.until_says("The session has ended")
        for page in (consumer, guest):
            await page.until_says("The agent ended it.")
        await desk.shoot(SCREENS / "firefox-4-over.png")
        assert firefox.problems == []
