"""axe-core, where it is installed: injected into a page past its content security policy."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Frame, Page

from tests.browser.demo import ROOT

PLACES = (
    ROOT / ".ci" / "javascript" / "node_modules" / "axe-core" / "axe.min.js",
    Path(os.environ.get("AXE_CORE", "/nowhere")) / "axe.min.js",
)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@cache
def _source() -> str | None:
    found = next((place for place in PLACES if place.is_file()), None)
    return None if found is None else found.read_text()


async def violations(page: Page | Frame) -> list[str]:
    """Every breach of WCAG 2.2 AA that axe finds, in a line each."""
    source = _source()
    if source is None:
        if os.environ.get("CI"):
            pytest.fail("axe-core is not installed below .ci/javascript")
        return []
    await page.evaluate(source)
    found: dict[str, Any] = await page.evaluate(
        "(tags) => axe.run(document, { runOnly: { type: 'tag', values: tags } })", RULES
    )
    return [
        f"{each['id']}: {node['html'][:120]} ({node.get('failureSummary', '')[:300]})"
        for each in found["violations"]
        for node in each["nodes"]
    ]
