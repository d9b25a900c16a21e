"""The people of a browser test, and what they see and hear."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from pprint import pformat
from typing import Any, Protocol

import httpx
from playwright.async_api import BrowserContext, Frame, Page

from tests.deployment import Deployment
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
SCREENS = ROOT / "artifacts" / "screens"
GREEN = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9v9H0z"/></svg>'
"""A picture of somebody, nine by nine."""
SMALL_CAMERA = """(() => {
  const { mediaDevices } = navigator;
  const real = mediaDevices?.getUserMedia.bind(mediaDevices);
  const small = { width: { ideal: 320 }, height: { ideal: 180 }, frameRate: { ideal: 15 } };
  if (!real) return;
  mediaDevices.getUserMedia = ({ video, ...wish }) =>
    real(video ? { ...wish, video: { ...video, ...small } } : wish);
})()"""
"""A camera that costs little, for tests that ask whether somebody is seen, not how well."""
SOONER = """(() => {
  for (const name of ['setTimeout', 'setInterval']) {
    const real = window[name];
    window[name] = (call, ms, ...more) =>
      real(call, ms === LATE && !window.patient ? SOON : ms, ...more);
  }
})()"""
WAIT_MS = 30_000 * PATIENCE
"""For what a page shows: twice what a busy machine took to bring a widget to a call."""
OPEN_WINDOW = "() => void open('about:blank', '_blank', 'popup,noopener')"
COUNTS = """async () => {
  const client = document.querySelector(
    'switchboard-agent, switchboard-engagement, switchboard-guest')?.client;
  const counts = { frames: 0, energy: 0, sent: 0, redundant: 0 };
  if (!client?.peer) return counts;
  for (const entry of (await client.peer.connection.getStats()).values()) {
    if (entry.type === 'inbound-rtp') {
      counts.frames += entry.framesDecoded ?? 0;
      counts.energy += entry.totalAudioEnergy ?? 0;
      // Repeated frames that were not needed; of pictures, what came too late.
      if (entry.kind === 'audio') counts.redundant += entry.packetsDiscarded ?? 0;
    } else if (entry.type === 'outbound-rtp') counts.sent += entry.framesEncoded ?? 0;
  }
  return counts;
}"""

RECEIVED = """(async () => {
  const { client } = document.querySelector(
    'switchboard-agent, switchboard-engagement, switchboard-guest');
  const counts = {};
  const stats = client?.peer ? await client.peer.connection.getStats() : new Map();
  for (const one of stats.values()) {
    if (one.type === 'inbound-rtp') {
      counts[`${one.kind} ${one.mid}`] =
        one.kind === 'video' ? one.framesDecoded : one.totalAudioEnergy;
    }
  }
  return counts;
})()"""
FACES = """[...document.querySelectorAll('.tile.seat[data-picture=yes] .tile-name')]
  .filter((name) => name.checkVisibility()).map((name) => name.textContent).sort()"""
"""Who is shown with a picture: a name changes at a frame that was painted."""

NEGOTIATED = """() => {
  const { peer } = document.querySelector(
    'switchboard-agent, switchboard-engagement, switchboard-guest').client;
  const { iceGatheringState, localDescription, remoteDescription } = peer?.connection ?? {};
  // Candidates are written into the offer one after the other.
  return iceGatheringState === 'complete' && remoteDescription &&
    [peer.id, localDescription.sdp, remoteDescription.sdp];
}"""

SESSION = """() => document.querySelector(
  'switchboard-agent, switchboard-engagement, switchboard-guest').client.session?.session_id"""

SCENE = """async () => {
  const widget = document.querySelector(
    'switchboard-agent, switchboard-engagement, switchboard-guest');
  if (!widget) return { page: location.href, text: document.body?.textContent.slice(0, 600) };
  const { client } = widget;
  const { connectionState, iceConnectionState } = client?.peer?.connection ?? {};
  const stats = client?.peer ? [...(await client.peer.connection.getStats()).values()] : [];
  return {
    text: (widget.shadowRoot ?? widget).textContent.replace(/\\s+/g, ' ').slice(0, 600),
    link: client?.link?.status,
    attendance: client?.session?.attendance,
    media: client?.mediaLink.state,
    connectionState,
    iceConnectionState,
    tracks: Object.entries(client?.media?.tracks ?? {}).map(
      ([kind, track]) => `${kind} ${track?.readyState}`),
    playing: [...(widget.shadowRoot ?? widget).querySelectorAll('audio, video')].map(
      ({ paused, readyState, muted }) => ({ paused, readyState, muted })),
    received: stats.filter(({ type }) => type === 'inbound-rtp').map(
      ({ kind, mid, packetsReceived, totalSamplesReceived, framesDecoded }) =>
        ({ kind, mid, packetsReceived, totalSamplesReceived, framesDecoded })),
  };
}"""
"""What there is to say of a widget whose test waits in vain."""


def sooner(late_ms: int, soon_ms: int) -> str:
    """A script by which a page does sooner what it does after, or every, so many milliseconds.

    Not where `patient` is true in that page.
    """
    return SOONER.replace("LATE", str(late_ms)).replace("SOON", str(soon_ms))


class People:
    """The demo page with both sides, in one tab; guests come in tabs of their own."""

    def __init__(self, demo: Deployment, context: BrowserContext) -> None:
        self.demo = demo
        self.context = context
        self.host = demo.host
        """The origin of the hosts' pages; as `localhost` it is another site than the gateway."""
        self.problems: list[str] = []
        """Errors of the pages; a test expects none."""
        self.page: Page
        self.agent: Frame

    async def open(self, choices: str = "", *, small: bool = True) -> None:
        """Open the demo page and wait until the agent could start; `small`: its cameras are."""
        if small:
            await self.context.add_init_script(SMALL_CAMERA)
        self.page = await self.new_page()
        await self.page.goto(f"{self.host}/?{choices}")
        self.agent = await self.frame("/agent")

    async def new_page(self) -> Page:
        """A page in a window of its own: in a tab behind another every step takes a second."""
        if self.context.pages:
            async with self.context.expect_page() as opening:
                await self.context.pages[0].evaluate(OPEN_WINDOW)
            page = await opening.value
        else:
            page = await self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        return page

    async def frame(self, path: str, page: Page | None = None) -> Frame:
        """The frame of the gateway's page at this path."""
        page = page or self.page
        for _ in range(int(300 * PATIENCE)):
            for frame in page.frames:
                if frame.url.startswith(self.demo.gateway + path):
                    return frame
            await asyncio.sleep(0.05)
        raise AssertionError(f"No frame shows {path}: {[frame.url for frame in page.frames]}")

    async def staff(self, who: str, conversation: str = "") -> tuple[Page, Frame]:
        """Open the same conversation, or one of their own, as a colleague or a supervisor."""
        conversation = conversation or await self.page.evaluate(
            "new URLSearchParams(location.search).get('conversation')"
        )
        page = await self.new_page()
        await page.goto(f"{self.host}/workspace.html?conversation={conversation}&as={who}")
        return page, await self.frame("/agent", page)

    async def ring(self, mode: str = "Start video") -> Frame:
        """Press start; returns the launcher's frame once it shows the invitation."""
        engagement = await self.frame("/engagement")
        await self.agent.get_by_role("button", name=mode).click()
        await engagement.get_by_role("button", name="Decline").wait_for()
        return engagement

    async def talk(self, accept: str = "Accept with video") -> Frame:
        """Bring agent and consumer together."""
        consumer = await self.ring()
        await consumer.get_by_role("button", name=accept).click()
        await consumer.get_by_role("toolbar").wait_for()
        return consumer


