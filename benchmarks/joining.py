"""Two people in real browsers who come together: through Switchboard, or directly.

Each call has pages of its own. What the pages note (`pages/watch.js`) is in milliseconds since the
epoch; both run in one browser, so its clock is the same for both.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from playwright.async_api import Browser, Page

from benchmarks.widget_pages import fresh_pages, hang_up, ring, until

WATCH = Path(__file__).resolve().parent / "pages" / "watch.js"
SETTLE_MS = 400
"""Between the last preparation and the click: what was prepared is over."""
CAMERA_OPEN = """async (selector) => {
  const { client } = document.querySelector(selector);
  await client.media.open(true);
  return client.media.tracks.camera !== null;
}"""
MEDIA_CONNECTED = (
    "document.querySelector('switchboard-agent').client.mediaLink.state === 'connected'"
)


@dataclass(frozen=True, slots=True)
class Joined:
    """Milliseconds from the consumer's click on *Accept*."""

    consumer: float
    """Until the consumer's browser has decoded a picture of the agent."""
    agent: float
    """Until the agent's browser has decoded a picture of the consumer."""
    connected: float
    """Until the consumer's peer connection stood; 0 when it did before."""

    @classmethod
    async def read(cls, agent: Page, consumer: Page) -> Joined:
        """Wait until both have seen each other and read what the pages noted."""
        for page in (agent, consumer):
            await until(page, "benchmark.marks.frame")
        theirs = await agent.evaluate("benchmark.marks")
        mine = await consumer.evaluate("benchmark.marks")
        click = mine["click"]
        return cls(
            consumer=mine["frame"] - click,
            agent=theirs["frame"] - click,
            connected=max(0.0, mine["connected"] - click),
        )


class Pair(Protocol):
    """Brings an agent and a consumer together once for each `call`."""

    name: str

    async def call(self, browser: Browser) -> Joined: ...


class Widgets:
    """The widgets of a gateway, on their own pages."""

    name = "switchboard"

    def __init__(self, origin: str, settled: Callable[[], Awaitable[None]]) -> None:
        self._origin = origin
        self._settled = settled
        """Waits until the pool has replaced the session's actor: a start takes a second of a
        processor, which has nothing to do with joining."""

    async def call(self, browser: Browser) -> Joined:
        engagement = f"join-{secrets.token_hex(8)}"
        async with AsyncExitStack() as stack:
            agent, consumer = await fresh_pages(stack, browser, 2, WATCH)
            accept = await ring(self._origin, engagement, agent, consumer)
            await accept.wait_for()
            assert await consumer.evaluate(CAMERA_OPEN, "switchboard-engagement")
            assert await agent.evaluate(CAMERA_OPEN, "switchboard-agent")
            await until(agent, MEDIA_CONNECTED)
            # Ahead of the answer.
            await until(consumer, "benchmark.marks.connected")
            await self._settled()
            await consumer.wait_for_timeout(SETTLE_MS)
            await accept.click()
            joined = await Joined.read(agent, consumer)
            await hang_up(agent, consumer)
        return joined


class Direct:
    """Two pages that call each other without a relay."""

    name = "direct"

    def __init__(self, origin: str) -> None:
        self._origin = origin

    async def call(self, browser: Browser) -> Joined:
        room = secrets.token_hex(8)
        async with AsyncExitStack() as stack:
            agent, consumer = await fresh_pages(stack, browser, 2, WATCH)
            await agent.goto(f"{self._origin}/direct?role=agent&room={room}")
            await until(agent, "benchmark.ready")
            await consumer.goto(f"{self._origin}/direct?role=consumer&room={room}")
            accept = consumer.get_by_role("button", name="Accept")
            await accept.wait_for()
            await consumer.wait_for_timeout(SETTLE_MS)
            await accept.click()
            return await Joined.read(agent, consumer)
