"""axe-core, injected into a page past its content security policy."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from playwright.async_api import Frame, Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@cache
def _source() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text()


async def violations(page: Page | Frame) -> list[str]:
    """Every breach of WCAG 2.2 AA that axe finds, in a line each."""
    await page.evaluate(_source())
    found: dict[str, Any] = await page.evaluate(
        "(tags) => axe.run(document, { runOnly: { type: 'tag', values: tags } })", RULES
    )
    return [
        f"{each['id']}: {node['html'][:120]} ({node.get('failureSummary', '')[:300]})"
        for each in found["violations"]
        for node in each["nodes"]
    ]
