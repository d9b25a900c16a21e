"""A call between two real widgets in Chromium that goes on while its session actor is killed."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.async_api import Browser, Page

from benchmarks.widget_pages import fresh_pages, hang_up, ring, until

TIMELINE = Path(__file__).resolve().parent / "pages" / "timeline.js"
POLL_MS = 5
FLOWING_FRAMES = 10
"""Pictures that must come in a row before media count as flowing."""
STEPS = ("told", "offered", "answered", "connected")


@dataclass(frozen=True, slots=True)
class Recovery:
    """Milliseconds from the kill, as one page saw it."""

    last: float
    """Until the last picture of the old actor; may be a little below zero."""
    steps: dict[str, float]
    """Until the widget was told, had offered, had its answer, was connected."""
    again: float
    """Until the first picture that came through the new actor."""


class StandingCall:
    """An agent and a consumer who see each other. Made by `standing_call`, which hangs up."""

    def __init__(self, agent: Page, consumer: Page) -> None:
        self._pages = (agent, consumer)

    async def flowing(self) -> None:
        """Wait until both get one picture after another."""
        for page in self._pages:
            seen = await page.evaluate("benchmark.frames.length")
            await until(page, f"benchmark.frames.length >= {seen + FLOWING_FRAMES}", POLL_MS)

    async def killed(self, holder: psutil.Process) -> list[Recovery]:
        """Kill the session actor by SIGKILL and wait until both have pictures again."""
        for page in self._pages:
            await page.evaluate("benchmark.steps.length = benchmark.frames.length = 0")
        holder.kill()
        at_ms = time.time() * 1e3
        for page in self._pages:
            await until(
                page,
                "benchmark.steps.some(([name, at]) => name === 'connected' "
                "&& benchmark.frames.some((frame) => frame > at))",
                POLL_MS,
            )
        return [await self._recovery(page, at_ms) for page in self._pages]

    async def tenures(self) -> int:
        """How many session actors had the session, this one among them, as the pages heard."""
        heard: list[int] = [await page.evaluate("benchmark.epochs.at(-1)") for page in self._pages]
        return max(heard)

    async def _recovery(self, page: Page, at_ms: float) -> Recovery:
        steps: list[tuple[str, float]] = await page.evaluate("benchmark.steps")
        frames: list[float] = await page.evaluate("benchmark.frames")
        return recovery_of(at_ms, steps, frames)


def recovery_of(at_ms: float, steps: list[tuple[str, float]], frames: list[float]) -> Recovery:
    """Read a page's notes after a kill at `at_ms`; all times in milliseconds since the epoch.

    No picture of the old actor can come after the new connection stands: it is dead, and its
    connection closed.
    """
    first: dict[str, float] = {}
    for name, at in steps:
        first.setdefault(name, at - at_ms)
    connected = at_ms + first["connected"]
    before = [frame for frame in frames if frame < connected]
    return Recovery(
        last=max(before, default=at_ms) - at_ms,
        steps={name: first[name] for name in STEPS},
        again=min(frame for frame in frames if frame >= connected) - at_ms,
    )


@asynccontextmanager
async def standing_call(browser: Browser, origin: str) -> AsyncIterator[StandingCall]:
    """Bring an agent and a consumer together in pages of their own, and end the session after."""
    engagement = f"failover-{secrets.token_hex(8)}"

    async with AsyncExitStack() as stack:
        agent, consumer = await fresh_pages(stack, browser, 2, TIMELINE)
        await (await ring(origin, engagement, agent, consumer)).click()
        yield StandingCall(agent, consumer)
        await hang_up(agent, consumer)


async def faults_of_newest(origin: str, api_key: str) -> list[str]:
    """Say what is wrong with the record of the session that began last; empty: nothing."""
    async with httpx.AsyncClient(
        base_url=origin, headers={"Authorization": f"Bearer {api_key}"}, timeout=20
    ) as http:
        newest = (await http.get("/v1/sessions", params={"limit": 2})).raise_for_status().json()
        first = newest["sessions"][0]
        answer = await http.get(f"/v1/sessions/{first['session_id']}")
        record: dict[str, Any] = answer.raise_for_status().json()
    same = [each["ids"]["rt_session_id"] for each in newest["sessions"]]
    faults = faults_of(record)
    if same.count(first["ids"]["rt_session_id"]) > 1:
        faults.append("more than one record")
    return faults


def faults_of(record: dict[str, Any]) -> list[str]:
    """Say what is wrong with the record of a call of two that has ended; empty: nothing."""
    events = record["events"]
    counts = Counter(event["type"] for event in events)
    checks = {
        "a hole in the journal": [e["seq"] for e in events] == list(range(1, len(events) + 1)),
        "not started once": counts["session.started"] == 1,
        "not ended once": counts["session.ended"] == 1,
        "a participant twice": counts["participant.joined"] == 2,
    }
    return [fault for fault, fine in checks.items() if not fine]
