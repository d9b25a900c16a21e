"""The launcher where it is hard for it: on phones, without storage, on another site than the
gateway's; its tag, methods and events are tested in `test_embedding.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, FrameLocator, Page, expect

from broker.messages.facts import ResumeRenewed, SessionEnded
from broker.words import EndReason, Role
from tests.browser.accessibility import prepare, violations
from tests.browser.broker_double import BrokerDouble, brand, heard, painted, person, snapshot
from tests.browser.catalogues import catalogue
from tests.browser.demo import SMALL_CAMERA, WAIT_MS, People, shoot, until_counts
from tests.browser.fair import Fair
from tests.browser.gallery import INVITED
from tests.house import settled

SHOP = """<!doctype html><html lang="en"><title>Shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script async src="{gateway}/launcher.js" data-account-id="demo" data-conversation-id="c9"></script>
<main><h1>Shop</h1><p>Tables and chairs.</p></main>"""
BEYOND = "document.documentElement.scrollWidth - innerWidth"
NO_STORAGE = """for (const name of ['localStorage', 'sessionStorage', 'indexedDB']) {
  Object.defineProperty(window, name, { configurable: true, get() {
    throw new DOMException('Storage is refused.', 'SecurityError');
  } });
}
Object.defineProperty(document, 'cookie', { get: () => '', set() {} });"""
"""In the brand's page and in every frame of it."""
NOT_LAID_OUT = "ResizeObserver.prototype.observe = () => {};"
"""A page behind another window gets no layout, so that its observers stay silent."""


async def ring(page: Page, pages: str) -> BrokerDouble:
    """Open a brand's page on another site, and have its launcher ring."""
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    await page.goto(brand(pages, SHOP.format(gateway=pages)))
    await double.tell(INVITED)
    return double


@pytest.mark.parametrize(
    ("width", "height"), [(320, 568), (844, 390), pytest.param(360, 640, marks=pytest.mark.soak)]
)
async def test_the_launcher_fits_a_phone(
    browser: Browser, pages: str, width: int, height: int
) -> None:
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        has_touch=True,
        is_mobile=True,
        reduced_motion="reduce",
    )
    page = await context.new_page()
    double = await ring(page, pages)
    panel = page.get_by_role("region", name="Video")
    await expect(panel).to_be_visible()
    inside = page.frames[1]
    for place in (page, inside):
        await prepare(place)
    bar = panel.get_by_role("button")

    async def looks(name: str, top: float, *, frame: bool = True) -> None:
        await painted(page)
        box = await panel.bounding_box()
        assert box is not None
        wide = min(width, 700)
        assert (box["x"], box["width"], box["y"] + box["height"]) == (width - wide, wide, height)
        assert box["y"] >= top
        for place in (page, inside) if frame else (page,):
            assert await place.evaluate(BEYOND) <= 0
            assert await violations(place) == []
        await shoot(page, f"launcher-{width}-{name}")

    await looks("ringing", 0)
    for answer in ("Accept with video", "Decline"):
        await expect(inside.get_by_role("button", name=answer)).to_be_in_viewport(ratio=1)
    await bar.tap()
    # The brand's page is free again; the bar stays.
    await looks("minimised", height - 32, frame=False)
    await bar.tap()
    await double.tell(snapshot(1, [person(0), person(1)]))
    await inside.get_by_role("toolbar").wait_for()
    await looks("talking", 0)
    for name in ("Mute", "Leave"):
        button = inside.get_by_role("button", name=name, exact=True)
        await expect(button).to_be_in_viewport(ratio=1)
    ended = SessionEnded(seq=2, session_id="s1", reason=EndReason.ENDED_BY_AGENT)
    await double.tell(ResumeRenewed(resume="r"), ended)
    await inside.locator(".rating").wait_for()
    await expect(inside.get_by_role("button", name="Close")).to_be_in_viewport(ratio=1)
    await looks("over", 0)
    await context.close()


