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

PARTS = ("{}", "agent/{}", "invited/{}", "later/{}", "staff/{}", "proof/{}", "login/{}")
"""What is said at once, to agents and to all others; later, and to the staff; in a proof; at the
login."""


def catalogue(language: str) -> dict[str, str]:
    """All sentences of one language by key."""
    parts = [part(name.format(language)) for name in PARTS]
    everything = {key: sentence for each in parts for key, sentence in each.items()}
    assert len(everything) == sum(map(len, parts)), "a key stands in two parts"
    return everything


def part(name: str) -> dict[str, str]:
    """The sentences of one file."""
    text = (CATALOGUES / f"{name}.js").read_text()
    rows = re.findall(r"^  (\w+): '(.*)',$", text, re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a key stands twice"
    assert len(rows) == len(re.findall(r"^  \w+:", text, re.MULTILINE)), "a row reads otherwise"
    return dict(rows)
