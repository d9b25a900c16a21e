"""Real Chromium pages with fake devices, joined through one relay."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from actors.relay import Relay, RelayConfig, TransportState

from .pages import browser, join, page_url, received, until_growing
from .recording import RecordingListener, until

pytestmark = pytest.mark.browser

__all__ = ["browser", "page_url"]


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