async def test_the_launcher_rings_and_reconnects_where_nothing_is_stored(
    browser: Browser, pages: str
) -> None:
    page = await browser.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    await page.add_init_script(NO_STORAGE)
    double = await ring(page, pages)
    inside = page.frame_locator("iframe")
    claims = [(await heard(double, "connection.hello"))["claim_secret"]]
    await inside.get_by_role("button", name="Accept with voice only").click()
    await double.until_heard("invitation.accept")
    await double.tell(snapshot(1, [person(0), person(1)]))
    await inside.get_by_role("toolbar").wait_for()
    double.heard.clear()
    # As long as the page stays, this is the same consumer.
    await double.drop(1012)
    claims.append((await heard(double, "connection.hello"))["claim_secret"])
    await double.tell(snapshot(1, [person(0), person(1)]))
    await inside.get_by_role("button", name="Leave", exact=True).click()
    await double.until_heard("session.leave")
    assert claims[0] is not None
    assert claims[0] == claims[1]
    assert problems == []
    await page.close()


async def test_a_call_outlives_the_body_of_its_page(browser: Browser, pages: str) -> None:
    """Some sites go from page to page by another body, and load no document."""
    page = await browser.new_page()
    double = await ring(page, pages)
    await double.tell(snapshot(1, [person(0), person(1)]))
    talking = page.frame_locator("iframe").get_by_role("toolbar")
    await talking.wait_for()
    await page.evaluate("document.body = document.createElement('body')")
    await expect(page.get_by_text("Tables and chairs.")).to_have_count(0)
    await expect(talking).to_be_visible()
    assert [each["type"] for each in double.heard].count("connection.hello") == 1
    await page.close()


@pytest.mark.soak
async def test_a_navigation_without_storage_asks_the_agent_to_let_the_consumer_in_again(
    people: People,
) -> None:
    await people.context.add_init_script(NO_STORAGE)
    await people.open()
    consumer = await people.talk()
    await until_counts(people.agent, frames=5)
    shop = next(frame for frame in people.page.frames if "/shop.html" in frame.url)
    async with people.page.expect_event("framedetached", lambda frame: frame == consumer):
        await shop.goto(shop.url)
    asks = people.agent.get_by_role("status").filter(has_text="Somebody else says they are")
    await asks.get_by_role("button", name="Let in", exact=True).click()
    again = await people.frame("/engagement")
    await again.get_by_role("button", name="Accept with video").click()
    for side in (again, people.agent):
        await until_counts(side, frames=10, energy=0.0001)
    await shoot(people.page, "launcher-without-storage")


GATEWAY, BRAND = "video.switchboard.localhost", "shop.hazel-oak.localhost"
"""Two sites, as different registrable domains are; browsers find both on this machine."""


async def test_proofs_are_handed_over_where_gateway_and_brand_are_different_sites(
    browser: Browser, tmp_path: Path
) -> None:
    async with settled(
        tmp_path, lambda stack: Fair(stack, gateway_name=GATEWAY, hosts_name=BRAND)
    ) as fair:
        await fair.begin()
        context = await browser.new_context(viewport={"width": 1400, "height": 820})
        context.set_default_timeout(WAIT_MS)
        for script in (SMALL_CAMERA, NOT_LAID_OUT):
            await context.add_init_script(script)
        page = await context.new_page()
        await page.goto(f"{fair.hosts}/?conversation=S1&allow=0&launcher=0&window=open")
        sides = [page.frame_locator(f"#{name}") for name in ("workspace", "shop")]
        agent, window = (side.frame_locator("#widget") for side in sides)
        await expect(agent.get_by_text("Can be rung now")).to_be_visible()
        blocked = catalogue("en")["trouble_blocked_by_frame"]
        await expect(agent.get_by_text(blocked, exact=True)).to_be_visible()
        await shoot(page, "blocked-1-agent")
        # Nobody mints a token from now on: the agent's window has the frame's.
        await context.route("**/demo/agent-token", lambda route: route.abort())

        async def out_of(frame: FrameLocator) -> Page:
            async with context.expect_page() as opening:
                await frame.get_by_role("button", name="Open in own window").click()
            return await opening.value

        desk = await out_of(agent)
        await desk.get_by_role("button", name="Start video").click()
        own = await out_of(window)
        await own.get_by_role("button", name="Accept with video").click()
        for side in (desk, own):
            await until_counts(side, frames=10, energy=0.0001)
        # Frame and window of the consumer are one to the broker: nobody is asked who that is.
        await expect(desk.get_by_text("Somebody else says they are")).to_have_count(0)
        await expect(desk.locator(".tile.seat:visible")).to_have_count(1)
        await shoot(desk, "blocked-2-own-window")
        await context.close()
