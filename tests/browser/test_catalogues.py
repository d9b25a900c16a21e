"""Every language says everything, with the same places to fill in; nothing said is unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.catalogues import CATALOGUES, LANGUAGES, PARTS, WIDGETS, catalogue, part
from tests.contract.test_size import PAGES, SIDES, files_of


def places(sentence: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", sentence))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    for name in PARTS:
        keys = [list(part(name.format(each))) for each in ("en", language)]
        assert keys[0] == keys[1], "the same keys in the same order"
    for key, sentence in other.items():
        assert sentence.strip(), key
        assert places(sentence) == places(english[key]), key


AMISS = {
    "de": r"\b(?:du|dich|dir|dein\w*|euch|euer|eure\w*)\b",
    "es": r"\b(?:tú|te|ti|tus?|contigo|tuy[oa]s?|vosotr[oa]s|os|vuestr[oa]s?)\b|\b\w+áis\b|"
    r"\b(?:has|estás|puedes|tienes|quieres)\b",
    "fr": r"\b(?:tu|te|toi|ton|ta|tes)\b| [:;?!]",
    "he": r"\b(?:אתה|את/ה|אותך|אליך|שלך|לך)\b",
    "ja": r"お客様(?:様|さん)|(?:担当者|参加者)さん",
    "pt": r"\b(?:tu|te|teus?|tuas?|ecrã|partilhar|ligação|connosco|registar|a sua rede)\b|"
    r"\best(?:á|ão|ar) a \w+r\b",
}
"""An address other than the formal one, in Hebrew than the plural; European words in the Portuguese
of Brazil; French signs at which a line may break; an honorific too many."""


@pytest.mark.parametrize("language", AMISS)
def test_a_language_addresses_everybody_in_one_way(language: str) -> None:
    amiss = re.compile(AMISS[language], re.IGNORECASE)
    sentences = catalogue(language)
    filled = [said.replace("{name}", sentences["your_visitor"]) for said in sentences.values()]
    assert [said for said in filled if amiss.search(said)] == []


def test_no_view_sets_a_colon_of_its_own() -> None:
    """Languages set it differently: `colon` does."""
    views = [path for folder in ("views", "elements") for path in (WIDGETS / folder).glob("*.js")]
    own = re.compile(r"\}: |`: ")
    assert [path.name for path in views if own.search(path.read_text())] == []


def test_every_catalogue_is_offered() -> None:
    files = {path.stem for path in CATALOGUES.glob("*.js")} - {"words"}
    assert files == set(LANGUAGES)
    for folder in CATALOGUES.iterdir():
        if folder.is_dir():
            assert {path.stem for path in folder.glob("*.js")} == files


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


def test_what_comes_at_once_says_nothing_of_what_comes_later() -> None:
    """`agent-idle.js` alone knows how to wait: it names a sentence once its part is there."""
    later = part("later/en") | part("proof/en") | part("login/en")
    early = {named for page in PAGES for named in said_at_once(page) if named[1] in later}
    assert early == {("agent-idle.js", "ways_help")}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_at_once_what_it_says_at_once(page: str) -> None:
    said = [part("en"), *(part(f"{side}/en") for side in SIDES[page])]
    missing = catalogue("en").keys() - {key for sentences in said for key in sentences}
    early = {named for named in said_at_once(page) if named[1] in missing}
    assert early <= {("agent-idle.js", "ways_help")}


def said_at_once(page: str) -> set[tuple[str, str]]:
    """Sentences that modules of the page name, with the modules."""
    return {
        (path.name, said)
        for path in files_of(page)
        if path.suffix == ".js" and CATALOGUES not in path.parents
        for said in re.findall(r"\bsay\([^()]*?'(\w+)'", path.read_text())
    }
