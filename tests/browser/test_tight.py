"""What fits where there is little room: on a phone that lies, and in the narrowest frame."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from playwright.async_api import Page, expect

from broker.messages.facts import RosterChanged
from broker.words import Attendance, Role
from tests.browser.broker_double import BrokerDouble, painted, person, snapshot
from tests.browser.demo import shoot
from tests.browser.gallery import (
    AGENT,
    AGENT_SCENES,
    CONSUMER_SCENES,
    ENGAGEMENT,
    PROOF_SCENES,
    SUPPORT,
    Play,
    Scene,
    press,
    say,
)
from tests.browser.gallery_pictures import AWAY, DESK, PHONE, seen, speaker
from tests.browser.gallery_troubles import TROUBLE_SCENES
from tests.browser.studio import Studio
from tests.browser.wrong import BADLY_SHOWN

LIES, NARROW = (844, 390), (280, 540)
OUT_OF_SIGHT = """() => [...document.querySelectorAll('main :is(button, input, p, h1)')]
  .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height > 0)
  .filter((node) => {
    const { top, bottom } = node.getBoundingClientRect();
    return top < 0 || bottom > innerHeight;
  })
  .map((node) => node.outerHTML.slice(0, 100))"""
GAPS = """() => {
  const boxes = [...document.querySelectorAll('.message :is(.avatar, h1, p:not(:empty), .button)')]
    .filter((node) => node.checkVisibility())
    .map((node) => node.getBoundingClientRect())
    .sort((one, other) => one.top - other.top);
  return boxes.slice(1).map(({ top }, at) => top - boxes[at].bottom);
}"""
"""From each thing one sees on a screen to the next below it, in pixels."""
BOXES = """() => Object.fromEntries(
  [...document.querySelectorAll('.stage, .tile:not([hidden])')].map((node, at) => {
    const { left, right, top, bottom, width, height } = node.getBoundingClientRect();
    const name = node.hasAttribute('data-main') ? 'main' : String(at || 'stage');
    return [name, { left, right, top, bottom, width, height }];
  }))"""
"""Where the stage, the main picture and the others stand."""
ABOVE_FACE = """() => {
  const tile = document.querySelector('.tile[data-main]').getBoundingClientRect();
  const note = document.querySelector('.tile[data-main] .tile-note').getBoundingClientRect();
  return note.height > 0 && note.bottom - tile.top < tile.height / 8;
}"""
"""Whether what is said of the main picture stands in its upper eighth."""
LINK_IN_SIGHT = """() => {
  const line = document.querySelector('.link:focus');
  const { top, bottom } = line.closest('.panel-body, .message').getBoundingClientRect();
  return [line, line.parentElement.querySelector('button')].map((node) => {
    const box = node.getBoundingClientRect();
    return top <= box.top + 1 && box.bottom <= bottom + 1;
  });
}"""
"""Whether the link one has just been given, and the button that copies it, are in sight."""
COVERED_BY_NAMES = """() => [...document.querySelectorAll('.tile:not([data-main], [hidden])')]
  .map((tile) => {
    const { bottom, height } = tile.getBoundingClientRect();
    return (bottom - tile.querySelector('.tile-label').getBoundingClientRect().top) / height;
  })"""
"""Which part of each small picture lies under its name or below it."""
FROM_CORNER = """() => {
  const label = document.querySelector('.tile[data-main] .tile-label').getBoundingClientRect();
  const wrapped = label.height > 40;
  return wrapped && document.querySelector('.self').getBoundingClientRect().left - label.right;
}"""
"""How far what is said of a line stands from one's own picture, once it has lines of its own."""
STRIPS = "node => [node.scrollHeight - node.clientHeight, node.offsetHeight / innerHeight]"
"""How much of what is told above the stage has to be scrolled to, and its part of the height."""
MIRROR = """() => ['.mirror', '.panel-body select'].map((name) => {
  const { left, right } = document.querySelector(name).getBoundingClientRect();
  return [left, right];
})"""
"""The edges of what the camera sees, and of the pickers below it."""
STANDS_OUT = """() => {
  const [own, behind] = ['.self', '.tile[data-main]'].map((name) =>
    getComputedStyle(document.querySelector(name)).backgroundColor.match(/\\d+/g).map(Number));
  return Math.max(...own.map((part, at) => Math.abs(part - behind[at])));
}"""
"""How far the ground of one's own tile is from the tile it lies on, in steps of 255."""
SIGN = """() => {
  const [disc, sign] = ['.mark', '.mark .icon'].map((name) => document.querySelector(name));
  const [outer, inner] = [disc, sign].map((node) => node.getBoundingClientRect());
  return [sign.dataset.icon, inner.left - outer.left, outer.right - inner.right,
    inner.top - outer.top, outer.bottom - inner.bottom];
}"""
"""What stands in the disc above a screen's words, and how far from each of its edges."""
LINES = """(node) => {
  const range = document.createRange();
  range.selectNodeContents(node);
  return [...range.getClientRects()].map(({ width }) => width);
}"""
"""How wide each line of text is."""