async def negotiated(frame: Frame | Page) -> list[str]:
    """What this widget has negotiated, once it has: the same again where nothing was since."""
    agreed = await frame.wait_for_function(NEGOTIATED)
    found: list[str] = await agreed.json_value()
    return found


async def session_of(frame: Frame | Page) -> str:
    """The session in which this widget's person takes part."""
    found = await frame.evaluate(SESSION)
    assert isinstance(found, str), found
    return found


async def counts(frame: Frame | Page) -> dict[str, float]:
    """What this widget has decoded and heard so far."""
    found: dict[str, float] = await frame.evaluate(COUNTS)
    return found


async def until_counts(
    frame: Frame | Page,
    *,
    frames: float = 0,
    energy: float = 0,
    redundant: float = 0,
    limit_s: float = 40,
) -> dict[str, float]:
    """Wait until at least so much more was decoded and heard, and repeated for nothing."""
    wanted = {"frames": frames, "energy": energy, "redundant": redundant}
    end = time.monotonic() + limit_s * PATIENCE
    start = now = await counts(frame)
    while time.monotonic() < end:
        now = await counts(frame)
        if all(now[name] - start[name] >= more for name, more in wanted.items()):
            return now
        await asyncio.sleep(0.1)
    scene = await frame.evaluate(SCENE)
    raise AssertionError(f"Wanted more, {wanted}: {start} → {now}\n{pformat(scene)}")


async def until_silent(frame: Frame) -> None:
    """Wait until a second's pictures come without a sound."""
    end = time.monotonic() + 20 * PATIENCE
    while time.monotonic() < end:
        before = await counts(frame)
        after = await until_counts(frame, frames=15)
        if after["energy"] - before["energy"] < 1e-6:
            return
    raise AssertionError("Somebody who is muted is heard.")


class Evaluates(Protocol):
    """A page or frame of whichever browser."""

    async def evaluate(self, expression: str) -> Any:
        """Return an expression's value, as JSON types."""


async def until_everybody(
    page: Evaluates, people: int, *, frames: int = 20, limit_s: float = 30
) -> None:
    """Wait until so many people's frames are decoded and their voices heard, more and more."""
    end = time.monotonic() + limit_s * PATIENCE
    first = now = await page.evaluate(RECEIVED)
    while time.monotonic() < end:
        now = await page.evaluate(RECEIVED)
        grown = {slot: count - first.get(slot, 0) for slot, count in now.items()}
        seen = sum(by >= frames for slot, by in grown.items() if slot.startswith("video"))
        heard = sum(by > 0 for slot, by in grown.items() if slot.startswith("audio"))
        if seen >= people and heard >= people:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{people} people are not seen and heard: {first} -> {now}")


async def shoot(page: Page, name: str) -> None:
    """Leave a picture that a person can look at."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENS / f"{name}.png")


def recorded(demo: Deployment, engagement_key: str) -> dict[str, Any]:
    """The record of the one session of an engagement, by the server API."""
    headers = {"Authorization": f"Bearer {demo.api_key}"}
    with httpx.Client(
        base_url=demo.gateway, headers=headers, trust_env=False, timeout=20 * PATIENCE
    ) as api:
        listed = api.get("/v1/sessions", params={"limit": 200}).raise_for_status().json()
        [found] = [s for s in listed["sessions"] if s["engagement_key"] == engagement_key]
        record: dict[str, Any] = api.get(f"/v1/sessions/{found['session_id']}").json()
        return record
