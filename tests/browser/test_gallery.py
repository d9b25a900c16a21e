"""A picture of every screen and state, phone and desktop, light and dark; no axe violation, no
overflow, no script error in any of them. The pictures are for a person to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from benchmarks.browser import launch
from tests.browser.accessibility import violations
from tests.browser.broker_double import BrokerDouble, serve_pages
from tests.browser.demo import shoot
from tests.browser.gallery import AGENT_SCENES, CONSUMER_SCENES, GUEST_SCENES, Scene

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAMES = ((280, 540), (340, 680))
PHONES = ((320, 568), (380, 600))
PAGES = ((390, 844), (1280, 800))
OVERFLOW = """() => [...document.querySelectorAll('button, p, h1, h2, input, .tile-label')]
  .filter((node) => node.checkVisibility() && node.getClientRects().length)
  .filter((node) => {
    const box = node.getBoundingClientRect();
    return box.left < -0.5 || box.right > innerWidth + 0.5;
  })
  .map((node) => node.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    with serve_pages() as origin:
        yield origin


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        yield browser
        await browser.close()


async def show(
    browser: Browser,
    origin: str,
    scene: Scene,
    size: tuple[int, int],
    look: str,
    name: str,
    language: str = "en",
) -> None:
    """Play one scene, photograph it, and say what is wrong with it."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if look == "dark" else "light",
        reduced_motion="reduce",
    )
    try:
        page = await context.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        double = BrokerDouble(page, scene.role, in_session=scene.in_session)
        await double.attach()
        path, hash_mark, fragment = scene.path.partition("#")
        joint = "&" if "?" in path else "?"
        await page.goto(f"{origin}{path}{joint}lang={language}{hash_mark}{fragment}")
        await scene.play(double, page)
        await shoot(page, f"{name}-{scene.name}-{size[0]}-{look}")
        problems += [f"overflow: {each}" for each in await page.evaluate(OVERFLOW)]
        problems += [f"axe {each}" for each in await violations(page)]
        assert problems == [], "\n".join(problems)
    finally:
        await context.close()


@pytest.mark.parametrize("scene", AGENT_SCENES, ids=lambda scene: scene.name)
async def test_the_agents_widget(browser: Browser, pages: str, scene: Scene) -> None:
    await show(browser, pages, scene, FRAMES[0], "dark", "agent")
    await show(browser, pages, scene, FRAMES[1], "light", "agent")


@pytest.mark.parametrize("scene", CONSUMER_SCENES, ids=lambda scene: scene.name)
async def test_the_consumers_widget(browser: Browser, pages: str, scene: Scene) -> None:
    await show(browser, pages, scene, PHONES[0], "light", "consumer")
    await show(browser, pages, scene, PHONES[1], "dark", "consumer")


@pytest.mark.parametrize("scene", GUEST_SCENES, ids=lambda scene: scene.name)
async def test_the_guests_page(browser: Browser, pages: str, scene: Scene) -> None:
    await show(browser, pages, scene, PAGES[0], "light", "guest")
    await show(browser, pages, scene, PAGES[1], "dark", "guest")


TRANSLATED = {"idle-reachable", "calling-hidden", "people", "more", "incoming", "check", "join"}


@pytest.mark.parametrize("language", ["de", "he"])
@pytest.mark.parametrize(
    "scene",
    [
        scene
        for scene in (*AGENT_SCENES, *CONSUMER_SCENES, *GUEST_SCENES)
        if scene.name in TRANSLATED
    ],
    ids=lambda scene: f"{scene.role}-{scene.name}",
)
async def test_other_languages_and_right_to_left(
    browser: Browser, pages: str, scene: Scene, language: str
) -> None:
    name = f"{language}-{scene.role}"
    await show(browser, pages, scene, (320, 600), "light", name, language)