def scene_of(name: str) -> Scene:
    [found] = [
        each
        for each in (*AGENT_SCENES, *CONSUMER_SCENES, *PROOF_SCENES, *TROUBLE_SCENES)
        if (each.name, each.path) in ((name, AGENT), (name, ENGAGEMENT))
    ]
    return found


def agents(play: Play) -> Scene:
    return Scene("", AGENT, Role.AGENT, play)


@pytest.mark.parametrize(
    ("name", "size", "language"),
    [
        ("link-unwritten", LIES, "en"),
        ("link-unwritten", LIES, "he"),
        ("incoming-monitored", NARROW, "en"),
        ("incoming", NARROW, "de"),
    ],
)
async def test_all_that_can_be_done_is_in_sight(
    studio: Studio, name: str, size: tuple[int, int], language: str
) -> None:
    page, _ = await studio.play(scene_of(name), (size, "light"), language)
    await painted(page)
    await shoot(page, f"tight-{name}-{size[0]}-{language}")
    assert await page.evaluate(OUT_OF_SIGHT) == []


async def test_what_says_nothing_takes_no_room(studio: Studio) -> None:
    page, _ = await studio.play(scene_of("idle-reachable"), (NARROW, "light"))
    gaps: list[float] = await page.evaluate(GAPS)
    assert len(gaps) == 5
    # The buttons stand a little apart from what is said.
    assert sorted(gaps) == [10, 10, 10, 10, 20]


@pytest.mark.parametrize("name", ["link-made", "link-unwritten"])
async def test_a_link_that_was_made_is_in_sight_and_stays_so(studio: Studio, name: str) -> None:
    page, _ = await studio.play(scene_of(name), ((280, 230), "light"))
    await painted(page)
    assert (await page.evaluate(LINK_IN_SIGHT))[0], "the link before its button"
    for width, height in ((320, 640), NARROW, (280, 340)):
        await page.set_viewport_size({"width": width, "height": height})
        await painted(page)
        assert await page.evaluate(LINK_IN_SIGHT) == [True, True], (width, height)


@pytest.mark.parametrize("language", ["fr", "pt"])
async def test_two_things_that_are_told_are_seen_whole_in_the_narrowest_frame(
    studio: Studio, language: str
) -> None:
    page, _ = await studio.play(scene_of("two-strips"), (NARROW, "light"), language)
    await painted(page)
    unseen, part = await page.locator(".session > [role=status]").evaluate(STRIPS)
    assert unseen <= 0
    assert part <= 0.55, "enough of the stage is left"


@pytest.mark.parametrize("size", [(320, 640), NARROW])
async def test_what_the_camera_sees_is_as_wide_as_the_pickers_below(
    studio: Studio, size: tuple[int, int]
) -> None:
    page, _ = await studio.play(scene_of("check"), (size, "light"))
    await painted(page)
    mirror, picker = await page.evaluate(MIRROR)
    assert mirror == picker


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("quiet", "camera"),
        ("replaced", "window"),
        ("knocking", "people"),
        ("withdrawn", "end"),
    ],
)
async def test_a_sign_says_what_a_screen_without_a_face_is_about(
    studio: Studio, name: str, sign: str
) -> None:
    page, _ = await studio.play(scene_of(name), (NARROW, "light"))
    shown, *apart = await page.evaluate(SIGN)
    assert shown == f"{sign}false"
    assert max(apart) - min(apart) <= 1, "it stands in the middle"
    assert min(apart) > 8


