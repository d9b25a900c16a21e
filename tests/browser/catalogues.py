"""The widgets' catalogues, read by Python."""

from __future__ import annotations

import re

from tests.browser.demo import ROOT

WIDGETS = ROOT / "widgets"
CATALOGUES = WIDGETS / "catalogues"
LANGUAGES = re.findall(
    r"'(\w+)'",
    re.findall(r"LANGUAGES = \[(.*?)\]", (CATALOGUES / "words.js").read_text(), re.DOTALL)[0],
)


def catalogue(language: str) -> dict[str, str]:
    """All sentences of one language by key."""
    first, later = part(language), part(f"later/{language}")
    assert not first.keys() & later.keys(), "a key stands in both parts"
    return first | later


def part(name: str) -> dict[str, str]:
    """The sentences of one file."""
    text = (CATALOGUES / f"{name}.js").read_text()
    rows = re.findall(r"^  (\w+): '(.*)',$", text, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a key stands twice"
    assert len(rows) == len(re.findall(r"^  \w+:", text, re.MULTILINE)), "a row reads otherwise"
    return dict(rows)
