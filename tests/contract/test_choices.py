"""What the demo's address may choose: named by the simulators, the form and the document alike."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIMULATOR = ROOT / "widgets" / "simulator"
TOLD = {"lpHost"}
"""What the simulated hosts add to a widget's address, and nobody chooses."""
ROW = re.compile(r"^(?: \* )?\| ((?:`\w+`(?:, )?)+) \| ([^|]*)\|", re.MULTILINE)
"""A table's row: names, and values."""


def chosen_in(text: str) -> dict[str, set[str]]:
    """The values of each parameter that a table names."""
    return {
        name: set(re.findall(r"`([\w:]+)`", values))
        for names, values in ROW.findall(text)
        for name in re.findall(r"\w+", names)
    }


def documented() -> dict[str, set[str]]:
    document = (ROOT / "docs" / "embedding.md").read_text()
    return chosen_in(document.partition("## The simulators")[2])


def read_by_the_simulators() -> set[str]:
    text = "".join(path.read_text() for path in SIMULATOR.glob("*.js"))
    asked = re.findall(r"query\.(?:get|has)\('(\w+)'\)", text)
    handed_on = re.findall(r"for \(const name of \[([^\]]*'lang'[^\]]*)\]\)", text)
    return {*asked, *(name for names in handed_on for name in re.findall(r"\w+", names))} - TOLD


def test_the_document_names_every_choice() -> None:
    assert documented() == chosen_in((SIMULATOR / "scene.js").read_text())
    assert documented().keys() == read_by_the_simulators()


def test_the_form_offers_what_there_is() -> None:
    page = (SIMULATOR / "index.html").read_text()
    offered = re.findall(r'<select name="(\w+)">(.*?)</select>', page)
    # Who sits there has links of its own; who meets is for tests.
    for_tests = {"as", "conversation", "agent", "agentName", "visitor", "visitorName"}
    assert {name for name, _ in offered} == documented().keys() - for_tests
    for name, options in offered:
        values = re.findall(r"<option(?: value=\"([^\"]*)\")?>([^<]*)", options)
        kinds = {(value or text).partition(":")[0] for value, text in values if value or text}
        known = {value.partition(":")[0] for value in documented()[name]}
        assert known <= kinds, name