async def test_who_is_alone_sees_themselves_on_a_phone_that_lies(studio: Studio) -> None:
    page, _ = await studio.play(scene_of("alone"), (LIES, "light"))
    card = await page.locator(".alone").bounding_box()
    stage = await page.locator(".stage").bounding_box()
    assert card is not None
    assert stage is not None
    assert card["height"] < stage["height"] / 5
    assert abs(card["x"] + card["width"] / 2 - LIES[0] / 2) <= 1


async def test_ones_own_tile_is_seen_to_lie_on_the_other_without_any_picture(
    studio: Studio,
) -> None:
    page, _ = await studio.play(scene_of("devices-refused"), (NARROW, "light"))
    assert await page.evaluate(STANDS_OUT) >= 15


async def test_people_open_at_whoever_waits_wherever_one_was_before(studio: Studio) -> None:
    async def play(double: BrokerDouble, page: Page) -> None:
        await scene_of("link-made").play(double, page)
        await page.get_by_role("button", name="Close").click()
        lobby = [person(0), person(1), person(2, attendance=Attendance.LOBBY)]
        await double.tell(RosterChanged(seq=3, roster=lobby))
        await page.locator(".bar [data-count]").click()

    page, _ = await studio.play(agents(play), (NARROW, "light"))
    panel = page.get_by_role("dialog", name="People")
    await expect(panel.get_by_role("button", name="Let in")).to_be_in_viewport(ratio=1)


async def test_what_is_said_of_a_poor_line_leaves_ones_own_picture_alone(studio: Studio) -> None:
    page, _ = await studio.play(scene_of("quality"), (NARROW, "light"))
    # The styles of tiles come later.
    gap = await page.wait_for_function(FROM_CORNER)
    assert await gap.json_value() >= 8


async def test_what_went_wrong_is_as_wide_as_the_buttons_below(studio: Studio) -> None:
    page, _ = await studio.play(scene_of("no-capacity"), ((390, 844), "light"))
    told = await page.get_by_role("alert").bounding_box()
    start = await page.get_by_role("button", name="Start video").bounding_box()
    assert told
    assert start
    assert (told["x"], told["width"]) == (start["x"], start["width"])


async def test_what_stands_at_the_start_of_its_line_fills_it(studio: Studio) -> None:
    page, _ = await studio.play(scene_of("enrol-wrong"), (LIES, "light"))
    first, last = await page.get_by_role("alert").evaluate(LINES)
    assert first > 1.5 * last, "it is not balanced, as what stands in the middle is"


@pytest.mark.parametrize("own", [DESK, PHONE], ids=["lying", "standing"])
async def test_oneself_leaves_the_other_the_stage(studio: Studio, own: Any) -> None:
    page, _ = await studio.play(agents(seen(2, own=own)), (LIES, "light"))
    await painted(page)
    await shoot(page, f"tight-corner-{own['shape']}")
    boxes = await page.evaluate(BOXES)
    stage, main = boxes.pop("stage"), boxes.pop("main")
    [mine] = boxes.values()
    assert main["width"] == stage["width"] - 12
    assert 0.25 < mine["height"] / stage["height"] < 0.4
    assert (mine["width"] > mine["height"]) == (own is DESK)


@pytest.mark.parametrize("number", [3, 6])
async def test_on_a_low_stage_the_others_stand_beside_who_speaks(
    studio: Studio, number: int
) -> None:
    page, _ = await studio.play(agents(seen(number, then=speaker)), (LIES, "light"))
    await page.keyboard.press("Escape")
    await painted(page)
    await shoot(page, f"tight-speaker-{number}")
    boxes = await page.evaluate(BOXES)
    stage, main = boxes.pop("stage"), boxes.pop("main")
    assert 1.5 < main["width"] / main["height"] < 2.2
    assert main["height"] == stage["height"] - 12
    assert len(boxes) == number - 1
    for each in boxes.values():
        assert each["height"] > 90
        assert each["left"] >= main["right"]
        assert stage["top"] < each["top"] < each["bottom"] < stage["bottom"]
        assert each["right"] <= stage["right"]
    assert await page.evaluate(BADLY_SHOWN) == []


