"""The widgets in Firefox ESR: agent, consumer and guest in one call, each a real page.

Firefox has no media over loopback, so everything lives in a network namespace of its own: ledger,
session actor, gateway and the simulated hosts in this process, Firefox in another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.browser.demo import FACES, SCREENS, until_everybody
from tests.browser.fair import Fair
from tests.house import settled
from tests.relay.firefox import ADDRESS, Firefox, network


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
        for page, names in (
            (agent, ["Maya Cohen", "Noa Levi"]),
            (consumer, ["Alex", "Noa Levi"]),
            (guest, ["Alex", "Maya Cohen"]),
        ):
            await page.until(f"pictures of {names}", f"String({FACES}) === '{','.join(names)}'")
        await desk.shoot(SCREENS / "firefox-2-three.png")
        await guest.shoot(SCREENS / "firefox-3-guest.png")

        await agent.press("End")
        await agent.until_says("The session has ended")
        for page in (consumer, guest):
            await page.until_says("The agent ended it.")
        await desk.shoot(SCREENS / "firefox-4-over.png")
        assert firefox.problems == []
