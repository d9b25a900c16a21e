"""Without a mouse: whole sessions, where the focus goes, and in which order. Inside the
widgets it is moved by nothing but the keys that a person presses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from broker.messages.facts import RosterChanged, SessionEnded
from broker.words import Attendance, EndReason, Role
from tests.browser.broker_double import BrokerDouble, asked, brand, painted, person, snapshot
from tests.browser.contrast import COLOURS
from tests.browser.demo import People, until_counts
from tests.browser.gallery import (
    AGENT,
    AGENT_SCENES,
    CONSUMER_SCENES,
    ENGAGEMENT,
    GUEST_SCENES,
    Scene,
)
from tests.browser.gallery_between import BETWEEN_SCENES
from tests.browser.studio import SETTLED, Studio

HOLDS = "(node) => node === document.activeElement && document.hasFocus()"
FENCES = """() => {
  for (const [place, id] of [['beforebegin', 'before'], ['afterend', 'after']]) {
    if (document.getElementById(id)) continue;
    const fence = Object.assign(document.createElement('button'), { id, textContent: id });
    document.querySelector('main').insertAdjacentElement(place, fence);
  }
  document.getElementById('before').focus();
}"""
"""Puts a button before the widget and one behind it, as a page around it has, and begins there."""
STOP = """() => {
  COLOURS
  const node = document.activeElement;
  const parts = [node, ...(node.labels ?? [])];
  const label = node.labels?.[0];
  const name = node.ariaLabel || (label?.querySelector('span') ?? node).textContent;
  const { left, top, width, height } = (label ?? node).getBoundingClientRect();
  const at = document.elementFromPoint(left + width / 2, top + height / 2);
  const drawn = [...parts, node.nextElementSibling].some((part) => {
    const { outlineStyle, outlineColor, outlineOffset } = part ? getComputedStyle(part) : {};
    if (!part || outlineStyle === 'none') return false;
    const inside = parseFloat(outlineOffset) < 0;
    return apart(read(outlineColor), behind(inside ? part : part.parentElement)) >= 3;
  });
  return {
    id: node.id,
    name: name.trim().replace(/\\s+/g, ' '),
    seen: parts.some((part) => part.contains(at)),
    drawn,
  };
}""".replace("COLOURS", COLOURS)
"""Where the focus stands: whether it is in sight (WCAG 2.4.11), and drawn (2.4.7) so that it stands
apart from what is around it (1.4.11)."""
IDLE = ["Start video", "Start voice", "Camera and microphone"]
BAR = ["Mute", "Turn camera off", "Share screen", "People", "More", "End"]


async def tab_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Walk by the tabulator until this has the focus."""
    await target.wait_for()
    for _ in range(80):
        await page.keyboard.press(key)
        if await target.evaluate(HOLDS):
            return
    raise AssertionError(f"No {key} leads to {target}.")


