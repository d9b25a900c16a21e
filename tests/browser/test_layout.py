"""What stands where at the sizes that widgets have; against a double of the broker."""

from __future__ import annotations

from functools import partial

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from broker.messages.facts import ResumeRenewed, SessionEnded
from broker.words import Attendance, EndReason, Reach, Role
from tests.browser.broker_double import BrokerDouble, person, reach, show, snapshot
from tests.browser.catalogues import catalogue
from tests.browser.demo import shoot
from tests.browser.gallery import AGENT, ENGAGEMENT, INVITED, JOIN

PLACES = """() => Object.fromEntries(
  [...document.querySelectorAll('.stage-box, .bar, .panel:not([hidden])')].map((node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return [node.className, { left, right, top, bottom }];
  }))"""


NAMES_IN_STRIP = """() => [...document.querySelectorAll('.tile:not([data-main], [hidden])')]
  .filter((tile) => tile.querySelector('.tile-name').checkVisibility())
  .map((tile) => {
    const name = tile.querySelector('.tile-name');
    const cut = name.scrollWidth > name.clientWidth;
    const width = tile.clientWidth;
    return [width - name.parentElement.offsetWidth, cut ? name.clientWidth / width : 1];
  })"""


IN_CORNER = """() => {
  const [tile, avatar] = ['.self', '.self .avatar']
    .map((name) => document.querySelector(name).getBoundingClientRect());
  return [avatar.top - tile.top, tile.bottom - avatar.bottom];
}"""
"""How much room there is above and below one's own initials."""
SIGN_STANDS = """() => {
  const [label, sign] = ['.self .tile-label', '.self .tile-sign']
    .map((name) => document.querySelector(name).getBoundingClientRect());
  return sign.height > 0 && label.top <= sign.top && sign.bottom <= label.bottom;
}"""
"""Whether the sign that one is muted stands on its ground."""
HITS_PANEL = "([x, y]) => document.elementFromPoint(x, y).closest('.panel') !== null"
"""Whether there is anything of the panel at a point."""


