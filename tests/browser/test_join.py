"""The pages that the `join` benchmark compares bring two people together."""

from __future__ import annotations

from playwright.async_api import Browser

from benchmarks.joining import Direct, Joined, Widgets
from benchmarks.process import Child
from tests.deployment import Deployment


async def at_once() -> None:
    """Nothing is waited for: what is tested is no time."""


def seen(joined: Joined) -> None:
    """Both saw the other, after the click."""
    assert joined.consumer > 0
    assert joined.agent > 0


async def test_the_widgets_are_timed_from_accept_to_the_first_picture(
    demo: Deployment, browser: Browser
) -> None:
    joined = await Widgets(demo.gateway, at_once).call(browser)
    seen(joined)
    # The relay's connection stood before the answer: it costs nothing after it.
    assert joined.connected == 0


async def test_the_direct_call_is_timed_alike(browser: Browser) -> None:
    floor = await Child.module("direct", "benchmarks.floors.direct")
    try:
        seen(await Direct(f"http://127.0.0.1:{floor.ready['port']}").call(browser))
    finally:
        await floor.close()