async def test_the_whole_session_by_keyboard_alone(people: People) -> None:
    await people.open()
    page, agent = people.page, people.agent
    key = page.keyboard.press
    consumer = await people.frame("/engagement")
    button, agents_button = (partial(side.get_by_role, "button") for side in (consumer, agent))
    start = agents_button(name="Start video")
    await tab_to(page, start)
    await key("Enter")
    # From the workspace's frame to the launcher's, which has opened meanwhile.
    await tab_to(page, button(name="Accept with video"))
    await key("Enter")
    await until_counts(agent, frames=5)
    await until_counts(consumer, frames=5)
    # Who answered stands at the first of what one reaches for.
    await expect(button(name="Mute", exact=True)).to_be_focused()
    await key("Space")
    await expect(button(name="Unmute")).to_be_focused()
    for _ in range(3):
        await key("ArrowRight")
    people_button = button(name="People")
    await expect(people_button).to_be_focused()
    await key("Enter")
    await expect(consumer.get_by_role("dialog", name="People")).to_be_focused()
    await key("Escape")
    await expect(people_button).to_be_focused()

    # Back to the agent, who writes something.
    more, end = agents_button(name="More", exact=True), agents_button(name="End", exact=True)
    await tab_to(page, more, "Shift+Tab")
    await key("Enter")
    await expect(agent.get_by_role("dialog", name="More")).to_be_focused()
    await tab_to(page, agent.get_by_role("dialog").get_by_role("button", name="Text"))
    await key("Enter")
    await expect(agent.get_by_role("dialog", name="Text")).to_be_focused()
    await tab_to(page, agent.get_by_label("Message"))
    await page.keyboard.type("Is this the table?")
    await key("Enter")
    await expect(button(name="More: 1 unread")).to_be_visible()
    await key("Escape")
    await expect(more).to_be_focused()
    await key("ArrowRight")
    await expect(end).to_be_focused()
    await key("Enter")
    # It is over on the consumer's side, too, and nothing there takes the focus away.
    await consumer.locator("main [data-view=over]").wait_for()
    await expect(agents_button(name="Close")).to_be_focused()
    await key("Enter")
    await expect(start).to_be_focused()

    # On to the consumer, who says how it was.
    await expect(consumer.get_by_text("The agent ended it.")).to_be_visible()
    await tab_to(page, consumer.get_by_role("radio", name="1 of 5"))
    for _ in range(3):
        await key("ArrowRight")
    await expect(consumer.get_by_role("radio", name="4 of 5")).to_be_checked()
    await tab_to(page, button(name="Send"))
    await key("Enter")
    await expect(consumer.get_by_text("Thank you!")).to_be_visible()
    await tab_to(page, button(name="Close"))
    await key("Enter")
    shop = page.frame_locator("#shop")
    await expect(shop.get_by_role("region", name="Video", include_hidden=True)).to_be_hidden()


@pytest.mark.parametrize(("language", "onward"), [("en", "ArrowRight"), ("he", "ArrowLeft")])
async def test_arrows_and_places_follow_the_way_one_reads(
    browser: Browser, pages: str, language: str, onward: str
) -> None:
    context = await browser.new_context(viewport={"width": 340, "height": 640})
    page = await context.new_page()
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    await page.goto(f"{pages}{AGENT}&lang={language}")
    await double.tell(snapshot(0, [person(0), person(1)]))
    first, second = (page.get_by_role("toolbar").get_by_role("button").nth(at) for at in (0, 1))
    await first.focus()
    await page.keyboard.press(onward)
    await expect(second).to_be_focused()
    left = "([one, other]) => one.getBoundingClientRect().left < other.getBoundingClientRect().left"
    shown = [await first.element_handle(), await second.element_handle()]
    assert await page.evaluate(left, shown) == (language == "en")
    # One's own picture stands at the end, and at the end of a line.
    middle = (
        "() => { const { left, right } = document.querySelector('.self').getBoundingClientRect();"
    )
    assert await page.evaluate(f"{middle} return left + right > innerWidth; }}") == (
        language == "en"
    )
    await context.close()


