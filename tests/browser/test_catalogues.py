"""Every language says everything, with the same places to fill in; nothing said is unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.catalogues import CATALOGUES, LANGUAGES, WIDGETS, catalogue


def places(sentence: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", sentence))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    assert list(other) == list(english), "the same keys in the same order"
    for key, sentence in other.items():
        assert sentence.strip(), key
        assert places(sentence) == places(english[key]), key


def test_every_catalogue_is_offered() -> None:
    files = {path.stem for path in CATALOGUES.glob("*.js")} - {"words"}
    assert files == set(LANGUAGES)


def test_what_the_widgets_say_is_in_the_catalogue() -> None:
    english = catalogue("en")
    unknown: list[tuple[Path, str]] = []
    for file in WIDGETS.rglob("*.js"):
        if file.is_relative_to(WIDGETS / "simulator"):
            continue
        for said in re.findall(r"\bsay\('(\w+)'", file.read_text()):
            if said not in english:
                unknown.append((file, said))
    assert unknown == []
