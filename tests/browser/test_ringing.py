"""Ringing is noticed wherever the person looks: on a brand's page of another site than the gateway,
by ear on one surface, and by whoever hears the screen. Against a double of the broker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    CDPSession,
    ConsoleMessage,
    Page,
    WebSocketRoute,
)

from broker.messages import encode
from broker.messages.facts import InvitationChanged, MediaTransport, SessionEnded, SessionLeft
from broker.messages.parts import Part
from broker.words import Attendance, EndReason, InvitationState, LeaveReason, Role
from tests.browser.broker_double import (
    BrokerDouble,
    brand,
    invitation,
    person,
    snapshot,
    welcome,
)
from tests.browser.demo import sooner
from tests.browser.gallery import ENGAGEMENT, INVITED
from tests.patience import PATIENCE, until

TURN_MS = 250
WATCH = """{
  const place = () => new URLSearchParams(location.search).get('surface') ?? 'shop';
  let touched = false;
  addEventListener('pointerdown', () => { touched = true; }, true);
  Object.defineProperty(navigator, 'userActivation',
    { value: { get hasBeenActive() { return touched; } } });
  Object.defineProperty(document, 'hidden', { get: () => true });
  window.Notification = class {
    static permission = 'granted';
    constructor(title) {
      console.log(`notified ${place()}: ${title}`);
      throw new TypeError('Illegal constructor. Use ServiceWorkerRegistration.showNotification().');
    }
  };
  const { resume } = AudioContext.prototype;
  AudioContext.prototype.resume = async function () {
    await resume.call(this);
    console.log(`sounds ${place()}`);
  };
}"""
"""Only fingers are gestures, though whatever a debugger evaluates is one. Notifying throws, as in
Chrome for Android."""
OFTEN = sooner(3_000, 300) + ";" + sooner(1_000, TURN_MS)
"""Sounds come ten times as often, and the titles take turns four times as often."""
SHOP = """<!doctype html><html lang="en"><title>Shop</title>
<script async src="{gateway}/launcher.js" data-account-id="demo" data-conversation-id="c9"></script>
<h1>Shop</h1><iframe allow="autoplay {gateway}" style="position: fixed; left: 0; top: 200px"
  src="{gateway}/engagement?surface=window&accountId=demo&conversationId=c9"></iframe>"""
TITLE = "An agent is calling"
LEFT = SessionLeft(seq=3, reason=LeaveReason.LEFT)


class Surfaces:
    """The broker's half for every surface of one person: what it tells one it tells all."""

    def __init__(self) -> None:
        self._sockets: list[WebSocketRoute] = []
        self.there: set[str] = set()

    @property
    def connections(self) -> int:
        return len(self._sockets)

    def accept(self, socket: WebSocketRoute) -> None:
        def hear(text: str | bytes) -> None:
            message = json.loads(text)
            if message["type"] == "connection.hello":
                self._sockets.append(socket)
                self._send(socket, welcome(message["id"], Role.CONSUMER, in_session=True))
                self.there.add(message["surface"])

        socket.on_message(hear)

    def tell(self, message: Part) -> None:
        for socket in self._sockets:
            self._send(socket, message)

    def _send(self, socket: WebSocketRoute, message: Part) -> None:
        socket.send(encode(message).decode())


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(viewport={"width": 900, "height": 700}, locale="en-GB")
    yield context
    await context.close()


