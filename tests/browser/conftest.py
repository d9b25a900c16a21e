"""One demo and one browser for all browser tests; a fresh context for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    async_playwright,
    expect,
)

from benchmarks.browser import launch
from broker.words import Role
from tests.browser.broker_double import BrokerDouble, serve_pages
from tests.browser.demo import WAIT_MS, People
from tests.browser.gallery import AGENT, THREE
from tests.browser.studio import Studio
from tests.deployment import Deployment

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every browser test run on the loop that the shared browser lives on."""
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The whole demo, as `make demo` starts it, on ports of its own."""
    folder = tmp_path_factory.mktemp("demo")
    policy: dict[str, object] = {"silent_monitoring": True, "consumer_may_invite": True}
    with Deployment(folder, policy=policy, by_make=True) as running:
        yield running


@pytest.fixture(scope="package")
def pages() -> Iterator[str]:
    """The origin of the gateway's pages with nothing behind them."""
    with serve_pages() as origin:
        yield origin


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    # By itself it is five seconds.
    expect.set_options(timeout=WAIT_MS)
    async with async_playwright() as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """Chromium with fake devices that nobody needs to allow: there is one to choose."""
    fake = "--use-fake-device-for-media-stream"
    running = await launch(playwright, f"!{fake}", f"{fake}=device-count=2")
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def people(demo: Deployment, browser: Browser) -> AsyncIterator[People]:
    """Agent and consumer with fake devices; fails a test whose pages threw."""
    context = await browser.new_context(viewport={"width": 1400, "height": 820})
    context.set_default_timeout(WAIT_MS)
    people = People(demo, context)
    yield people
    await context.close()
    assert people.problems == []


@pytest_asyncio.fixture(loop_scope="session")
async def talk(browser: Browser, pages: str) -> AsyncIterator[tuple[Page, BrokerDouble]]:
    """An agent with a consumer, whose camera is on, and a guest."""
    context = await browser.new_context(viewport={"width": 1000, "height": 820})
    page = await context.new_page()
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    await page.goto(f"{pages}{AGENT}&lang=en")
    await double.tell(THREE)
    yield page, double
    await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def studio(browser: Browser, pages: str) -> AsyncIterator[Studio]:
    """Where scenes of the gallery are played."""
    studio = Studio(browser, pages)
    yield studio
    await studio.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """As narrow as a widget's frame, with nothing open."""
    context = await browser.new_context(viewport={"width": 380, "height": 760})
    yield context
    await context.close()
