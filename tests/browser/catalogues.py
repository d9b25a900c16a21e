"""The widgets' catalogues, read by Python."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.demo import ROOT

WIDGETS = ROOT / "widgets"
CATALOGUES = WIDGETS / "catalogues"
LANGUAGES = re.findall(
    r"'(\w+)'",
    re.findall(r"LANGUAGES = \[(.*?)\]", (CATALOGUES / "words.js").read_text(), re.DOTALL)[0],
)


def catalogue(language: str) -> dict[str, str]:
    """All sentences of one language by key, those of a proof at the end."""
    rows = [row for folder in (CATALOGUES, CATALOGUES / "proof") for row in _rows(folder, language)]
    assert len(rows) == len(dict(rows)), "a key stands twice"
    return dict(rows)


def _rows(folder: Path, language: str) -> list[tuple[str, str]]:
    text = (folder / f"{language}.js").read_text()
    rows = re.findall(r"^  (\w+): '(.*)',$", text, re.MULTILINE)
    assert len(rows) == len(re.findall(r"^  \w+:", text, re.MULTILINE)), "a row reads otherwise"
    return rows