async def test_a_ring_is_noticed_on_a_page_of_another_site(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    for script in (WATCH, OFTEN):
        await page.add_init_script(script)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    surfaces = Surfaces()
    await page.route_web_socket("**/v1/connect", surfaces.accept)
    await page.route("**/v1/waiting", lambda route: route.fulfill(json={"token": "t"}))
    config = {"account_id": "demo", "consumer_proof": "ids"}
    await page.route("**/v1/widget-config*", lambda route: route.fulfill(json=config))
    await page.goto(brand(pages, SHOP.format(gateway=pages)))
    await until(lambda: surfaces.there == {"launcher", "window"}, "both surfaces wait", every=0.02)

    async def titled(*titles: str) -> None:
        for title in titles:
            await page.wait_for_function("(title) => document.title === title", arg=title)

    surfaces.tell(INVITED)
    # A page that may not notify after all has the invitation all the same.
    await page.get_by_role("region", name="Video").wait_for()
    await titled(TITLE, "Shop", TITLE)

    def notified() -> list[str]:
        return sorted(line for line in said if line.startswith("notified"))

    await until(lambda: len(notified()) > 1, "both surfaces notify", every=0.02)
    assert notified() == [
        f"notified shop: {TITLE}",
        "notified window: Alex Berger is calling",
    ]
    # What the page calls itself meanwhile is what it is called afterwards.
    await page.evaluate("document.title = 'Basket (1)'")
    await titled(TITLE, "Basket (1)", TITLE)
    assert [line for line in said if line.startswith("sounds")] == []

    # A finger on the brand's page lets the frame sound that asks for it by `allow`.
    await page.mouse.click(300, 20)
    await until(lambda: "sounds launcher" in said, "the launcher sounds", every=0.02)
    # The other may sound now, too, and leaves it to the one that does.
    await page.mouse.click(4, 204)
    before = said.count("sounds launcher")
    await until(lambda: said.count("sounds launcher") > before + 3, "it sounds on", every=0.02)
    assert "sounds window" not in said

    surfaces.tell(snapshot(1, [person(0), person(1)]))
    await titled("Basket (1)")
    # Its next turn would have come.
    await page.wait_for_timeout(2 * TURN_MS)
    assert await page.title() == "Basket (1)"


async def test_of_a_window_of_its_own_and_its_opener_one_sounds_and_one_notifies(
    context: BrowserContext, pages: str
) -> None:
    shop = await context.new_page()
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        place = "" if message.page is shop else " own"
        said.append(message.text.partition(":")[0] + place)

    context.on("console", hear)
    for script in (WATCH, OFTEN):
        await shop.add_init_script(script)
    surfaces = Surfaces()
    await context.route_web_socket("**/v1/connect", surfaces.accept)
    await context.route("**/v1/waiting", lambda route: route.fulfill(json={"token": "t"}))
    await shop.goto(brand(pages, SHOP.format(gateway=pages)))
    await until(lambda: surfaces.there == {"launcher", "window"}, "both surfaces wait", every=0.02)

    def sounding() -> list[str]:
        return [line for line in said if line.startswith("sounds")]

    surfaces.tell(INVITED)
    # The finger on this button lets the frame sound, too.
    frame = shop.frame_locator("iframe[src*='surface=window']")
    async with context.expect_page() as opening:
        await frame.get_by_role("button", name="Open in own window").click()
    own = await opening.value
    await until(lambda: surfaces.connections == 3, "its own window waits, too", every=0.02)
    await own.evaluate(f"() => {{ {WATCH}; {OFTEN} }}")
    await own.mouse.click(3, 3)
    surfaces.tell(INVITED)
    await own.get_by_role("button", name="Decline").wait_for()
    await until(lambda: len(sounding()) > 5, "it rings on", every=0.02)
    assert set(sounding()) == {"sounds window"}, "who sounds goes on"

    surfaces.tell(LEFT)
    await own.get_by_role("heading", name="The invitation was withdrawn").wait_for()
    said.clear()
    surfaces.tell(INVITED)
    await own.get_by_role("button", name="Decline").wait_for()
    await until(lambda: len(sounding()) > 5, "it rings again", every=0.02)
    assert len(set(sounding())) == 1
    assert [line for line in said if line.startswith("notified")] == ["notified window own"], said
    await own.close()
    # What was opened is gone: the opener rings as before.
    surfaces.tell(LEFT)
    said.clear()
    surfaces.tell(INVITED)
    await until(lambda: "notified window" in said, "it notifies", every=0.02)


async def statuses(screen: CDPSession) -> dict[int, str]:
    """What each live region says in the tree that screen readers are given, by its node."""
    nodes: list[dict[str, Any]] = (await screen.send("Accessibility.getFullAXTree"))["nodes"]
    by_id = {node["nodeId"]: node for node in nodes}

    def words(node: dict[str, Any]) -> str:
        if node.get("role", {}).get("value") == "StaticText":
            return str(node["name"]["value"])
        return "".join(words(by_id[child]) for child in node.get("childIds", []) if child in by_id)

    return {
        node["backendDOMNodeId"]: words(node)
        for node in nodes
        if node.get("role", {}).get("value") == "status"
    }


async def test_one_region_that_lasts_says_each_view_aloud(
    context: BrowserContext, pages: str
) -> None:
    page: Page = await context.new_page()
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    await page.goto(f"{pages}{ENGAGEMENT}&lang=en")
    screen = await context.new_cdp_session(page)
    lasting: set[int] = set()

    async def said(words: str) -> None:
        latest: dict[int, str] = {}
        for _ in range(int(300 * PATIENCE)):
            latest = await statuses(screen)
            nodes = {node for node, text in latest.items() if text.startswith(words)}
            if nodes:
                lasting.intersection_update(nodes) if lasting else lasting.update(nodes)
                return
            await page.wait_for_timeout(50)
        raise AssertionError(f"Nobody hears {words!r}: {latest}")

    await said("Video with our team. When an agent invites you, it rings here.")
    await double.tell(INVITED)
    await said("Alex Berger. would like to see and talk to you")
    cancelled = invitation(InvitationState.CANCELLED)
    await double.tell(InvitationChanged(seq=2, invitation=cancelled), LEFT)
    await said("The invitation was withdrawn")
    await double.tell(snapshot(1, [person(0), person(1)], attendance="elsewhere"))
    await said("It is open in another window. The session goes on there.")
    away = MediaTransport(seq=4, epoch=1, transport_id="other", state="closed")
    await double.tell(away)
    await said("The other window is no longer open")
    await page.get_by_role("button", name="Bring it here").click()
    await page.wait_for_selector("[data-view=session]")
    await double.tell(SessionEnded(seq=5, session_id="s1", reason=EndReason.ENDED_BY_AGENT))
    await said("The session has ended. The agent ended it. The session lasted 12:")
    assert len(lasting) == 1

    guest = await context.new_page()
    double = BrokerDouble(guest, Role.GUEST)
    await double.attach()
    await guest.goto(f"{pages}/join?lang=en#0123456789abcdef")
    screen = await context.new_cdp_session(guest)
    await guest.get_by_label("Your name").fill("Noa")
    await guest.keyboard.press("Enter")
    waits = person(2, attendance=Attendance.LOBBY)
    await double.tell(snapshot(2, [person(0), waits], attendance="lobby"))
    await said(
        "Almost there. The others have been told that you are here. Somebody will let you in."
    )
    await double.tell(snapshot(2, [person(0), person(2)], attendance="elsewhere"))
    await said("It is open in another window. The session goes on there.")
    await guest.get_by_role("button", name="Bring it here").click()
    await guest.wait_for_selector("[data-view=session]")
