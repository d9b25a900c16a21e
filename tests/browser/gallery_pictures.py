"""People who are seen: scenes whose seats carry moving pictures instead of initials."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from playwright.async_api import Page

from broker.messages.facts import MediaQuality, MediaSpeaker, RosterChanged
from broker.messages.parts import RosterEntry, SeatAssignment
from broker.words import Attendance, Role
from tests.browser.broker_double import BrokerDouble, painted, person, snapshot
from tests.browser.catalogues import catalogue
from tests.browser.gallery import AGENT, ENGAGEMENT, Play, Scene, press, say

BRING = f"() => {{ {(Path(__file__).parent / 'pictures.js').read_text()} }}"
SEEN = """(number) => {
  const players = [...document.querySelectorAll('.tile[data-picture=yes]:not([hidden]) video')];
  return players.length === number &&
    players.every(({ readyState, videoWidth }) => readyState >= 2 && videoWidth > 2);
}"""
"""Whether so many tiles show a picture that has come."""
Look = Mapping[str, str | int]
LOOKS: Sequence[Look] = (
    {"shape": "tall", "room": "bright"},
    {"shape": "wide", "room": "warm"},
    {"shape": "wide", "room": "bright"},
    {"shape": "wide", "room": "dark"},
    {"shape": "tall", "room": "green"},
    {"shape": "wide", "room": "green"},
    {"shape": "tall", "room": "dark"},
)
"""What the others send."""
DESK: Look = {"shape": "wide", "room": "green", "number": 8}
PHONE: Look = {"shape": "tall", "room": "warm", "number": 9}


def seen(
    number: int,
    *,
    me: int = 0,
    own: Look = DESK,
    first: int = 0,
    screen: bool = False,
    dark: Sequence[int] = (),
    then: Play | None = None,
) -> Play:
    """So many take part, and are seen but for those who are `dark`.

    `own`: this person's camera; `first`: which of the looks the first seat has; `screen`: the
    other of agent and consumer shares theirs; `then`: what happens once everybody is seen.
    """

    shares = 1 - me

    def roster(*, on: bool) -> list[RosterEntry]:
        return [
            person(each, camera=on and each not in dark, screen=on and screen and each == shares)
            for each in range(number)
        ]

    async def play(double: BrokerDouble, page: Page) -> None:
        await page.evaluate(BRING)
        await page.evaluate("(look) => pictures.own(look)", own)
        start = snapshot(me, roster(on=False))
        if screen:
            shared = SeatAssignment(kind="screen", index=0, participant_id=f"p{shares}")
            start = start.model_copy(update={"seats": [*start.seats, shared]})
        await double.tell(start)
        looks = [
            {**LOOKS[at % len(LOOKS)], "number": at} for at in range(first, first + number - 1)
        ]
        await page.evaluate("([looks, screen]) => pictures.seats(looks, screen)", [looks, screen])
        await double.tell(RosterChanged(seq=2, roster=roster(on=True)))
        await page.wait_for_function(SEEN, arg=number - len(dark) + screen)
        if then:
            await then(double, page)

    return play


async def speaker(double: BrokerDouble, page: Page) -> None:
    """Choose the layout in which the others stand below who speaks."""
    await double.tell(MediaSpeaker(seq=3, participant_id="p3"))
    language = await page.evaluate("document.documentElement.lang")
    # A space that does not break is as good as a plain one.
    parts = catalogue(language)["layout"].partition("{")[0].split()
    words = re.compile(r"\s".join(map(re.escape, parts)))
    for _ in range(2):
        await press("more")(double, page)
        await page.get_by_role("button", name=words).click()
    await painted(page)


def _agent(name: str, play: Play) -> Scene:
    return Scene(f"seen-{name}", AGENT, Role.AGENT, play)


AWAY = person(1, camera=True, attendance=Attendance.RECONNECTING)
PICTURE_SCENES = (
    _agent("phone", seen(2)),
    _agent("3", seen(3, dark=[2])),
    _agent("8", seen(8, dark=[6])),
    _agent("screen", seen(4, screen=True)),
    _agent("speaker", seen(6, then=speaker)),
    _agent("people", seen(4, then=press("people"))),
    Scene("seen-phone", ENGAGEMENT, Role.CONSUMER, seen(2, me=1, own=PHONE, first=3)),
)
MORE_PICTURE_SCENES = (
    _agent(
        "poorly",
        seen(
            2,
            first=2,
            then=say(
                MediaSpeaker(seq=3, participant_id="p1"),
                MediaQuality(seq=4, participant_id="p1", grade="poor", reason="loss"),
            ),
        ),
    ),
    _agent("alone", seen(1)),
    _agent("alone-phone", seen(1, own=PHONE)),
    _agent("away", seen(2, then=say(RosterChanged(seq=3, roster=[person(0), AWAY])))),
    _agent("screen-of-two", seen(2, screen=True)),
    *(_agent(str(number), seen(number)) for number in (4, 5, 6, 7)),
    Scene("seen-screen", ENGAGEMENT, Role.CONSUMER, seen(3, me=1, own=PHONE, first=1, screen=True)),
)
"""Looked at more seldom."""
