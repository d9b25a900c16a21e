"""A call of three real widgets in Chromium, one of them behind a line that can be made bad."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Browser, Page

from benchmarks.shaper import Downlink, Shaper
from benchmarks.widget_pages import LIMIT_SECONDS, fresh_pages, hang_up, ring

SCRIPT = Path(__file__).resolve().parent / "pages" / "congestion.js"
SAMPLE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Sample:
    """The counters of a page's remote media, at `at` seconds of the loop's clock."""

    at: float
    height: int
    """Of the picture that is being decoded; 0 when none is."""
    frames: int
    frozen: float
    samples: int
    concealed: int
    """Of `samples`: made up, because nothing had come in time."""
    silent: int
    """Of `concealed`: while there was nothing to be heard."""


class CongestedCall:
    """An agent who is seen, a consumer behind a shaper, and a guest beside. Made by `congested`."""

    def __init__(self, consumer: Page, guest: Page, shapers: list[Shaper]) -> None:
        self._consumer = consumer
        self._guest = guest
        self._shapers = shapers

    def shape(self, bitrate: float, *, loss: float, delay: float, seed: int) -> None:
        """Make the consumer's downlink bad from now on."""
        for shaper in self._shapers:
            shaper.line = Downlink(bitrate, loss=loss, delay=delay, seed=seed)

    def clear(self) -> None:
        """Let everything through again."""
        for shaper in self._shapers:
            shaper.line = None

    async def watch(self, seconds: float) -> tuple[list[Sample], list[Sample]]:
        """Sample the consumer's page and the guest's for so long."""
        consumer: list[Sample] = []
        guest: list[Sample] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            consumer.append(await sample(self._consumer))
            guest.append(await sample(self._guest))
            await asyncio.sleep(SAMPLE_SECONDS)
        return consumer, guest

    async def settled(self) -> None:
        """Wait until the consumer's picture has kept its size for three seconds."""
        since, height = time.monotonic(), 0
        async with asyncio.timeout(LIMIT_SECONDS):
            while time.monotonic() - since < 3 or not height:
                seen = (await sample(self._consumer)).height
                if seen != height:
                    since, height = time.monotonic(), seen
                await asyncio.sleep(SAMPLE_SECONDS)


async def sample(page: Page) -> Sample:
    found: dict[str, Any] = await page.evaluate("benchmark.sample()")
    names = ("height", "frames", "frozen", "samples", "concealed", "silent")
    return Sample(time.monotonic(), **{name: found[name] for name in names})


@asynccontextmanager
async def congested(browser: Browser, origin: str, api_key: str) -> AsyncIterator[CongestedCall]:
    """Bring the three together, and end the session after."""
    engagement = f"congestion-{secrets.token_hex(8)}"
    shapers: dict[tuple[str, int], Shaper] = {}

    def shaped_port(host: str, port: int) -> int:
        if (host, port) not in shapers:
            shapers[host, port] = Shaper((host, port))
        return shapers[host, port].port

    async with AsyncExitStack() as stack:
        agent, consumer, guest = await fresh_pages(stack, browser, 3, SCRIPT, width=960, height=640)
        await consumer.expose_function("shapedPort", shaped_port)
        stack.callback(close_all, shapers.values())
        api = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=origin, headers={"Authorization": f"Bearer {api_key}"}, timeout=20
            )
        )
        await (await ring(origin, engagement, agent, consumer)).click()
        await _invite_guest(api, guest, engagement)
        for page in (consumer, guest):
            # One encoder is enough for two processors; the agent's picture is what is looked at.
            await page.get_by_role("button", name="Turn camera off").click()
        yield CongestedCall(consumer, guest, list(shapers.values()))
        await hang_up(agent, consumer)


def close_all(shapers: Iterable[Shaper]) -> None:
    for each in shapers:
        each.close()


async def _invite_guest(api: httpx.AsyncClient, guest: Page, engagement: str) -> None:
    found = (await api.get("/v1/sessions", params={"limit": 20})).raise_for_status().json()
    session = next(
        f"/v1/sessions/{each['session_id']}"
        for each in found["sessions"]
        if each["ids"]["rt_session_id"] == engagement
    )
    made = (await api.post(f"{session}/guests", json={})).raise_for_status().json()
    await guest.goto(made["url"])
    await guest.get_by_label("Your name").fill("Noa")
    await guest.get_by_role("button", name="Join", exact=True).click()
    async with asyncio.timeout(LIMIT_SECONDS):
        while True:
            people = (await api.get(f"{session}/participants")).json()["participants"]
            waiting = [each for each in people if each["attendance"] == "lobby"]
            if waiting:
                break
            await asyncio.sleep(0.1)
    admitted = f"{session}/participants/{waiting[0]['participant_id']}/admit"
    (await api.post(admitted)).raise_for_status()
    await guest.get_by_role("button", name="Turn camera off").wait_for()
