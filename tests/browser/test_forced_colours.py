"""Where a system replaces a page's colours by its own, nothing is lost that a colour told."""

from __future__ import annotations

from playwright.async_api import Browser, Locator, expect

from broker.messages.facts import ResumeRenewed, SessionEnded
from broker.words import EndReason, Role
from tests.browser.broker_double import BrokerDouble, person, snapshot
from tests.browser.demo import shoot
from tests.browser.gallery import ENGAGEMENT, INVITED


async def colours(found: Locator, *names: str) -> list[list[str]]:
    """What these properties of each element come to."""
    read = (
        "(nodes, names) => nodes.map((node) => names.map((name) => getComputedStyle(node)[name]))"
    )
    values: list[list[str]] = await found.evaluate_all(read, list(names))
    return values


async def test_what_a_colour_tells_is_told_in_forced_colours(browser: Browser, pages: str) -> None:
    context = await browser.new_context(
        viewport={"width": 380, "height": 700}, forced_colors="active", reduced_motion="reduce"
    )
    page = await context.new_page()
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    await page.goto(f"{pages}{ENGAGEMENT}&lang=en")
    await double.tell(INVITED)
    await page.get_by_role("button", name="Check camera and microphone").click()
    await page.locator(".meter").wait_for()
    await shoot(page, "forced-colours-check")
    [meter], [level] = [
        await colours(page.locator(one), "backgroundColor") for one in (".meter", ".meter i")
    ]
    assert meter != level, "how loud one is"
    await page.get_by_role("button", name="Done").click()

    await double.tell(snapshot(1, [person(0), person(1)]))
    bar = page.get_by_role("toolbar")
    ends = bar.get_by_role("button").last
    await ends.wait_for()
    [[edge, width, inside]] = await colours(
        ends, "borderTopColor", "borderTopWidth", "backgroundColor"
    )
    assert (edge != inside, width) == (True, "1px"), "where a button ends"
    heard = await colours(bar.get_by_role("button", name="Mute"), "backgroundColor")
    await bar.get_by_role("button", name="Mute").click()
    unmute = bar.get_by_role("button", name="Unmute")
    await unmute.wait_for()
    muted = await colours(unmute, "backgroundColor")
    await shoot(page, "forced-colours-session")
    assert heard != muted, "whether one is heard"

    await double.tell(
        ResumeRenewed(resume="r"),
        SessionEnded(seq=2, session_id="s1", reason=EndReason.ENDED_BY_AGENT),
    )
    await page.get_by_label("3 of 5").check()
    stars = page.locator(".rating fieldset label")
    await expect(stars).to_have_count(5)
    [[chosen], *_, [left]] = found = await colours(stars, "color")
    await shoot(page, "forced-colours-stars")
    assert found == [[chosen]] * 3 + [[left]] * 2
    assert chosen != left, "how many stars are chosen"
    signs: list[str] = await stars.locator("span").evaluate_all(
        "(spans) => spans.map((span) => getComputedStyle(span, '::before').content)"
    )
    assert signs == ['"★"'] * 3 + ['"☆"'] * 2, "which nobody takes for given"
    await context.close()
