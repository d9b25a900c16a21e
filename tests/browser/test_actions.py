"""What the buttons of a session ask of the broker, and what its news look like: against a double
of the broker, so that each costs little."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from broker.messages.facts import GuestInvited, MediaQuality, MediaSpeaker, SessionSaving
from broker.words import Attendance, Capability, Role
from tests.browser.broker_double import BrokerDouble, person, snapshot
from tests.browser.gallery import AGENT, ENGAGEMENT

THREE = snapshot(0, [person(0), person(1, camera=True), person(2)])
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

    # So does a consumer, where the account's policy lets them.
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


async def test_camera_and_voice_only_go_off_and_on(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    own = "document.querySelector('.self video').srcObject?.getVideoTracks()[0]?.readyState"
    await page.wait_for_function(f"() => {own} === 'live'")
    await page.get_by_role("button", name="Turn camera off").click()
    await expect(page.get_by_role("button", name="Turn camera on")).to_be_visible()
    assert await page.evaluate(own) is None
    await page.get_by_role("button", name="Turn camera on").click()
    await page.wait_for_function(f"() => {own} === 'live'")
    await page.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("button", name="Voice only").click()
    assert await asked(double, "media.mode") == {"mode": "voice"}


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
