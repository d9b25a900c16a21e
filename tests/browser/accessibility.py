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


async def prepare(page: Page | Frame) -> None:
    """Bring axe into a page; it stays until the page goes."""
    await page.evaluate(_source())


async def violations(page: Page | Frame) -> list[str]:
    """Every breach of WCAG 2.2 AA that axe finds, in a line each; `prepare` comes first."""
    found: list[dict[str, Any]] = await page.evaluate(
        """async (tags) => {
          const runOnly = { type: 'tag', values: tags };
          const { violations } = await axe.run(document, { runOnly, resultTypes: ['violations'] });
          return violations;
        }""",
        RULES,
    )
    return [
        f"{each['id']}: {node['html'][:120]} ({node.get('failureSummary', '')[:300]})"
        for each in found
        for node in each["nodes"]
    ]
