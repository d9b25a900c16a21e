"""The widgets' pure parts and the wire's vectors, run by the browser that people use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from tests.browser.demo import ROOT
from tests.patience import PATIENCE

TYPES = {".js": "text/javascript", ".json": "application/json", ".css": "text/css"}


async def _from_tree(route: Route) -> None:
    file = ROOT / route.request.url.split("/", 3)[3]
    await route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(browser: Browser, pages: str) -> AsyncIterator[Page]:
    """A page of the gateway's own origin, where modules are had from the tree."""
    page = await browser.new_page()
    for folder in ("widgets", "tests"):
        await page.route(f"{pages}/{folder}/**", _from_tree)
    await page.goto(f"{pages}/join")
    yield page
    await page.close()


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("reduce", 21),
        ("slot-turn", 16),
        ("tile", 7),
        ("channel", 18),
        ("vectors", 3),
        ("agent-host", 12),
        ("agent-proof", 3),
        ("window-host", 4),
        ("report", 5),
        ("text-panel", 5),
        ("announcer", 5),
        ("handing-out", 2),
        ("notices", 9),
        ("over-words", 4),
        ("colleagues", 5),
        ("later", 2),
        ("windows-of-ours", 2),
        ("guest-links", 2),
        ("keyed", 4),
        ("media-link", 12),
        ("peer", 2),
        ("local-media", 12),
        ("client", 15),
        ("engagement", 1),
        ("focus", 4),
        ("outgoing", 2),
        ("words", 3),
        ("stage", 7),
        ("gateway", 2),
        ("ringing", 1),
        ("device-key", 1),
    ],
)
async def test_units(page: Page, name: str, least: int) -> None:
    outcome: dict[str, Any] = await page.evaluate(
        """async ([name, patience]) => {
          const { run } = await import('/tests/browser/units/check.js');
          const { tests } = await import(`/tests/browser/units/${name}.js`);
          return run(tests, patience);
        }""",
        [name, PATIENCE],
    )
    assert outcome["failures"] == []
    assert outcome["passed"] >= least