async def test_a_panel_moves_the_stage_aside_where_both_have_room(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, _ = talk
    button, dialog = partial(page.get_by_role, "button"), page.get_by_role("dialog")
    for width, height in ((1280, 800), (640, 480), (639, 480), (340, 680)):
        await page.set_viewport_size({"width": width, "height": height})
        for name in ("People", "More", "Text"):
            if name == "Text":
                await dialog.get_by_role("button", name="Text").click()
            else:
                await button(name=name, exact=True).click()
            # Each takes the place of the one before.
            await expect(dialog).to_have_accessible_name(name)
            await expect(dialog).to_be_focused()
            places: dict[str, dict[str, float]] = await page.evaluate(PLACES)
            stage, bar, panel = (places[each] for each in ("stage-box", "bar", "panel"))
            assert (bar["left"], bar["right"]) == (0, width)
            assert panel["bottom"] <= bar["top"]
            if width >= 640:
                assert stage["left"] + 280 <= stage["right"] <= panel["left"]
                assert panel["right"] <= width
                right, bottom = panel["right"] - 3, panel["bottom"] - 3
                assert not await page.evaluate(HITS_PANEL, [right, bottom]), "it is round"
                assert await page.evaluate(HITS_PANEL, [right - 12, bottom - 12])
            else:
                assert (stage["left"], stage["right"]) == (0, width)
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(button(name="More", exact=True)).to_be_focused()
        stage = (await page.evaluate(PLACES))["stage-box"]
        assert (stage["left"], stage["right"]) == (0, width)


async def test_names_in_a_strip_of_five_can_be_read(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    await page.set_viewport_size({"width": 340, "height": 680})
    await double.tell(snapshot(0, [person(number) for number in range(7)]))
    for _ in ("grid", "speaker"):
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("button", name="Layout").click()
    await page.locator(".stage[data-layout=speaker]").wait_for()
    names: list[tuple[float, float]] = await page.evaluate(NAMES_IN_STRIP)
    await shoot(page, "strip-of-five")
    # Five others beside the one who speaks, and oneself.
    assert len(names) == 6
    assert {beside for beside, _ in names} == {0}, "a name has all the tile's width"
    assert min(share for _, share in names) > 0.8, "and shares it with no sign"


async def test_a_face_fills_its_tile_and_a_screen_is_whole(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    await double.tell(snapshot(0, [person(0), person(1, camera=True)]))
    video = page.locator(".tile.seat[data-main] video")
    for width, height in ((280, 540), (340, 680)):
        await page.set_viewport_size({"width": width, "height": height})
        tile = await page.locator(".tile.seat[data-main]").bounding_box()
        picture = await video.bounding_box()
        assert tile is not None
        assert picture is not None
        assert [picture[side] for side in ("width", "height")] == pytest.approx(
            [tile[side] for side in ("width", "height")], abs=1
        )
        await expect(video).to_have_css("object-fit", "cover")
    await expect(page.locator(".tile.screen video").first).to_have_css("object-fit", "contain")


async def test_a_sign_that_leads_out_turns_with_the_writing(browser: Browser, pages: str) -> None:
    turned = {}
    for lang in ("en", "he"):
        page = await browser.new_page()
        double = BrokerDouble(page, Role.AGENT)
        await double.attach()
        await page.goto(f"{pages}{AGENT}&lang={lang}")
        await double.tell(snapshot(0, [person(0), person(1)]))
        await page.locator(".bar button").nth(4).click()
        signs = page.locator(".panel:not([hidden]) .items path[transform^=matrix]")
        await page.locator(".panel:not([hidden]) .items").wait_for()
        turned[lang] = await signs.count()
        await shoot(page, f"panel-more-{lang}")
        await page.close()
    # Writing and leaving.
    assert turned == {"en": 0, "he": 2}


async def test_on_a_phone_that_lies_the_end_is_closed_without_scrolling(
    context: BrowserContext, pages: str
) -> None:
    """Where most words stand above the button."""
    page = await context.new_page()
    await page.set_viewport_size({"width": 844, "height": 390})
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    for language in ("de", "fr"):
        double.begin(Role.CONSUMER, in_session=True)
        await page.goto(f"{pages}{ENGAGEMENT}&lang={language}")
        await double.tell(ResumeRenewed(resume="r"), snapshot(1, [person(0), person(1)]))
        ended = SessionEnded(seq=2, session_id="s1", reason=EndReason.AGENT_AND_CONSUMER_ABSENT)
        await double.tell(ended)
        await page.locator(".rating").wait_for()
        close = page.get_by_role("button", name=catalogue(language)["close"])
        await expect(close).to_be_in_viewport(ratio=1)


async def test_what_one_reads_beside_the_buttons_is_as_wide_as_they_are(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, f"{pages}{ENGAGEMENT}&lang=en", Role.CONSUMER)
    await double.tell(INVITED)
    await page.get_by_text("Say why you decline").click()
    for width, height in ((320, 568), (844, 390)):
        await page.set_viewport_size({"width": width, "height": height})
        reason = page.get_by_role("textbox", name="Say why you decline")
        answer = page.get_by_role("button", name="Decline")
        boxes = [await place.bounding_box() for place in (reason, answer)]
        assert [(box["x"], box["width"]) for box in boxes if box] == [
            (pytest.approx(boxes[1]["x"]), pytest.approx(boxes[1]["width"]))  # type: ignore[index]
        ] * 2


@pytest.mark.parametrize(("path", "width"), [(AGENT, 280), (JOIN, 320)], ids=["agent", "guest"])
async def test_the_way_to_the_device_check_is_one_line_in_the_narrowest_frame(
    context: BrowserContext, pages: str, path: str, width: int
) -> None:
    page = await context.new_page()
    await page.set_viewport_size({"width": width, "height": 560})
    double = await show(page, pages + path, Role.AGENT, in_session=False)
    if path == AGENT:
        await double.tell(reach(Reach.REACHABLE))
    words = page.locator(".button.plain span")
    await words.wait_for()
    rows = "(words) => words.getClientRects().length"
    assert await words.evaluate(rows) == 1


async def test_somebody_without_a_seat_makes_no_grid(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    gone = person(2, attendance=Attendance.RECONNECTING)
    seated = snapshot(0, [person(0), person(1), gone])
    unseated = seated.model_copy(update={"seats": seated.seats[:1]})
    for told, layout in ((seated, "grid"), (unseated, "one")):
        await double.tell(told)
        await expect(page.locator(".stage")).to_have_attribute("data-layout", layout)


async def test_initials_and_sign_stand_within_the_smallest_corner(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    await page.set_viewport_size({"width": 280, "height": 480})
    await double.tell(snapshot(0, [person(0), person(1)]))
    await page.get_by_role("button", name="Turn camera off").click()
    await expect(page.locator(".self .avatar")).to_be_visible()
    # The styles of low tiles come later.
    await page.get_by_role("button", name="More", exact=True).click()
    await expect(page.get_by_role("dialog")).to_be_focused()
    above, below = await page.evaluate(IN_CORNER)
    assert above == pytest.approx(below, abs=1), "there is no name below them"
    await page.get_by_role("button", name="Mute", exact=True).click()
    await expect(page.locator(".self .tile-sign")).to_be_visible()
    assert await page.evaluate(SIGN_STANDS)
    assert min(await page.evaluate(IN_CORNER)) >= 3
