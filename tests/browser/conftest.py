"""One demo and one browser for all browser tests; a fresh context for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Playwright, async_playwright

from benchmarks.browser import launch
from tests.browser.demo import Demo, DemoProcess, People


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The whole demo, as `make demo` starts it, on ports of its own."""
    process = DemoProcess(tmp_path_factory.mktemp("demo"))
    try:
        process.wait_ready()
        yield process.demo
    finally:
        process.stop()


@pytest.fixture
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


@pytest.fixture
async def people(demo: Demo, playwright: Playwright) -> AsyncIterator[People]:
    """Agent and consumer with fake devices; fails a test whose pages threw."""
    browser = await launch(playwright)
    context = await browser.new_context(viewport={"width": 1400, "height": 820})
    context.set_default_timeout(15_000)
    people = People(demo, context)
    yield people
    await browser.close()
    assert people.problems == []
