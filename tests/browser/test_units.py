"""The widgets' pure parts and the wire's vectors, run by the browser that people use."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Route

from tests.browser.demo import ROOT

TYPES = {".js": "text/javascript", ".json": "application/json"}


async def _from_tree(route: Route) -> None:
    file = ROOT / route.request.url.split("/", 3)[3]
    await route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("reduce", 17),
        ("slot-turn", 11),
        ("channel", 9),
        ("vectors", 3),
        ("agent-host", 5),
        ("text-panel", 3),
    ],
)
async def test_units(browser: Browser, pages: str, name: str, least: int) -> None:
    page = await browser.new_page()
    for folder in ("widgets", "tests"):
        await page.route(f"{pages}/{folder}/**", _from_tree)
    await page.goto(f"{pages}/join")
    outcome: dict[str, Any] = await page.evaluate(
        """async (name) => {
          const { run } = await import('/tests/browser/units/check.js');
          const { tests } = await import(`/tests/browser/units/${name}.js`);
          return run(tests);
        }""",
        name,
    )
    await page.close()
    assert outcome["failures"] == []
    assert outcome["passed"] >= least
