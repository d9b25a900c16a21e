"""The widgets on their own pages, as every scenario with a browser opens them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlencode

from playwright.async_api import Browser, Locator, Page

LIMIT_SECONDS = 30
"""For anything that is waited for in a page."""


async def fresh_pages(
    stack: AsyncExitStack,
    browser: Browser,
    count: int,
    script: Path,
    *,
    width: int = 640,
    height: int = 480,
) -> list[Page]:
    """Open pages in a profile each, `script` before any of theirs; closed by `stack`."""
    pages: list[Page] = []
    for _ in range(count):
        context = await browser.new_context(viewport={"width": width, "height": height})
        stack.push_async_callback(context.close)
        context.set_default_timeout(LIMIT_SECONDS * 1e3)
        await context.add_init_script(path=script)
        pages.append(await context.new_page())
    return pages


async def until(page: Page, condition: str, every_ms: int = 20) -> None:
    """Wait until a JavaScript expression holds, within the limits of the page's own policy."""
    pause = f"new Promise((r) => setTimeout(r, {every_ms}))"
    async with asyncio.timeout(LIMIT_SECONDS):
        await page.evaluate(f"async () => {{ while (!({condition})) await {pause}; }}")


async def ring(origin: str, engagement: str, agent: Page, consumer: Page) -> Locator:
    """Open both widgets and let the agent start a video call; returns what accepts it."""
    await consumer.goto(
        _address(origin, "engagement", sessionId=engagement, surface="launcher"),
    )
    await agent.goto(
        _address(origin, "agent", rtSessionId=engagement, agentId="7", agentName="Alex"),
    )
    await agent.get_by_role("button", name="Start video").click()
    return consumer.get_by_role("button", name="Accept with video")


async def hang_up(agent: Page, consumer: Page) -> None:
    """End the session as the agent, and wait until the consumer reads of it."""
    await agent.get_by_role("button", name="End", exact=True).click()
    await consumer.get_by_text("The agent ended it.").wait_for()


def _address(origin: str, name: str, **ids: str) -> str:
    query = {"accountId": "demo", "channel": "chat", "lang": "en", **ids}
    return f"{origin}/{name}?{urlencode(query)}"
