"""Where panels stand at the widths that widgets have; against a double of the broker."""

from __future__ import annotations

from functools import partial

from playwright.async_api import Page, expect

from tests.browser.broker_double import BrokerDouble

PLACES = """() => Object.fromEntries(
  [...document.querySelectorAll('.stage-box, .bar, .panel:not([hidden])')].map((node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    return [node.className, { left, right, top, bottom }];
  }))"""


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
            else:
                assert (stage["left"], stage["right"]) == (0, width)
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(button(name="More", exact=True)).to_be_focused()
        stage = (await page.evaluate(PLACES))["stage-box"]
        assert (stage["left"], stage["right"]) == (0, width)
