"""Three real Chromium pages with fake devices, joined through one relay."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypedDict

import pytest
from playwright.async_api import Browser, Page, async_playwright

from actors.relay import (
    MediaRights,
    OfferLayout,
    PublishSource,
    Relay,
    RelayConfig,
    TransportState,
)

from .recording import RecordingListener, until

pytestmark = pytest.mark.browser

EVERYTHING = MediaRights(send_audio=True, send_video=True, send_screen=True)


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


@pytest.fixture(scope="module")
def page_url() -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(Path(__file__).parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_address[1]}/call.html"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                "--disable-background-networking",
                "--autoplay-policy=no-user-gesture-required",
            ],
        )
        yield browser
        await browser.close()


async def join(
    relay: Relay, page: Page, name: str, seats: int = 7, *, layers: bool = False
) -> None:
    """Let a page offer, and give it the relay's answer."""
    joined: Joined = await page.evaluate(f"window.join({seats}, {str(layers).lower()})")
    layout = OfferLayout(
        publish={mid: PublishSource(source) for mid, source in joined["publish"].items()},
        seats=tuple((pair[0], pair[1]) for pair in joined["seats"]),
        screens=tuple(joined["screens"]),
    )
    answer = relay.answer(name, f"{name}-1", joined["sdp"], layout, EVERYTHING)
    await page.evaluate("window.accept", answer)


async def received(page: Page) -> dict[str, Received]:
    """What the page receives now, by mid."""
    result: dict[str, Received] = await page.evaluate("window.received()")
    return result


async def until_growing(page: Page, people: int) -> dict[str, Received]:
    """Wait until so many people's frames are decoded, and their voices heard, more and more."""
    first = await received(page)
    found = first
    for _ in range(400):
        found = await received(page)
        seen = heard = 0
        for mid, stream in found.items():
            before = first.get(mid)
            seen += stream["frames"] >= (before["frames"] if before else 0) + 30
            heard += stream["energy"] > (before["energy"] if before else 0)
        if seen >= people and heard >= people:
            return found
        await page.wait_for_timeout(50)
    raise AssertionError(f"only {found}")


async def test_three_people_see_and_hear_each_other(
    browser: Browser, page_url: str, tmp_path: Path
) -> None:
    listener = RecordingListener()
    relay = Relay(RelayConfig(), listener)
    await relay.open()
    names = ("ada", "ben", "cy")
    pages: dict[str, Page] = {}
    try:
        for name in names:
            page = await browser.new_page()
            await page.goto(page_url)
            pages[name] = page
            await join(relay, page, name)
        for page in pages.values():
            found = await until_growing(page, people=2)
            assert sum(stream["lost"] for stream in found.values()) == 0
        for name in names:
            others = {other for other in names if other != name}
            assert set(listener.occupants(name).values()) == others
        await pages["ada"].screenshot(path=str(tmp_path / "ada.png"))

        await pages["cy"].evaluate("window.pc.close()")
        await until(lambda: listener.state_of("cy-1") is TransportState.CLOSED)
        assert set(listener.occupants("ada").values()) == {"ben", None}
    finally:
        await relay.close()


async def test_simulcast_is_switched_by_the_displayed_size(
    browser: Browser, page_url: str, tmp_path: Path
) -> None:
    listener = RecordingListener()
    relay = Relay(RelayConfig(), listener)
    await relay.open()
    try:
        pages = {}
        for name in ("ada", "ben"):
            pages[name] = await browser.new_page()
            await pages[name].goto(page_url)
            await join(relay, pages[name], name, layers=name == "ada")
        ben = pages["ben"]

        async def until_height(height: int) -> None:
            for _ in range(600):
                found = await received(ben)
                if any(s["height"] == height and s["frames"] for s in found.values()):
                    return
                await ben.wait_for_timeout(50)
            raise AssertionError(f"{await received(ben)} {relay.snapshot()}")

        for size, height in (((320, 180), 180), ((640, 360), 360), ((320, 180), 180)):
            relay.set_view("ben", {0: size}, {})
            await until_height(height)
        # The highest layer comes when Chromium's own estimate allows it.
        relay.set_view("ben", {0: (1280, 720)}, {})
        await until_height(720)
        await ben.screenshot(path=str(tmp_path / "simulcast.png"))
        assert relay.mistakes == 0
    finally:
        await relay.close()
