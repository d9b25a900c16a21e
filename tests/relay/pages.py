"""Real Chromium pages with fake devices, as participants of a relay."""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypedDict

import pytest
from playwright.async_api import Browser, Page, async_playwright

from actors.relay import MediaRights, OfferLayout, PublishSource, Relay
from benchmarks.browser import launch
from tests.patience import PATIENCE

EVERYTHING = MediaRights(send_audio=True, send_video=True, send_screen=True)


ROOT = Path(__file__).parents[2]


class Joined(TypedDict):
    sdp: str
    publish: dict[str, str]
    seats: list[list[str]]
    screens: list[str]


class Received(TypedDict):
    kind: str
    frames: int
    energy: float
    packets: int
    lost: int
    width: int
    height: int
    freezes: int


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[str]:
    """Serve the repository on loopback; yields the address of the call's page."""
    handler = functools.partial(_Quiet, directory=str(ROOT))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}/tests/relay/call.html"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def page_url() -> Iterator[str]:
    with served() as url:
        yield url


@asynccontextmanager
async def chromium(program: Path | None = None) -> AsyncIterator[Browser]:
    """Start a Chromium with fake devices, which plays without being asked to."""
    async with async_playwright() as playwright:
        browser = await launch(
            playwright, "--autoplay-policy=no-user-gesture-required", program=program
        )
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


async def join(
    relay: Relay,
    page: Page,
    name: str,
    seats: int = 7,
    *,
    publishes: bool = True,
) -> None:
    """Let a page offer, and give it the relay's answer."""
    layers = False
    arguments = ", ".join(json.dumps(option) for option in (seats, layers, publishes))
    joined: Joined = await page.evaluate(f"window.join({arguments})")
    await page.evaluate("window.accept", answer_to(relay, name, joined))


OFFER_OF_THE_WIDGET = """async (limits) => {
  const { Peer } = await import('/widgets/media/peer.js');
  window.peer = new Peer({ seats: 1, screens: 1, ...limits }, 1, () => {});
  window.pc = window.peer.connection;
  for (const { audio, video } of window.peer.seats) {
    const srcObject = new MediaStream([...audio.getTracks(), ...video.getTracks()]);
    const player = document.createElement('video');
    document.body.append(Object.assign(player, { autoplay: true, srcObject }));
  }
  const media = await navigator.mediaDevices.getUserMedia({
    audio: true, video: { width: 1280, height: 720 },
  });
  await window.peer.setTracks({
    microphone: media.getAudioTracks()[0], camera: media.getVideoTracks()[0], screen: null,
  });
  return window.peer.offer();
}"""


async def join_as_widget(
    relay: Relay,
    page: Page,
    name: str,
    *,
    ice_servers: Sequence[Mapping[str, str]] = (),
    relay_only: bool = False,
) -> None:
    """Let the widget's own connection, with these limits, offer; and give it the relay's answer."""
    limits = {"ice_servers": list(ice_servers), "relay_only": relay_only}
    await negotiate_as_widget(relay, page, name, OFFER_OF_THE_WIDGET, limits)


async def negotiate_as_widget(
    relay: Relay, page: Page, name: str, script: str, argument: object = None
) -> None:
    """Let the widget's own connection offer, by this script, and give it the relay's answer."""
    offer = await page.evaluate(script, argument)
    layout = OfferLayout(
        publish={each["mid"]: PublishSource(each["source"]) for each in offer["publish"]},
        seats=tuple((seat["audio_mid"], seat["video_mid"]) for seat in offer["seats"]),
        screens=tuple(offer["screens"]),
    )
    answer = relay.answer(name, f"{name}-1", offer["sdp"], layout, EVERYTHING)
    await page.evaluate("sdp => window.peer.answer(sdp)", answer)


def answer_to(relay: Relay, name: str, joined: Joined) -> str:
    """Let the relay answer what a page offered."""
    layout = OfferLayout(
        publish={mid: PublishSource(source) for mid, source in joined["publish"].items()},
        seats=tuple((pair[0], pair[1]) for pair in joined["seats"]),
        screens=tuple(joined["screens"]),
    )
    return relay.answer(name, f"{name}-1", joined["sdp"], layout, EVERYTHING)


async def received(page: Page) -> dict[str, Received]:
    """What the page receives now, by mid."""
    result: dict[str, Received] = await page.evaluate("window.received()")
    return result


async def until_growing(page: Page, people: int) -> dict[str, Received]:
    """Wait until so many people's frames are decoded, and their voices heard, more and more."""
    return await until_growing_by(lambda: received(page), people)


async def until_growing_by(
    read: Callable[[], Awaitable[dict[str, Received]]], people: int
) -> dict[str, Received]:
    """Wait as `until_growing` does, for whatever can be read."""
    first = await read()
    found = first
    for _ in range(int(400 * PATIENCE)):
        found = await read()
        seen = heard = 0
        for mid, stream in found.items():
            before = first.get(mid)
            seen += stream["frames"] >= (before["frames"] if before else 0) + 30
            heard += stream["energy"] > (before["energy"] if before else 0)
        if seen >= people and heard >= people:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"only {found}")
