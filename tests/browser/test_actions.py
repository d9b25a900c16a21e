"""What the buttons of a session ask of the broker, and what its news look like: against a double
of the broker, so that each costs little."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from broker.messages.facts import (
    GuestInvited,
    InvitationChanged,
    MediaQuality,
    MediaSpeaker,
    MediaTransport,
    ParticipantMuted,
    RosterChanged,
    ScreenRequested,
    SessionEnded,
    SessionSaving,
)
from broker.words import (
    Attendance,
    Capability,
    EndReason,
    InvitationState,
    PublishSource,
    Reach,
    Role,
)
from tests.browser.broker_double import BrokerDouble, invitation, person, reach, snapshot
from tests.browser.gallery import AGENT, BY_LINK, ENGAGEMENT

THREE = snapshot(0, [person(0), person(1, camera=True), person(2)])
COUNT_WISHES = """() => {
  const { mediaDevices } = navigator;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  window.wishes = 0;
  mediaDevices.getUserMedia = (wish) => { window.wishes += 1; return ask(wish); };
}"""
MEDIA = """(state) => {
  const { connection } = document.querySelector('switchboard-agent').client.peer;
  Object.defineProperty(connection, 'connectionState', { get: () => state, configurable: true });
  connection.dispatchEvent(new Event('connectionstatechange'));
}"""
"""Brings about a state of the peer connection, which has nobody to talk to."""
SENDING = "Object.values(document.querySelector('switchboard-agent').client.media.publishing)"
LINK = "https://video.example.com/join#0123456789abcdef"


@pytest_asyncio.fixture(loop_scope="session")
async def talk(browser: Browser, pages: str) -> AsyncIterator[tuple[Page, BrokerDouble]]:
    """An agent with a consumer, whose camera is on, and a guest."""
    context = await browser.new_context(viewport={"width": 1000, "height": 820})
    page = await context.new_page()
    double = BrokerDouble(page, Role.AGENT)
    await double.attach()
    await page.goto(f"{pages}{AGENT}&lang=en")
    await double.tell(THREE)
    yield page, double
    await context.close()


async def asked(double: BrokerDouble, kind: str) -> dict[str, Any]:
    """What was asked, without the number of the request."""
    message = await double.until_heard(kind)
    return {name: value for name, value in message.items() if name not in ("id", "type")}


async def test_each_action_about_a_person_asks_for_it(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    await page.get_by_role("button", name="People").click()
    for button, kind, fields in (
        ("Mute: Maya Cohen", "participant.mute", {"sources": ["microphone"]}),
        ("Ask to share the screen: Maya Cohen", "screen.request", {}),
    ):
        await page.get_by_role("button", name=button).click()
        assert await asked(double, kind) == {"participant_id": "p1", **fields}
    double.heard.clear()
    await page.get_by_role("button", name="Stop video: Maya Cohen").click()
    assert (await asked(double, "participant.mute"))["sources"] == ["camera"]
    await page.get_by_role("button", name="Remove: Noa Levi").click()
    assert await asked(double, "participant.remove") == {"participant_id": "p2"}
    # Nobody removes the consumer, or mutes themselves.
    for button in ("Remove: Maya Cohen", "Mute: Alex Berger"):
        await expect(page.get_by_role("button", name=button)).to_have_count(0)


RINGS: list[tuple[str, InvitationState, dict[str, Any]]] = [
    ("Looking for Maya Cohen…", InvitationState.SENT, {"surfaces": []}),
    ("Ringing: Maya Cohen sees the invitation", InvitationState.RINGING, {}),
    ("Ringing, but not seen yet", InvitationState.RINGING, {"visible": False}),
    (
        "Maya Cohen sees it, but the camera is blocked there",
        InvitationState.RINGING,
        {"reason": "camera_blocked"},
    ),
    ("Maya Cohen sees it, but has no camera", InvitationState.RINGING, {"reason": "no_camera"}),
    ("Maya Cohen is on a page without", InvitationState.RINGING, {"reason": "insecure"}),
    ("Maya Cohen has a browser that", InvitationState.FAILED, {"reason": "no_webrtc"}),
    ("Maya Cohen declined", InvitationState.DECLINED, {"reason": "On the train"}),
    ("Maya Cohen did not answer", InvitationState.EXPIRED, {}),
    ("The invitation could not be delivered", InvitationState.FAILED, {}),
    ("You took the invitation back", InvitationState.CANCELLED, {}),
]


async def test_what_became_of_the_invitation_is_said_with_what_can_be_done(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    await double.tell(snapshot(0, [person(0)], ringing=invitation()))
    card = page.locator(".outgoing")
    cancel, again = (
        card.get_by_role("button", name=name, exact=True) for name in ("Cancel", "Invite again")
    )
    for number, (words, state, more) in enumerate(RINGS):
        rings = invitation(state, **more)
        await double.tell(InvitationChanged(seq=2 + number, invitation=rings))
        await expect(card).to_contain_text(words)
        on = state in (InvitationState.SENT, InvitationState.RINGING)
        await expect(cancel).to_be_visible(visible=on)
        await expect(again).to_be_visible(visible=not on)
        if state is InvitationState.DECLINED:
            await expect(card).to_contain_text("“On the train”")
    await again.click()
    assert await asked(double, "invitation.send") == {"mode": "video"}
    await double.tell(InvitationChanged(seq=99, invitation=invitation()))
    await cancel.click()
    assert await asked(double, "invitation.cancel") == {}


async def test_a_link_for_one_person_is_made_and_copied(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_role("button", name="People").click()
    await page.get_by_label("Name (if you like)").fill("Noa")
    await page.get_by_role("button", name="Make link").click()
    request = await double.until_heard("guest.invite")
    assert request["name"] == "Noa"
    await double.tell(
        GuestInvited(
            reply_to=request["id"],
            seq=2,
            guest_invitation_id="g1",
            url=LINK,
            expires_in_ms=3_600_000,
        )
    )
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == LINK

    # What proves a consumer can be copied too, where no workspace took it.
    absent = reach(Reach.ABSENT)
    double.begin(Role.AGENT, in_session=False, config=BY_LINK)
    await page.goto(page.url)
    await double.tell(absent)
    await page.get_by_role("button", name="Send the consumer a link").click()
    await page.get_by_role("button", name="Copy").click()
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == await page.locator("input.link").input_value()
    assert copied.startswith("Please open this link")

    # So does a consumer make links, where the account's policy lets them.
    double.begin(Role.CONSUMER, in_session=True)
    await page.goto(f"{page.url.partition('/agent')[0]}{ENGAGEMENT}&lang=en")
    plain = snapshot(1, [person(0), person(1)])
    await double.tell(plain)
    await page.get_by_role("button", name="People").click()
    make = page.get_by_role("button", name="Make link")
    await expect(page.get_by_role("dialog", name="People")).to_be_visible()
    await expect(make).to_be_hidden()
    more = [*plain.capabilities, Capability.INVITE]
    await double.tell(plain.model_copy(update={"capabilities": more}))
    await page.get_by_label("Name (if you like)").fill("Ben")
    await make.click()
    assert (await asked(double, "guest.invite"))["name"] == "Ben"

    # The agent asks for their screen, as often as they like; the answer is theirs.
    await page.evaluate(
        "() => { navigator.mediaDevices.getDisplayMedia = () => { window.shares = true; }; }"
    )
    await page.keyboard.press("Escape")
    strip = page.get_by_role("status").filter(has_text="Alex Berger would like to see your screen")
    for seq, answer in ((2, "Dismiss"), (3, "Share screen")):
        await double.tell(ScreenRequested(seq=seq, by_participant_id="p0"))
        assert await page.evaluate("window.shares") is None
        await strip.get_by_role("button", name=answer).click()
        await expect(strip).to_have_count(0)
    assert await page.evaluate("window.shares") is True


async def test_camera_and_voice_only_go_off_and_on(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    own = "document.querySelector('.self video').srcObject?.getVideoTracks()[0]?.readyState"
    off, on = (page.get_by_role("button", name=f"Turn camera {word}") for word in ("off", "on"))
    await page.wait_for_function(f"() => {own} === 'live'")
    await page.evaluate(COUNT_WISHES)
    await off.click()
    # The broker answers with the roster: no news turns on what a person turned off.
    for seq, camera in ((2, False), (3, True)):
        others = [person(1, camera=camera), person(2)]
        await double.tell(RosterChanged(seq=seq, roster=[person(0), *others]))
        await expect(on).to_be_visible()
        assert await page.evaluate(own) is None
        assert await page.evaluate("window.wishes") == 0
    await on.click()
    await page.wait_for_function(f"() => {own} === 'live'")
    # Nor what another one did.
    await double.tell(
        ParticipantMuted(seq=4, by_participant_id="p1", sources=[PublishSource.CAMERA]),
        RosterChanged(seq=5, roster=THREE.roster),
    )
    await expect(on).to_be_visible()
    assert await page.evaluate("window.wishes") == 1
    await on.click()
    await page.wait_for_function(f"() => {own} === 'live'")
    await page.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("button", name="Voice only").click()
    assert await asked(double, "media.mode") == {"mode": "voice"}


async def sends(double: BrokerDouble) -> tuple[bool, bool]:
    """Whether the widget says first that it sends sound, and a picture."""
    said = await asked(double, "media.publish")
    return said["microphone"], said["camera"]


async def test_what_one_turned_off_stays_off_wherever_one_goes_on(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    here, framed = page.url, page.url.replace("/agent", "/framed")
    body = f'<iframe src="{here}" width="900" height="700" allow="camera; microphone"></iframe>'
    await page.route(framed, lambda route: route.fulfill(body=body, content_type="text/html"))
    double.begin(Role.AGENT, in_session=True)
    await page.goto(framed)
    await double.tell(THREE)
    assert await sends(double) == (True, True)
    frame = page.frame_locator("iframe")
    await frame.get_by_role("button", name="Mute", exact=True).click()
    await frame.get_by_role("button", name="More", exact=True).click()
    async with page.expect_popup() as opening:
        await frame.get_by_role("button", name="Open in own window").click()
    popup = await opening.value
    own = popup.url
    await popup.close()

    # In a window of one's own.
    double.begin(Role.AGENT, in_session=True)
    await page.goto(own)
    await double.tell(THREE)
    assert await sends(double) == (False, True)
    await page.get_by_role("button", name="Turn camera off").click()
    # After a reload of it.
    double.begin(Role.AGENT, in_session=True)
    await page.reload()
    await double.tell(THREE)
    assert await sends(double) == (False, False)
    # Back where one was, as it was left in the other window.
    offer = await double.until_heard("media.offer")
    for seq, transport, state in (
        (2, "another", "connected"),
        (3, offer["transport_id"], "closed"),
    ):
        await double.tell(MediaTransport(seq=seq, epoch=1, transport_id=transport, state=state))
    back = page.get_by_role("button", name="Bring it here")
    await expect(back).to_be_visible()
    roster = [person(0, microphone=True, camera=False), person(1), person(2)]
    await double.tell(RosterChanged(seq=4, roster=roster))
    double.heard.clear()
    await back.click()
    assert await sends(double) == (True, False)


async def test_without_the_broker_what_is_said_and_what_works(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    button = partial(page.get_by_role, "button")
    words = page.get_by_role("status").get_by_text("Reconnecting…", exact=False)
    await expect(button(name="Turn camera off")).to_be_visible()
    await page.evaluate(MEDIA, "connected")
    await button(name="People").click()
    double.deaf = True
    double.heard.clear()
    await double.drop(1012)
    await double.until_heard("connection.hello")
    await expect(words).to_have_text("Reconnecting… You still see and hear each other.")
    for name in ("Mute", "Turn camera off"):
        await button(name=name, exact=True).click()
    assert await page.evaluate(SENDING) == [False, False, False]
    for name in ("Unmute", "Turn camera on"):
        await button(name=name, exact=True).click()
    await page.wait_for_function(f"() => String({SENDING}) === 'true,true,false'")
    # What only the broker can do is excused, not kept for a moment that nobody expects any more.
    double.heard.clear()
    await button(name="Make link").click()
    await double.drop(1012)
    await expect(page.get_by_text("The connection was lost. Please try again.")).to_be_visible()
    # Whoever ends is not seen or heard from then on, whenever the broker learns of it.
    await button(name="End", exact=True).click()
    assert await page.evaluate(SENDING) == [False, False, False]

    await page.evaluate(MEDIA, "failed")
    await expect(words).to_have_text("Connection lost. Reconnecting…")
    await double.until_heard("connection.hello")
    double.deaf = False
    double.heard.clear()
    await double.drop(1012)
    await double.until_heard("connection.hello")
    await double.tell(THREE)
    assert await sends(double) == (False, False)
    await expect(words).to_be_hidden()


async def test_without_sound_and_picture_what_is_said_and_what_works(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    button = partial(page.get_by_role, "button")
    words = page.get_by_role("status").get_by_text("Connection lost", exact=False)
    # Sound and picture are on before what follows is said of them.
    await double.until_heard("media.offer")
    assert await sends(double) == (True, True)
    await page.evaluate(MEDIA, "connected")
    await expect(words).to_be_hidden()
    double.heard.clear()
    await page.evaluate(MEDIA, "disconnected")
    await expect(words).to_have_text(
        "Connection lost. Reconnecting; you can still end the session."
    )
    await button(name="Mute", exact=True).click()
    assert await sends(double) == (False, True)
    await button(name="People").click()
    await button(name="Mute: Maya Cohen").click()
    assert (await asked(double, "participant.mute"))["participant_id"] == "p1"
    await page.keyboard.press("Escape")
    await button(name="End", exact=True).click()
    await double.until_heard("session.end")
    await page.evaluate(MEDIA, "connected")
    await expect(words).to_be_hidden()


async def tab_to(page: Page, target: Locator) -> None:
    """Walk by the tabulator until this has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await target.evaluate("(node) => node === document.activeElement"):
            return
    raise AssertionError(f"No tabulator leads to {target}.")


