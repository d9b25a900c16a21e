"""Every language says everything, with the same places to fill in; nothing said is unknown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.relay import Grade
from actors.session.media import QUALITY_WORDS
from broker.close_codes import CloseCode
from broker.errors import ErrorCode
from broker.messages.client import InvitationTrouble
from broker.state import HIDDEN_WAYS
from broker.words import (
    Asked,
    EndReason,
    InvitationState,
    LeaveReason,
    PublishSource,
    Reach,
    Role,
    Way,
)
from tests.browser.catalogues import CATALOGUES, LANGUAGES, WIDGETS, catalogue

OF_BUTTONS = r"wordButton\(\s*|say: |told\("
"""What stands before a key that names what a button, or a screen, says."""


def places(sentence: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", sentence))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    english, other = catalogue("en"), catalogue(language)
    assert list(other) == list(english), "the same keys in the same order"
    for key, sentence in other.items():
        assert sentence.strip(), key
        assert places(sentence) == places(english[key]), key


AMISS = {
    "de": r"\b(?:du|dich|dir|dein\w*|euch|euer|eure\w*|(?:mit|bei|von|zu) Ihr)\b",
    "es": r"\b(?:tú|te|ti|tus?|contigo|tuy[oa]s?|vosotr[oa]s|os|vuestr[oa]s?)\b|\b\w+áis\b|"
    r"\b(?:has|estás|puedes|tienes|quieres)\b",
    "fr": r"\b(?:tu|te|toi|ton|ta|tes)\b| [:;?!]|\w-(?:la|les?|en|vous|nous|ci|t-il)\b",
    "he": r"\b(?:אתה|את/ה|אותך|אליך|שלך|לך)\b",
    "ja": r"お客様(?:様|さん)|(?:担当者|参加者)さん",
    "pt": r"\b(?:tu|te|teus?|tuas?|ecrã|partilhar|ligação|connosco|registar|a sua rede)\b|"
    r"\best(?:á|ão|ar) a \w+r\b",
}
"""An address other than the formal one, in Hebrew than the plural; German that is not declined;
European words in the Portuguese of Brazil; French signs and hyphens at which a line may break; an
honorific too many."""


@pytest.mark.parametrize("language", AMISS)
def test_a_language_addresses_everybody_in_one_way(language: str) -> None:
    amiss = re.compile(AMISS[language], re.IGNORECASE)
    sentences = catalogue(language)
    filled = [said.replace("{name}", sentences["your_visitor"]) for said in sentences.values()]
    assert [said for said in filled if amiss.search(said)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_wrong_is_said_with_what_to_do_next(language: str) -> None:
    # Where another device is in use already, nothing is to be done.
    bare = [
        key
        for key, said in catalogue(language).items()
        if key.startswith("trouble_") and key != "trouble_replaced"
        if len(re.findall(r"\.(?: |$)|。", said)) < 2
    ]
    assert bare == []


def test_no_view_sets_a_colon_or_a_quotation_mark_of_its_own() -> None:
    """Languages set them differently: `colon` and `quoted` do."""
    views = [path for folder in ("views", "elements") for path in (WIDGETS / folder).glob("*.js")]
    own = re.compile(r"\}: |`: |[“”„«»]")
    assert [path.name for path in views if own.search(path.read_text())] == []


def test_every_catalogue_is_offered() -> None:
    offered = {f"{language}.js" for language in LANGUAGES}
    assert {path.name for path in CATALOGUES.glob("*.js")} == {"words.js"} | offered
    assert {path.name for path in CATALOGUES.glob("*/*")} == offered


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_a_proof_says_what_comes_with_it(language: str) -> None:
    """A module that another page needs, too, would find no words of it there."""
    asked = re.compile(r"'((?:login|enrol)_\w+|link_(?:send|text))'")
    sources = {path for path in WIDGETS.rglob("*.js") if asked.search(path.read_text())}
    assert {path.stem for path in sources} == {"agent-login", "consumer-link", "login-page"}
    rows = (CATALOGUES / "proof" / f"{language}.js").read_text()
    keys = re.findall(r"^  (\w+):", rows, re.MULTILINE)
    assert [key for key in keys if not asked.fullmatch(f"'{key}'")] == []


def test_what_the_widgets_say_is_in_the_catalogue() -> None:
    english = catalogue("en")
    unknown: list[tuple[Path, str]] = []
    for file in WIDGETS.rglob("*.js"):
        if file.is_relative_to(WIDGETS / "simulator") or file.is_relative_to(WIDGETS / "console"):
            continue
        for said in re.findall(rf"\b(?:say\(|{OF_BUTTONS})'(\w+)'", file.read_text()):
            if said not in english:
                unknown.append((file, said))
        for said in re.findall(r"\btold\('(\w+)'", file.read_text()):
            if f"{said}_help" not in english:
                unknown.append((file, f"{said}_help"))
    assert unknown == []


CLOSED = {state.value for state in InvitationState} - {"sent", "ringing", "accepted"}
"""How an invitation ends without a session."""
ALIKE = {"cancelled", "failed"}
"""Of these, what the one who invites and the other read in the same words."""
TROUBLES = re.findall(
    r"[a-z_]+", InvitationTrouble.model_json_schema()["properties"]["trouble"]["pattern"]
)
AGENT_WIDGET = (WIDGETS / "elements" / "agent-widget.js").read_text()
DOORS = dict(re.findall(r"^  (\w+): '(\w+)',$", AGENT_WIDGET, re.MULTILINE))
"""What an agent reads of a connection that was refused, by code or close code."""
SPOKEN: dict[str, set[str]] = {
    "closed": set(DOORS.values()),
    "colleague": {asked.value for asked in Asked},
    "way": {way.value for way in Way},
    "is": {way.value for way in HIDDEN_WAYS},
    "now": {way.value for way in HIDDEN_WAYS},
    # Where somebody stands says nothing of who they are: `surface` is not shown.
    "differs": {"visitor_id", "participant_visitor_id", "visitor_name", "channel"},
    "layout": {"auto", "grid", "speaker"},
    # A session that ends says its own reason; who goes elsewhere is told in a view of its own.
    "over": CLOSED | {reason.value for reason in LeaveReason} - {"session_ended"},
    "quality": {grade.value for grade in Grade} - {"good"},
    "reach": {reach.value for reach in Reach},
    "reason": set(QUALITY_WORDS.values()),
    "ring": CLOSED - ALIKE | set(TROUBLES),
    "role": {role.value for role in Role},
    "what": {source.value for source in PublishSource},
    # What is known before anything is opened; the rest is `troubleSentence`'s.
    "trouble": {"insecure", "no_webrtc", "blocked_by_frame"},
}
"""What may fill the place in `say(`word_${place}`)`, by that word."""


def test_every_word_of_the_broker_has_its_sentence() -> None:
    """Keys that are put together, against the sets of words that fill them."""
    english = catalogue("en")
    sources = [path.read_text() for path in WIDGETS.rglob("*.js") if "simulator" not in path.parts]
    found = {word for text in sources for word in re.findall(r"\bsay(?:: |\(\s*)`(\w+?)_\$", text)}
    assert found == SPOKEN.keys()
    missing = [
        f"{word}_{place}"
        for word, places in SPOKEN.items()
        for place in places
        if f"{word}_{place}" not in english
    ]
    assert missing == []
    for reason in EndReason:
        assert reason.value in english


MOMENTS = {
    ErrorCode.LEDGER_AWAY,
    ErrorCode.SESSION_AWAY,
    ErrorCode.SHUTTING_DOWN,
    ErrorCode.HELLO_TIMEOUT,
    ErrorCode.TOO_SLOW,
    ErrorCode.INTERNAL,
}
"""What passes by itself: to try again is all there is to say."""
GONE = {ErrorCode.UNKNOWN_INVITATION, ErrorCode.NO_INVITATION}
"""What is said as of one that was open."""
STRANGE = {ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.PROTOCOL_UNSUPPORTED}
"""What is said as of a message that is not understood."""
BY_NUMBER = {
    CloseCode.UNAUTHENTICATED: {
        ErrorCode.TOKEN_MISSING,
        ErrorCode.TOKEN_EXPIRED,
        ErrorCode.TOKEN_INVALID,
    },
}
"""What an agent reads by the number with which these close."""
UNREAD = {
    # A mistake of ours, for the administrator.
    ErrorCode.BINARY_FRAME,
    ErrorCode.HELLO_EXPECTED,
    # The widget shows that it rings, and offers nothing more.
    ErrorCode.INVITATION_OPEN,
    # It was their own wish.
    ErrorCode.WITHDRAWN,
    # Where a session is gone its widget is told so, and asks nothing of it.
    ErrorCode.UNKNOWN_SESSION,
    # Whoever negotiates acts on these, and says how far sound and picture are.
    ErrorCode.OFFER_INVALID,
    ErrorCode.OFFER_TOO_LARGE,
    ErrorCode.OFFER_WITHOUT_MEDIA,
    ErrorCode.NO_COMMON_CODEC,
    ErrorCode.STALE_EPOCH,
    # Screens of their own.
    ErrorCode.REPLACED,
    ErrorCode.LINK_USED,
    ErrorCode.UNKNOWN_ENTRY,
    # Only operators name nodes.
    ErrorCode.UNKNOWN_NODE,
}


def test_whatever_is_refused_is_a_sentence_and_no_code() -> None:
    told = {code for code in ErrorCode if f"error_{code}" in catalogue("en")} | GONE | STRANGE
    numbers = {str(int(number)): codes for number, codes in BY_NUMBER.items()}
    assert DOORS.keys() <= set(ErrorCode) | numbers.keys()
    doors = set(DOORS) & set(ErrorCode) | set().union(*numbers.values())
    assert numbers.keys() <= DOORS.keys()
    assert set(ErrorCode) - told - doors == MOMENTS | UNREAD
    assert not (told | doors) & (MOMENTS | UNREAD)


def test_what_is_said_as_of_another_is_said_of_no_further_code() -> None:
    folds = re.findall(r"\.replace\(/(\S+)/u, '(\w+)'\)", (CATALOGUES / "words.js").read_text())
    folded = {said: {code for code in ErrorCode if re.search(each, code)} for each, said in folds}
    assert folded == {"invitation_closed": GONE, "malformed": STRANGE}
    assert {f"error_{said}" for said in folded} <= catalogue("en").keys()


def test_every_sentence_is_said_somewhere() -> None:
    modules = [path for path in WIDGETS.rglob("*.js") if CATALOGUES not in path.parents]
    sources = "".join(path.read_text() for path in modules)
    named = set(re.findall(r"'(\w+)'", sources))
    helped = {f"{key}_help" for key in re.findall(r"\btold\('(\w+)'", sources)}
    outcomes = {"login_done_help", "login_refused_help"}
    composed = {f"{word}_{place}" for word, places in SPOKEN.items() for place in places}
    reasons = {reason.value for reason in EndReason}
    unsaid = catalogue("en").keys() - named - helped - outcomes - composed - reasons
    # By the code of a refusal, and by what is wrong with which device.
    assert [key for key in unsaid if not key.startswith(("error_", "trouble_"))] == []


def test_no_sentence_waits_for_a_word_that_never_comes() -> None:
    english = catalogue("en")
    for word in ("reason", "quality", "reach", "differs", "colleague", "layout", "what"):
        said = {key.removeprefix(f"{word}_") for key in english if key.startswith(f"{word}_")}
        assert said - {"absent_help", "asks"} == SPOKEN[word], word
