"""A picture of every screen and state, phone and desktop, light and dark; no axe violation, no
overflow, no script error in any of them. The pictures are for a person to look at."""

from __future__ import annotations

import re

import pytest

from tests.browser.catalogues import LANGUAGES
from tests.browser.demo import ROOT
from tests.browser.gallery import (
    AGENT_SCENES,
    CONSUMER_SCENES,
    CROWDS,
    GUEST_SCENES,
    LOGIN_SCENES,
    PROOF_SCENES,
    Scene,
)
from tests.browser.gallery_between import BETWEEN_SCENES
from tests.browser.gallery_pictures import MORE_PICTURE_SCENES, PICTURE_SCENES
from tests.browser.gallery_troubles import TROUBLE_SCENES
from tests.browser.studio import Studio

AGENT_LOOKS = [((280, 540), "dark"), ((340, 680), "light")]
CONSUMER_LOOKS = [((320, 568), "light"), ((380, 600), "dark")]
GUEST_LOOKS = [((390, 844), "light"), ((1280, 800), "dark")]
BETWEEN_LOOKS = [((320, 568), "light")]
PICTURE_LOOKS = [((280, 540), "dark"), ((1280, 800), "light")]
ALL_SCENES = (
    *AGENT_SCENES,
    *CROWDS,
    *PROOF_SCENES,
    *CONSUMER_SCENES,
    *GUEST_SCENES,
    *LOGIN_SCENES,
    *BETWEEN_SCENES,
    *TROUBLE_SCENES,
    *PICTURE_SCENES,
    *MORE_PICTURE_SCENES,
)
TRANSLATED = {
    *("idle-reachable", "calling-hidden", "people", "more", "login", "enrol-wrong", "compare"),
    *("incoming", "check", "join"),
}
IN_CI = {
    "de": TRANSLATED,
    "he": TRANSLATED,
    "ja": {"calling-hidden", "people", "incoming", "check"},
}
"""The longest words, right to left, and, where most is said, a script without spaces; the rest are
for `make soak`."""
OTHERS = [
    pytest.param(
        scene,
        language,
        id=f"{scene.role}-{scene.name}-{language}",
        marks=() if scene.name in IN_CI.get(language, ()) else pytest.mark.soak,
    )
    for language in LANGUAGES
    if language != "en"
    for scene in ALL_SCENES
    if scene.name in TRANSLATED
]
EVERY_LOOK = [
    (size, scheme)
    for size in ((280, 540), (320, 568), (390, 844), (844, 390), (1280, 800))
    for scheme in ("light", "dark")
]
LARGER_LOOKS = [
    ((320, 568), "light"),
    ((390, 844), "dark"),
    ((844, 390), "light"),
    ((640, 400), "dark"),
]
"""Phones, and a page of 1280 by 800 that is enlarged itself."""
ALL_IN_ALL_LANGUAGES = pytest.mark.parametrize(
    ("scene", "language"),
    [
        pytest.param(
            scene, language, id=f"{language}-{scene.role}-{scene.name}", marks=pytest.mark.soak
        )
        for language in LANGUAGES
        for scene in ALL_SCENES
    ],
)


PRESENTED = re.compile(r"\bpresent\(\s*([^,]+),")
BY_WHOM = {
    "agent-proof": ["/agent"],
    "agent-widget": ["/agent"],
    "engagement-widget": ["/engagement"],
    "guest-page": ["/join"],
    "login-page": ["/login"],
    "widget": ["/agent", "/engagement", "/join"],
}
"""On which pages a module's views are seen."""
COMPUTED = {
    "client.deserted ? 'deserted' : 'elsewhere'": ["deserted", "elsewhere"],
    "key": ["connecting", "is_back_soon"],
    "outcome": ["login_done", "login_refused"],
    "view": ["quiet", "shut"],
    "view.name": ["login", "enrol"],
}
"""The views whose names stand in no text of their own."""
UNSEEN = {("/agent", "none")}
"""In no scene: the workspace has no conversation, which the address of a scene always names."""


def test_every_view_that_a_widget_presents_is_one_of_a_scene() -> None:
    presented = {
        (page, name)
        for module in sorted((ROOT / "widgets/elements").glob("*.js"))
        for said in PRESENTED.findall(module.read_text())
        if said != "name"
        for name in COMPUTED.get(said) or re.fullmatch("'(.+)'", said).groups()  # type: ignore[union-attr]
        for page in BY_WHOM[module.stem]
    }
    assert presented >= UNSEEN
    seen = {(re.split("[?#]", scene.path)[0], scene.view) for scene in ALL_SCENES}
    assert presented - seen == UNSEEN


@pytest.mark.parametrize("scene", AGENT_SCENES, ids=lambda scene: scene.name)
async def test_the_agents_widget(studio: Studio, scene: Scene) -> None:
    await studio.show(scene, AGENT_LOOKS, "agent")


@pytest.mark.parametrize("scene", PROOF_SCENES, ids=lambda scene: scene.name)
async def test_what_proves_an_agent(studio: Studio, scene: Scene) -> None:
    await studio.show(scene, AGENT_LOOKS, "proof")


@pytest.mark.parametrize("scene", LOGIN_SCENES, ids=lambda scene: scene.name)
async def test_the_login_page(studio: Studio, scene: Scene) -> None:
    await studio.show(scene, GUEST_LOOKS, "login")


@pytest.mark.parametrize("scene", CONSUMER_SCENES, ids=lambda scene: scene.name)
async def test_the_consumers_widget(studio: Studio, scene: Scene) -> None:
    await studio.show(scene, CONSUMER_LOOKS, "consumer")


@pytest.mark.parametrize("scene", GUEST_SCENES, ids=lambda scene: scene.name)
async def test_the_guests_page(studio: Studio, scene: Scene) -> None:
    await studio.show(scene, GUEST_LOOKS, "guest")


@pytest.mark.parametrize("scene", PICTURE_SCENES, ids=lambda scene: f"{scene.role}-{scene.name}")
async def test_people_who_are_seen(studio: Studio, scene: Scene) -> None:
    await studio.show(scene, PICTURE_LOOKS, f"seen-{scene.role}")


@pytest.mark.parametrize("scene", BETWEEN_SCENES, ids=lambda scene: f"{scene.role}-{scene.name}")
async def test_what_comes_before_a_session_after_it_and_meanwhile(
    studio: Studio, scene: Scene
) -> None:
    await studio.show(scene, BETWEEN_LOOKS, f"between-{scene.role}")


@pytest.mark.parametrize(("scene", "language"), OTHERS)
async def test_other_languages_and_right_to_left(
    studio: Studio, scene: Scene, language: str
) -> None:
    # The longest words are the hardest to enlarge.
    larger = language == "de"
    name = f"{language}-{scene.role}"
    await studio.show(scene, [((320, 600), "light")], name, language, larger=larger)


@ALL_IN_ALL_LANGUAGES
async def test_every_scene_in_every_language_size_and_scheme(
    studio: Studio, scene: Scene, language: str
) -> None:
    name = f"all-{language}-{scene.role}"
    await studio.show(scene, EVERY_LOOK, name, language, thorough=True)


@ALL_IN_ALL_LANGUAGES
async def test_words_may_stand_wider_and_be_twice_as_large(
    studio: Studio, scene: Scene, language: str
) -> None:
    name = f"larger-{language}-{scene.role}"
    await studio.show(scene, LARGER_LOOKS, name, language, larger=True)