async def test_an_agent_needs_no_mouse(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    waits = person(2, attendance=Attendance.LOBBY)
    await double.tell(snapshot(0, [person(0), person(1), waits]))
    button, dialog = partial(page.get_by_role, "button"), partial(page.get_by_role, "dialog")
    people, more = button(name="People: 1 waiting to be let in"), button(name="More", exact=True)
    asks = page.get_by_role("status").filter(has_text="Noa Levi waits to be let in")
    await tab_to(page, asks.get_by_role("button", name="Send away"))
    await page.keyboard.press("Enter")
    assert await asked(double, "participant.refuse") == {"participant_id": "p2"}
    # The strip goes, and no other is there: on among the buttons.
    await double.tell(RosterChanged(seq=2, roster=[person(0), person(1)]))
    await expect(page.get_by_role("toolbar")).to_be_focused()
    await double.tell(RosterChanged(seq=3, roster=[person(0), person(1), waits]))
    await tab_to(page, people)
    await page.keyboard.press("Enter")
    await expect(dialog(name="People")).to_be_focused()
    # Nobody is asked twice at once.
    await expect(asks).to_have_count(0)
    await tab_to(page, button(name="Let in", exact=True))
    await page.keyboard.press("Enter")
    assert await asked(double, "participant.admit") == {"participant_id": "p2"}
    # Button and row go, the focus stays among people.
    row = dialog(name="People").get_by_role("listitem").filter
    await double.tell(RosterChanged(seq=4, roster=[person(0), person(1), person(2)]))
    await expect(row(has_text="Noa Levi")).to_be_focused()
    await tab_to(page, button(name="Remove: Noa Levi"))
    await page.keyboard.press("Enter")
    assert await asked(double, "participant.remove") == {"participant_id": "p2"}
    await double.tell(RosterChanged(seq=5, roster=[person(0), person(1)]))
    await expect(row(has_text="Maya Cohen")).to_be_focused()
    await double.tell(RosterChanged(seq=6, roster=[person(0), person(1), waits]))
    await expect(row(has_text="Maya Cohen")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(dialog(name="People")).to_be_hidden()
    await expect(people).to_be_focused()
    await expect(asks).to_have_count(1)

    for item, panel in (("Camera and microphone", "Camera and microphone"), ("Text", "Text")):
        await page.keyboard.press("Tab")
        await expect(more).to_be_focused()
        await page.keyboard.press("Space")
        await expect(dialog(name="More")).to_be_focused()
        await tab_to(page, dialog(name="More").get_by_role("button", name=item))
        await page.keyboard.press("Enter")
        await expect(dialog(name=panel)).to_be_focused()
        await expect(dialog(name="More")).to_be_hidden()
        await tab_to(page, dialog(name=panel).locator("input, select").first)
        await page.keyboard.press("Escape")
        await expect(dialog(name=panel)).to_be_hidden()
        await expect(more).to_be_focused()
        await page.keyboard.press("Shift+Tab")
        await expect(people).to_be_focused()

    await tab_to(page, button(name="End", exact=True))
    await page.keyboard.down("Enter")
    await double.until_heard("session.end")
    # Held down it presses nothing that stands there afterwards, least of all *Start*.
    await double.tell(SessionEnded(seq=7, session_id="s1", reason=EndReason.ENDED_BY_AGENT))
    await expect(button(name="Close")).to_be_focused()
    await page.keyboard.down("Enter")
    await painted(page)
    await page.keyboard.up("Enter")
    await expect(button(name="Close")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(button(name="Start video")).to_be_focused()


async def test_no_widget_keeps_the_focus_from_the_page_around_it(
    browser: Browser, pages: str
) -> None:
    context = await browser.new_context(viewport={"width": 500, "height": 800})
    page = await context.new_page()
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    inside = page.frame_locator("iframe")
    fence = partial(page.get_by_role, "button")
    for path, role, me in ((AGENT, Role.AGENT, 0), (ENGAGEMENT, Role.CONSUMER, 1)):
        double.begin(role, in_session=True)
        framed = f'<iframe src="{pages}{path}&amp;lang=en" width="400" height="640"></iframe>'
        await page.goto(brand(pages, f"<button>before</button>{framed}<button>after</button>"))
        await double.tell(snapshot(me, [person(0), person(1), person(2)]))
        await tab_to(page, inside.get_by_role("button", name="People", exact=True))
        await page.keyboard.press("Enter")
        panel = inside.get_by_role("dialog", name="People")
        await expect(panel).to_be_focused()
        # The panel is no wall either: what lies behind it works on.
        await tab_to(page, fence(name="after"))
        await tab_to(page, inside.get_by_role("button", name="More", exact=True), "Shift+Tab")
        await tab_to(page, fence(name="before"), "Shift+Tab")
        await expect(panel).to_be_visible()
    await context.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def studio(browser: Browser, pages: str) -> AsyncIterator[Studio]:
    studio = Studio(browser, pages)
    yield studio
    await studio.close()


def scene_of(scenes: tuple[Scene, ...], name: str) -> Scene:
    [found] = [scene for scene in scenes if scene.name == name]
    return found


SETTINGS = scene_of(BETWEEN_SCENES, "settings")
PEOPLE = [
    *("Mute: Maya Cohen", "Ask to share the screen: Maya Cohen"),
    *("Ask to share the screen: Noa Levi", "Remove: Noa Levi"),
    *("Mute: 李小龍", "Put in charge: 李小龍", "Remove: 李小龍"),
    *("Name (if you like)", "Make link", "Withdraw"),
]
MORE = [
    *("Voice only", "Layout: Automatic", "Full screen", "Picture in picture", "Text"),
    *("Camera and microphone", "Leave; the others stay", "End for everybody"),
]
DEVICES = ["Camera", "Microphone", "Speaker", "Play a sound", "Done"]
RINGS = [
    *("Accept with video", "Accept with voice only", "Decline"),
    *("Say why you decline", "Check camera and microphone"),
]
PANELS = ("people", "more", "text", "settings", "check")
STARS = ["1 of 5", "Anything to add?"]
ORDERS: list[tuple[Scene, list[str]]] = [
    (scene_of(AGENT_SCENES, "idle-reachable"), IDLE),
    (scene_of(AGENT_SCENES, "calling-seen"), ["Cancel", *BAR]),
    (scene_of(AGENT_SCENES, "one-to-one"), BAR),
    (scene_of(AGENT_SCENES, "another-consumer"), ["Let in", "Send away", *BAR]),
    (scene_of(AGENT_SCENES, "people"), [*BAR, "Close", *PEOPLE]),
    (scene_of(AGENT_SCENES, "more"), [*BAR, "Close", *MORE]),
    (scene_of(AGENT_SCENES, "text"), [*BAR, "Close", "Message", "Send"]),
    (SETTINGS, [*BAR, "Close", *DEVICES]),
    (scene_of(AGENT_SCENES, "over"), ["Close"]),
    (scene_of(CONSUMER_SCENES, "incoming"), RINGS),
    (scene_of(CONSUMER_SCENES, "check"), ["Close", *DEVICES, "Accept", "Decline"]),
    (scene_of(CONSUMER_SCENES, "over"), [*STARS, "Close"]),
    (scene_of(GUEST_SCENES, "join"), ["Your name", "Join", "Check camera and microphone"]),
    (scene_of(GUEST_SCENES, "lobby"), ["Leave"]),
]


async def stops(page: Page, key: str) -> list[dict[str, Any]]:
    """Where the focus stands one after the other, until it leaves the widget."""
    found: list[dict[str, Any]] = []
    for _ in range(60):
        await page.keyboard.press(key)
        at = await page.evaluate(STOP)
        if at["id"] in ("before", "after"):
            return found
        found.append(at)
    raise AssertionError(f"The focus does not leave the widget: {found}")


@pytest.mark.parametrize(("scene", "order"), ORDERS, ids=lambda each: getattr(each, "name", ""))
async def test_the_focus_goes_in_the_order_in_which_one_reads(
    studio: Studio, scene: Scene, order: list[str]
) -> None:
    page, _ = await studio.play(scene, ((320, 600), "light"))
    if scene.name in PANELS:
        await expect(page.get_by_role("dialog")).to_be_focused()
    await page.wait_for_function(SETTLED)
    if "Mute" in order:
        # The browser takes its time to open them.
        await expect(page.get_by_role("button", name="Mute", exact=True)).to_be_visible()
    if "Camera" in order:
        # Which devices there are is asked of the browser.
        await expect(page.locator("#pick-camera")).to_be_visible()
    await page.evaluate(FENCES)
    there = await stops(page, "Tab")
    assert [each["name"] for each in there] == order
    await page.emulate_media(color_scheme="dark")
    back = await stops(page, "Shift+Tab")
    assert [each["name"] for each in back] == order[::-1]
    found = [*there, *back]
    assert [each["name"] for each in found if not (each["seen"] and each["drawn"])] == []
