"""Ringing that is noticed, and what the widget does when the browser or a device gets in the way:
against a double of the broker, so that each costs little."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from broker.messages.parts import SeatAssignment
from broker.words import Role
from tests.browser.broker_double import BrokerDouble, invitation, person, snapshot
from tests.browser.gallery import AGENT, ENGAGEMENT

INVITED = snapshot(1, [], attendance="invited", ringing=invitation())
TALKING = snapshot(0, [person(0), person(1)])
WATCH_RING = """
window.notified = []; window.sounded = 0;
window.Notification = class { static permission = 'granted';
  constructor(title, options) { window.notified.push([title, options.tag]); } };
Object.defineProperty(document, 'hidden', { get: () => true });
const { resume } = AudioContext.prototype;
AudioContext.prototype.resume = function () { window.sounded += 1; return resume.call(this); };
"""
SOUND_NEEDS_A_CLICK = """
const { play } = HTMLMediaElement.prototype;
HTMLMediaElement.prototype.play = function () {
  if (this.localName === 'audio' && !window.clicked) {
    return Promise.reject(new DOMException('a gesture first', 'NotAllowedError'));
  }
  return play.call(this);
};
"""
OWN_TRACK = "document.querySelector('.self video').srcObject?.getVideoTracks()[0]"


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport={"width": 340, "height": 680})
    yield context
    await context.close()


async def show(page: Page, pages: str, address: str, role: Role) -> BrokerDouble:
    double = BrokerDouble(page, role)
    await double.attach()
    await page.goto(pages + address)
    return double


async def test_ringing_blinks_notifies_and_sounds_after_a_gesture(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(WATCH_RING)
    double = await show(page, pages, ENGAGEMENT, Role.CONSUMER)
    await page.mouse.click(5, 5)
    await double.tell(INVITED)
    await page.wait_for_function("() => document.title === 'Alex Berger is calling'")
    await page.wait_for_function("() => document.title === 'Video'")
    await page.wait_for_function("() => document.title === 'Alex Berger is calling'")
    await page.wait_for_function("() => window.sounded > 0")
    assert await page.evaluate("window.notified") == [["Alex Berger is calling", "switchboard"]]
    await double.tell(snapshot(1, [person(0), person(1)]))
    await page.wait_for_function("() => document.title === '● Video'")


async def test_nothing_sounds_without_a_gesture(context: BrowserContext, pages: str) -> None:
    page = await context.new_page()
    # Whatever a debugger evaluates counts as a gesture.
    await page.add_init_script(
        "Object.defineProperty(navigator, 'userActivation', { value: { hasBeenActive: false } });"
    )
    await page.add_init_script(WATCH_RING)
    double = await show(page, pages, ENGAGEMENT, Role.CONSUMER)
    await double.tell(INVITED)
    await page.wait_for_function("() => window.notified.length === 1")
    await page.wait_for_function("() => document.title === 'Video'")
    assert await page.evaluate("window.sounded") == 0


async def test_a_browser_that_wants_a_gesture_before_sound_gets_one_button(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(SOUND_NEEDS_A_CLICK)
    double = await show(page, pages, AGENT, Role.AGENT)
    await double.tell(TALKING)
    button = page.get_by_role("button", name="Turn sound on")
    await expect(button).to_be_visible()
    await page.evaluate("window.clicked = true")
    await button.click()
    await expect(button).to_be_hidden()


async def test_a_camera_that_is_pulled_out_is_replaced_or_said(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, pages, AGENT, Role.AGENT)
    await double.tell(TALKING)
    await page.wait_for_function(f"() => {OWN_TRACK}")
    unplug = f"""() => {{ const track = {OWN_TRACK}; window.before = track.id;
      track.stop(); track.dispatchEvent(new Event('ended')); }}"""
    await page.evaluate(unplug)
    await page.wait_for_function(f"() => {OWN_TRACK} && {OWN_TRACK}.id !== window.before")
    await page.evaluate(
        """() => { navigator.mediaDevices.getUserMedia = async () => {
          throw new DOMException('gone', 'NotFoundError'); }; }"""
    )
    await page.evaluate(unplug)
    await expect(page.get_by_text("No camera was found.")).to_be_visible()
    await expect(page.get_by_role("button", name="Turn camera on")).to_be_visible()


async def test_a_phone_switches_to_the_camera_at_its_back(browser: Browser, pages: str) -> None:
    context = await browser.new_context(
        viewport={"width": 320, "height": 568}, has_touch=True, is_mobile=True
    )
    page = await context.new_page()
    double = await show(page, pages, AGENT, Role.AGENT)
    await double.tell(TALKING)
    await page.wait_for_function(f"() => {OWN_TRACK}")
    await page.evaluate(
        """() => { const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.wished = [];
          navigator.mediaDevices.getUserMedia = (wish) => {
            window.wished.push(wish.video?.facingMode?.ideal); return real(wish); }; }"""
    )
    await page.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("button", name="Switch camera").click()
    await page.wait_for_function("() => window.wished.length === 1")
    assert await page.evaluate("window.wished") == ["environment"]
    await context.close()


async def test_full_screen_comes_and_goes_by_the_same_button(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, pages, AGENT, Role.AGENT)
    await double.tell(TALKING)
    await page.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("button", name="Full screen").click()
    await page.wait_for_function("() => document.fullscreenElement === document.documentElement")
    await page.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("button", name="Full screen").click()
    await page.wait_for_function("() => document.fullscreenElement === null")


async def test_reduced_motion_stops_what_moves_by_itself(browser: Browser, pages: str) -> None:
    context = await browser.new_context(reduced_motion="reduce")
    page = await context.new_page()
    double = await show(page, pages, ENGAGEMENT, Role.CONSUMER)
    await double.tell(INVITED)
    await page.wait_for_selector("[data-view=incoming]")
    moving = """() => document.getAnimations()
      .filter((one) => one.effect.getComputedTiming().iterations === Infinity).length"""
    assert await page.evaluate(moving) == 0
    await context.close()
    moved = await browser.new_page()
    double = await show(moved, pages, ENGAGEMENT, Role.CONSUMER)
    await double.tell(INVITED)
    await moved.wait_for_function(f"() => ({moving})() > 0")
    await moved.context.close()


async def test_two_conversations_in_two_frames_keep_apart(
    context: BrowserContext, pages: str
) -> None:
    names = []
    for conversation in ("c1", "c2"):
        page = await context.new_page()
        double = await show(page, pages, AGENT.replace("c1", conversation), Role.AGENT)
        seat = SeatAssignment(kind="seat", index=0, participant_id="p1")
        person_there = person(1, name=f"Person of {conversation}")
        told = TALKING.model_copy(update={"seats": [seat], "roster": [person(0), person_there]})
        await double.tell(told)
        await page.wait_for_selector("[data-view=session]")
        names.append(await page.locator(".tile.seat .tile-name").first.inner_text())
        hello = await double.until_heard("connection.hello")
        assert hello["engagement"]["rt_session_id"] == conversation
    assert names == ["Person of c1", "Person of c2"]
