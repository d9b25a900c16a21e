"""axe-core, injected into a page past its content security policy."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from tests.browser.demo import Evaluates

ALL = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
OF_LOOKS = {
    "type": "rule",
    "values": [
        "color-contrast",
        "link-in-text-block",
        "scrollable-region-focusable",
        "target-size",
    ],
}
"""What axe reads from style and layout; all else stands in the elements and their attributes."""


@cache
def _source() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text()


async def prepare(page: Evaluates) -> None:
    """Bring axe into a page of whichever browser; it stays until the page goes."""
    await page.evaluate(f"(() => {{ {_source()} }})()")


async def violations(page: Evaluates, *, seen_otherwise: bool = False) -> list[str]:
    """Every breach of WCAG 2.2 AA that axe finds, in a line each; `prepare` comes first.

    `seen_otherwise`: this very page was searched in another size or colour scheme.
    """
    options = {
        "runOnly": OF_LOOKS if seen_otherwise else ALL,
        "resultTypes": ["violations"],
    }
    found: list[dict[str, Any]] = await page.evaluate(
        f"axe.run(document, {json.dumps(options)}).then(({{ violations }}) => violations)"
    )
    return [
        f"{each['id']}: {node['html'][:120]} ({node.get('failureSummary', '')[:300]})"
        for each in found
        for node in each["nodes"]
    ]