@pytest.mark.parametrize("number", [2, 4])
async def test_on_a_low_stage_a_screen_has_all_that_one_row_of_people_leaves(
    studio: Studio, number: int
) -> None:
    page, _ = await studio.play(agents(seen(number, screen=True)), (LIES, "light"))
    await painted(page)
    await shoot(page, f"tight-screen-{number}")
    boxes = await page.evaluate(BOXES)
    stage, main = boxes.pop("stage"), boxes.pop("main")
    assert main["width"] > 0.75 * stage["width"]
    assert len(boxes) == number
    assert len({each["left"] for each in boxes.values()}) == 1
    assert min(each["left"] for each in boxes.values()) >= main["right"]
    assert max(each["bottom"] for each in boxes.values()) < stage["bottom"]
    assert max(await page.evaluate(COVERED_BY_NAMES)) < 0.3, "a name leaves the face"


async def test_a_wide_tile_takes_no_hair(studio: Studio) -> None:
    page, _ = await studio.play(agents(seen(1)), (LIES, "light"))
    video = page.locator(".self video")
    width, height = await video.evaluate(
        "({ clientWidth, clientHeight }) => [clientWidth, clientHeight]"
    )
    assert width == pytest.approx(2 * height, abs=1)
    assert await page.evaluate(BADLY_SHOWN) == []


async def test_nothing_stands_on_the_face_of_who_is_away(studio: Studio) -> None:
    away = say(RosterChanged(seq=3, roster=[person(0), AWAY]))
    page, _ = await studio.play(agents(seen(2, then=away)), (NARROW, "light"))
    tile = page.locator(".tile.seat[data-main][data-away]")
    await expect(tile).to_have_attribute("data-picture", "yes")
    words = tile.get_by_text("Reconnecting")
    await expect(words).to_be_visible()
    await expect(tile.locator(".avatar")).to_be_hidden()
    for width, height in (NARROW, LIES):
        await page.set_viewport_size({"width": width, "height": height})
        # The styles of tiles come later.
        await page.wait_for_function(ABOVE_FACE)


async def test_who_calls_stands_in_the_middle_beside_an_open_check(studio: Studio) -> None:
    page, _ = await studio.play(scene_of("check"), (LIES, "light"))
    caller = await page.locator(".incoming .said").bounding_box()
    assert caller
    assert caller["y"] + caller["height"] / 2 == pytest.approx(LIES[1] / 2, abs=5)
    await page.get_by_role("dialog").get_by_role("button", name="Close").click()
    await expect(page.get_by_role("button", name="Check camera and microphone")).to_be_focused()


async def test_the_last_of_what_more_there_is_stands_whole(studio: Studio) -> None:
    page, _ = await studio.play(agents(press("more", snapshot(0, SUPPORT))), (NARROW, "light"))
    ends = await page.get_by_role("button", name="End for everybody").bounding_box()
    panel = await page.get_by_role("dialog").bounding_box()
    assert ends
    assert panel
    assert ends["y"] + ends["height"] <= panel["y"] + panel["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_where_more_comes_below_the_edge_is_shaded(studio: Studio, scheme: str) -> None:
    page, _ = await studio.play(scene_of("people"), (NARROW, scheme))
    body = page.locator(".panel:not([hidden]) .panel-body")
    box = await body.bounding_box()
    assert box
    left, bottom = box["x"], box["y"] + box["height"]
    paper, edge = [await colour_at(page, left + 4, bottom - above) for above in (60, 1)]
    assert sum(abs(one - other) for one, other in zip(paper, edge, strict=True)) > 100
    await body.evaluate("(node) => node.scrollTo(0, node.scrollHeight)")
    assert [await colour_at(page, left + 4, bottom - above) for above in (60, 1)] == [paper, paper]


async def colour_at(page: Page, x: float, y: float) -> tuple[int, ...]:
    """Red, green and blue of one pixel, each from 0 to 255."""
    picture = await page.screenshot(clip={"x": x, "y": y, "width": 1, "height": 1})
    # Chunks of four bytes of length, four of kind, the data, four of checksum: after the signature.
    at, packed = 8, b""
    while at < len(picture):
        size = int.from_bytes(picture[at : at + 4])
        if picture[at + 4 : at + 8] == b"IDAT":
            packed += picture[at + 8 : at + 8 + size]
        at += size + 12
    # The first byte of a row says how it is filtered: a single pixel, by nothing.
    return tuple(zlib.decompress(packed)[1:4])