async def test_an_agent_needs_no_mouse(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    waits = person(2, attendance=Attendance.LOBBY)
    await double.tell(snapshot(0, [person(0), person(1), waits]))
    button, dialog = partial(page.get_by_role, "button"), partial(page.get_by_role, "dialog")
    people, more = button(name="People: 1 waiting to be let in"), button(name="More", exact=True)
    await tab_to(page, people)
    await page.keyboard.press("Enter")
    await expect(dialog(name="People")).to_be_focused()
    await tab_to(page, button(name="Let in", exact=True))
    await page.keyboard.press("Enter")
    assert await asked(double, "participant.admit") == {"participant_id": "p2"}
    await page.keyboard.press("Escape")
    await expect(dialog(name="People")).to_be_hidden()
    await expect(people).to_be_focused()

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
    await page.keyboard.press("Enter")
    await double.until_heard("session.end")


async def test_quality_speaker_saving_and_layout_are_shown(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    maya = page.locator(".tile.seat").filter(has_text="Maya Cohen")
    await double.tell(
        MediaQuality(seq=2, participant_id="p1", grade="poor", reason="loss"),
        MediaSpeaker(seq=3, participant_id="p1"),
    )
    await expect(maya.get_by_role("img")).to_have_accessible_name(
        "Poor connection: packets are being lost"
    )
    await expect(maya).to_have_attribute("data-speaking", "")
    unsaved = page.get_by_role("status").get_by_text("The last changes are not saved yet.")
    await double.tell(SessionSaving(seq=4, saved=False))
    await expect(unsaved).to_be_visible()
    await double.tell(SessionSaving(seq=5, saved=True))
    await expect(unsaved).to_be_hidden()
    stage = page.locator(".stage")
    await expect(stage).to_have_attribute("data-layout", "grid")
    for layout in ("grid", "speaker"):
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("button", name="Layout").click()
        await expect(stage).to_have_attribute("data-layout", layout)
    await expect(maya).to_have_attribute("data-main", "")

    # Whoever ends it while it cannot be saved is told so, where they look then.
    await double.tell(SessionSaving(seq=6, saved=False))
    await double.tell(SessionEnded(seq=7, session_id="s1", reason=EndReason.ENDED_BY_AGENT))
    await expect(page.get_by_role("heading", name="The session has ended")).to_be_visible()
    await expect(page.get_by_text("The last changes are not saved yet.")).to_be_visible()
