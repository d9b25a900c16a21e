"""Ringing that is noticed, and what the widget does when the browser or a device gets in the way:
against a double of the broker, so that each costs little."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Route, WebSocketRoute, expect

from broker.messages import encode
from broker.messages.facts import GuestInvited, MediaSpeaker, ResumeRenewed, SessionEnded
from broker.messages.parts import SeatAssignment
from broker.words import EndReason, Role
from tests.browser.broker_double import (
    BrokerDouble,
    brand,
    person,
    show,
    snapshot,
    welcome,
)
from tests.browser.catalogues import catalogue
from tests.browser.demo import sooner
from tests.browser.gallery import AGENT, ENGAGEMENT, INVITED
from tests.patience import until

WINDOW = "/window?accountId=demo&conversationId=c1"
TALKING = snapshot(0, [person(0), person(1)])
WATCH_RING = """
window.notified = []; window.sounded = 0;
window.Notification = class { static permission = 'granted';
  constructor(title, options) { window.notified.push([title, options.tag]); }
  close() { window.taken = true; } };
Object.defineProperty(document, 'hidden', { get: () => true });
const { resume } = AudioContext.prototype;
AudioContext.prototype.resume = function () { window.sounded += 1; return resume.call(this); };
""" + sooner(1_000, 250)
"""Notifying is allowed, the page in the background, and its titles take turns sooner."""
SOUND_NEEDS_A_CLICK = """
addEventListener('pointerdown', () => { window.clicked = true; }, true);
window.played = new Set();
const { play } = HTMLMediaElement.prototype;
HTMLMediaElement.prototype.play = function () {
  if (this.localName === 'audio' && !window.clicked) {
    return Promise.reject(new DOMException('a gesture first', 'NotAllowedError'));
  }
  if (this.localName === 'audio') window.played.add(this);
  return play.call(this);
};
"""
WATCH_EMPTY = """() => {
  const toast = document.querySelector('.toast');
  window.empty = new Promise((resolve) => new MutationObserver(() => {
    if (toast.textContent === '') resolve(getComputedStyle(toast).opacity);
  }).observe(toast, { childList: true }));
}"""
"""`empty` will be how much is seen of what was said, as soon as nothing is said any more."""
WORKSPACE = """<!doctype html><html lang="en"><title>Workspace</title>
<textarea aria-label="Chat"></textarea>
<iframe src="{address}" style="width: 340px; height: 640px"></iframe>"""
UNPLUG_MICROPHONE = """() => {
  const { tracks } = document.querySelector('switchboard-agent').client.media;
  tracks.microphone.stop();
  tracks.microphone.dispatchEvent(new Event('ended'));
}"""
OWN_TRACK = "document.querySelector('.self video').srcObject?.getVideoTracks()[0]"


async def test_ringing_blinks_notifies_and_sounds_after_a_gesture(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(WATCH_RING)
    double = await show(page, pages + ENGAGEMENT, Role.CONSUMER)
    await page.mouse.click(5, 5)
    await double.tell(INVITED)
    await page.wait_for_function("() => document.title === 'Alex Berger is calling'")
    await page.wait_for_function("() => document.title === 'Video'")
    await page.wait_for_function("() => document.title === 'Alex Berger is calling'")
    await page.wait_for_function("() => window.sounded > 0")
    assert await page.evaluate("window.notified") == [["Alex Berger is calling", "switchboard"]]
    await double.tell(snapshot(1, [person(0), person(1)]))
    await page.wait_for_function("() => document.title === '● Video'")
    assert await page.evaluate("window.taken")


@pytest.mark.parametrize(
    ("there", "instead"),
    [("permission = 'granted'", "permission = 'default'"), ("get: () => true", "get: () => false")],
    ids=["not-granted", "in-front"],
)
async def test_no_notification_where_none_is_granted_or_the_page_is_in_front(
    context: BrowserContext, pages: str, there: str, instead: str
) -> None:
    page = await context.new_page()
    assert there in WATCH_RING
    await page.add_init_script(WATCH_RING.replace(there, instead))
    double = await show(page, pages + ENGAGEMENT, Role.CONSUMER)
    await page.mouse.click(5, 5)
    await double.tell(INVITED)
    # What notifies does so before it sounds.
    await page.wait_for_function("() => window.sounded > 0")
    assert await page.evaluate("window.notified") == []


async def test_nothing_sounds_without_a_gesture(context: BrowserContext, pages: str) -> None:
    page = await context.new_page()
    # Whatever a debugger evaluates counts as a gesture.
    await page.add_init_script(
        "Object.defineProperty(navigator, 'userActivation', { value: { hasBeenActive: false } });"
    )
    await page.add_init_script(WATCH_RING)
    double = await show(page, pages + ENGAGEMENT, Role.CONSUMER)
    await double.tell(INVITED)
    await page.wait_for_function("() => window.notified.length === 1")
    await page.wait_for_function("() => document.title === 'Video'")
    assert await page.evaluate("window.sounded") == 0


async def test_a_browser_that_wants_a_gesture_before_sound_gets_one_button(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(SOUND_NEEDS_A_CLICK)
    double = await show(page, pages + AGENT, Role.AGENT)
    await double.tell(TALKING)
    button = page.get_by_role("button", name="Turn sound on")
    await expect(button).to_be_visible()
    # It stands there whatever happens, until somebody presses it.
    await double.tell(MediaSpeaker(seq=2, participant_id="p1"))
    await expect(page.locator(".seat[data-speaking]")).to_have_count(1)
    await expect(button).to_be_visible()
    await button.click()
    await expect(button).to_be_hidden()
    assert await page.evaluate("window.played.size") == await page.locator(".seat audio").count()


async def test_what_was_said_leaves_no_empty_spot(context: BrowserContext, pages: str) -> None:
    page = await context.new_page()
    # It stands for three of these, longer than it takes to come.
    await page.add_init_script(sooner(2_000, 200))
    double = await show(page, pages + AGENT, Role.AGENT)
    await double.tell(TALKING)
    await page.wait_for_selector(".toast", state="attached")
    await page.evaluate(WATCH_EMPTY)
    await double.tell(snapshot(0, [person(0), person(1), person(2)]))
    assert await page.evaluate("() => window.empty") == "0"


async def test_a_seat_without_a_picture_keeps_no_page_from_loading(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    await page.clock.install()
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    shown = asyncio.Event()

    async def come_late(route: Route) -> None:
        await shown.wait()
        await route.fulfill(body="", content_type="text/javascript")

    await page.route("**/no-sdk.js", come_late)
    await page.goto(pages + WINDOW, wait_until="commit")
    await page.wait_for_selector("main > [data-view]")
    # The window goes on without LivePerson's script, which it waits for.
    await page.clock.fast_forward(9_000)
    await double.tell(snapshot(1, [person(0), person(1)]))
    await expect(page.locator(".tile.seat:visible")).to_have_count(1)
    assert await page.evaluate("document.readyState") != "complete"
    shown.set()
    await page.wait_for_function("() => document.readyState === 'complete'")
    players = "[...document.querySelectorAll('.seat video')].filter((one) => one.srcObject).length"
    assert await page.evaluate(players) == 0
    await double.tell(snapshot(1, [person(0, camera=True), person(1)]))
    assert await page.evaluate(players) == 1


async def test_a_camera_that_is_pulled_out_is_replaced_or_said(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, pages + AGENT, Role.AGENT)
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
    sentences = catalogue("en")
    said = page.get_by_text(sentences["trouble_no_device_camera"], exact=True)
    await expect(said).to_be_visible()
    await expect(page.get_by_role("button", name="Turn camera on")).to_be_visible()
    await page.evaluate(UNPLUG_MICROPHONE)
    said = page.get_by_text(sentences["trouble_no_device_both"], exact=True)
    await expect(said).to_be_visible()
    await expect(page.get_by_role("button", name="Unmute")).to_be_visible()


async def test_a_phone_switches_to_the_camera_at_its_back(browser: Browser, pages: str) -> None:
    context = await browser.new_context(
        viewport={"width": 320, "height": 568}, has_touch=True, is_mobile=True
    )
    page = await context.new_page()
    double = await show(page, pages + AGENT, Role.AGENT)
    await double.tell(TALKING)
    await page.wait_for_function(f"() => {OWN_TRACK}")
    await page.evaluate(
        """() => { const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          window.wished = [];
          navigator.mediaDevices.getUserMedia = (wish) => {
            window.wished.push(wish.video?.facingMode?.exact); return real(wish); }; }"""
    )
    await page.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("button", name="Switch camera").click()
    # Where there is none the one that is there serves.
    await page.wait_for_function("() => window.wished.length === 2")
    assert await page.evaluate("window.wished") == ["environment", None]
    await page.wait_for_function(f"() => {OWN_TRACK}")
    await context.close()


async def test_reduced_motion_stops_what_moves_by_itself(browser: Browser, pages: str) -> None:
    context = await browser.new_context(reduced_motion="reduce")
    page = await context.new_page()
    double = await show(page, pages + ENGAGEMENT, Role.CONSUMER)
    await double.tell(INVITED)
    await page.wait_for_selector("[data-view=incoming]")
    moving = """() => document.getAnimations()
      .filter((one) => one.effect.getComputedTiming().iterations === Infinity).length"""
    assert await page.evaluate(moving) == 0
    await context.close()
    moved = await browser.new_page()
    double = await show(moved, pages + ENGAGEMENT, Role.CONSUMER)
    await double.tell(INVITED)
    await moved.wait_for_function(f"() => ({moving})() > 0")
    await moved.context.close()


async def test_two_conversations_in_two_frames_keep_apart(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    hellos: list[dict[str, Any]] = []

    def hear(socket: WebSocketRoute, text: str | bytes) -> None:
        hello = json.loads(text)
        if hello["type"] != "connection.hello":
            return
        hellos.append(hello)
        conversation = hello["engagement"]["rt_session_id"]
        other = person(1, name=f"Person of {conversation}")
        seat = SeatAssignment(kind="seat", index=0, participant_id="p1")
        told = {"session_id": conversation, "seats": [seat], "roster": [person(0), other]}
        for part in (
            welcome(hello["id"], Role.AGENT, in_session=True),
            TALKING.model_copy(update=told),
            ResumeRenewed(resume=f"back to {conversation}"),
        ):
            socket.send(encode(part).decode())

    await page.route_web_socket(
        "**/v1/connect", lambda socket: socket.on_message(lambda text: hear(socket, text))
    )
    addresses = [AGENT.replace("c1", conversation) for conversation in ("c1", "c2")]
    body = "".join(f'<iframe src="{pages}{address}"></iframe>' for address in addresses)
    both = f"{pages}/both"
    await page.route(both, lambda route: route.fulfill(body=body, content_type="text/html"))
    await page.goto(both, wait_until="commit")

    async def each_shows_its_own() -> None:
        for at, name in enumerate(("Person of c1", "Person of c2")):
            tile = page.frame_locator("iframe").nth(at).locator(".tile.seat .tile-name")
            await expect(tile.first).to_have_text(name)

    await each_shows_its_own()
    assert [hello.get("resume") for hello in hellos] == [None, None]
    # The frames share the tab and its storage. Whoever reloads comes back into their own session.
    await page.frames[2].evaluate("location.reload()")
    await until(lambda: len(hellos) == 3, "the second frame is back")
    await page.frames[1].evaluate("location.reload()")
    await until(lambda: len(hellos) == 4, "the first frame is back")
    await each_shows_its_own()
    assert [hello["resume"] for hello in hellos[2:]] == ["back to c2", "back to c1"]


async def test_nobody_who_writes_in_the_page_around_loses_the_focus(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    workspace = brand(pages, WORKSPACE.format(address=pages + AGENT))
    double = await show(page, workspace, Role.AGENT)
    await double.tell(TALKING)
    inside = page.frame_locator("iframe")
    await inside.get_by_role("button", name="People").click()
    await inside.get_by_role("button", name="Make link").click()
    request = await double.until_heard("guest.invite")
    chat = page.get_by_role("textbox")
    await chat.click()
    await page.keyboard.type("One moment")
    # The link that is to be copied comes when somebody is elsewhere by now.
    made = GuestInvited(
        reply_to=request["id"],
        seq=2,
        guest_invitation_id="g1",
        url="https://video.example.com/join#0123",
        expires_in_ms=3_600_000,
    )
    await double.tell(made)
    await expect(inside.get_by_role("button", name="Copy")).to_be_visible()
    await page.keyboard.type(", I will look.")
    assert await chat.input_value() == "One moment, I will look."


async def test_who_writes_as_it_rings_answers_nothing_by_that(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, pages + ENGAGEMENT, Role.CONSUMER)
    await double.tell(ResumeRenewed(resume="r"), snapshot(1, [person(0), person(1)]))
    await double.tell(SessionEnded(seq=2, session_id="s1", reason=EndReason.ENDED_BY_AGENT))
    await page.get_by_label("Anything to add?").click()
    await page.keyboard.type("It was ")
    await double.tell(INVITED)
    await page.keyboard.type("very good ")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Accept with video")).to_be_focused()
    assert "invitation.accept" not in {message["type"] for message in double.heard}


async def test_a_copy_of_a_tab_does_not_come_back_in_the_place_of_the_first(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, pages + AGENT, Role.AGENT)
    await double.tell(ResumeRenewed(resume="r"), TALKING)
    # A window that a page opens begins with what that knows, as a copy of its tab does.
    async with context.expect_page() as opening:
        await page.evaluate("() => void open('about:blank')")
    copy = await opening.value
    double = await show(copy, pages + AGENT, Role.AGENT)
    kept = "Object.keys(sessionStorage).filter((name) => name.endsWith('.resume')).length"
    hello = await double.until_heard("connection.hello")
    assert (hello["token"], "resume" in hello) == ("t", False)
    assert (await page.evaluate(kept), await copy.evaluate(kept)) == (1, 0)
