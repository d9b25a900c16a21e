"""The widgets' pure parts and the wire's vectors, run by the browser that people use."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Playwright, Route

from benchmarks.browser import launch
from tests.browser.broker_double import serve_pages
from tests.browser.demo import ROOT

TYPES = {".js": "text/javascript", ".json": "application/json"}


async def _from_tree(route: Route) -> None:
    file = ROOT / route.request.url.split("/", 3)[3]
    await route.fulfill(body=file.read_bytes(), content_type=TYPES[file.suffix])


@pytest.mark.parametrize(
    ("name", "least"), [("reduce", 14), ("slot-turn", 9), ("channel", 8), ("vectors", 3)]
)
async def test_units(playwright: Playwright, name: str, least: int) -> None:
    browser = await launch(playwright)
    try:
        with serve_pages() as origin:
            page = await browser.new_page()
            for folder in ("widgets", "tests"):
                await page.route(f"{origin}/{folder}/**", _from_tree)
            await page.goto(f"{origin}/join")
            outcome: dict[str, Any] = await page.evaluate(
                """async (name) => {
                  const { run } = await import('/tests/browser/units/check.js');
                  const { tests } = await import(`/tests/browser/units/${name}.js`);
                  return run(tests);
                }""",
                name,
            )
    finally:
        await browser.close()
    assert outcome["failures"] == []
    assert outcome["passed"] >= least
