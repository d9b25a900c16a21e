"""What the buttons of a session ask of the broker, and what its news look like: against a double
of the broker, so that each costs little."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, Route, expect

from broker.errors import ErrorCode
from broker.messages.facts import (
    GuestInvited,
    InvitationChanged,
    MediaQuality,
    MediaSpeaker,
    RequestRefused,
    RosterChanged,
    ScreenRequested,
    SessionEnded,
    SessionSaving,
)
from broker.words import Attendance, Capability, EndReason, InvitationState, Reach, Role
from tests.browser.broker_double import (
    TAKING_PART,
    BrokerDouble,
    asked,
    invitation,
    person,
    reach,
    show,
    snapshot,
)
from tests.browser.gallery import AGENT, BY_LINK, ENGAGEMENT, JOIN

TOAST_APART = """() => {
  const [card, toast] = ['.alone', '.toast']
    .map((name) => document.querySelector(name).getBoundingClientRect());
  return toast.bottom < card.top;
}"""
OUTLINED = """() => {
  const outlined = [...document.querySelectorAll('.tile')].filter((tile) => {
    const { content, borderTopWidth } = getComputedStyle(tile, '::after');
    return tile.checkVisibility() && content !== 'none' && parseFloat(borderTopWidth) >= 2;
  });
  return outlined.length && outlined.map((tile) => tile.querySelector('.tile-name').textContent);
}"""
"""Whose tiles have an outline, once one has."""
LINK = "https://video.example.com/join#0123456789abcdef"


async def test_each_action_about_a_person_asks_for_it(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    await page.get_by_role("button", name="People").click()
    for button, kind, fields in (
        ("Mute: Maya Cohen", "participant.mute", {"sources": ["microphone"]}),
        ("Ask to share the screen: Maya Cohen", "screen.request", {}),
    ):
        deed = page.get_by_role("button", name=button)
        await expect(deed).to_have_text(button.partition(":")[0])
        await deed.click()
        assert await asked(double, kind) == {"participant_id": "p1", **fields}
    double.heard.clear()
    await page.get_by_role("button", name="Stop video: Maya Cohen").click()
    assert (await asked(double, "participant.mute"))["sources"] == ["camera"]
    await page.get_by_role("button", name="Remove: Noa Levi").click()
    assert await asked(double, "participant.remove") == {"participant_id": "p2"}
    # Nobody removes the consumer, or mutes themselves.
    for button in ("Remove: Maya Cohen", "Mute: Alex Berger"):
        await expect(page.get_by_role("button", name=button)).to_have_count(0)


async def test_a_browser_without_a_codec_in_common_is_told_what_it_lacks(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    offer = await double.until_heard("media.offer")
    code = ErrorCode.NO_COMMON_CODEC
    await double.tell(
        RequestRefused(reply_to=offer["id"], code=code, message="No codec.", retryable=False)
    )
    await expect(page.get_by_text("Opus, and VP8 or H.264")).to_be_visible()


TURNED_AWAY: list[tuple[int, ErrorCode | None, str]] = [
    (4401, ErrorCode.TOKEN_EXPIRED, "Your login was not accepted. Please log in again."),
    (4403, ErrorCode.NOT_PERMITTED, "Your login was not accepted. Please log in again."),
    (4404, ErrorCode.UNKNOWN_ACCOUNT, "Video is not set up here."),
    (4403, ErrorCode.ORIGIN_REFUSED, "Video is not set up here."),
    (4400, None, "That did not work. Please try again."),
    (1008, None, "That did not work. Please try again."),
]
"""Close code, refusal before it, and what the agent reads."""


async def test_an_agent_who_is_turned_away_reads_why_and_whom_to_ask(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, f"{pages}{AGENT}&lang=en", Role.AGENT, in_session=False)
    for closed, code, why in TURNED_AWAY:
        if code is not None:
            refused = RequestRefused(reply_to="0", code=code, message="Latin.", retryable=False)
            await double.tell(refused)
        else:
            await double.tell()
        await double.drop(closed)
        await expect(page.locator(".message h1 + p")).to_have_text(why)
        small = page.get_by_text("If it stays so, give your administrator this code")
        await expect(small).to_have_text(re.compile(rf": {code or closed}$"))
        double.begin(Role.AGENT, in_session=False)
        await page.get_by_role("button", name="Try again").click()
        await double.until_heard("connection.hello")


OTHER_WAY = "A join link works in another browser, or on a phone."
RINGS: list[tuple[str, InvitationState, dict[str, Any]]] = [
    ("Looking for Maya Cohen…", InvitationState.SENT, {"surfaces": []}),
    ("Ringing: Maya Cohen sees the invitation", InvitationState.RINGING, {}),
    ("Ringing, but not seen yet", InvitationState.RINGING, {"visible": False}),
    (
        f"Maya Cohen sees it, but the camera is blocked there{OTHER_WAY}",
        InvitationState.RINGING,
        {"reason": "camera_blocked"},
    ),
    (
        f"Maya Cohen sees it, but has no camera{OTHER_WAY}",
        InvitationState.RINGING,
        {"reason": "no_camera"},
    ),
    (f"without a secure connection{OTHER_WAY}", InvitationState.RINGING, {"reason": "insecure"}),
    (f"that cannot do video{OTHER_WAY}", InvitationState.FAILED, {"reason": "no_webrtc"}),
    ("Maya Cohen declined", InvitationState.DECLINED, {"reason": "On the train"}),
    ("Maya Cohen did not answer", InvitationState.EXPIRED, {}),
    ("The invitation could not be delivered", InvitationState.FAILED, {}),
    ("The invitation was withdrawn", InvitationState.CANCELLED, {}),
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
    for seq, answer in ((2, "Not now"), (3, "Share screen")):
        await double.tell(ScreenRequested(seq=seq, by_participant_id="p0"))
        assert await page.evaluate("window.shares") is None
        await strip.get_by_role("button", name=answer).click()
        await expect(strip).to_have_count(0)
    assert await page.evaluate("window.shares") is True


async def test_who_may_not_end_it_leaves_and_who_may_not_invite_is_not_told_to(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    # A supervisor who takes part may end it, but not by the button that says to leave.
    told = snapshot(2, [person(0), person(1), person(2, Role.SUPERVISOR)])
    rights = [*TAKING_PART, Capability.MODERATE, Capability.END_FOR_ALL]
    await double.tell(told.model_copy(update={"role": Role.SUPERVISOR, "capabilities": rights}))
    await page.get_by_role("button", name="Leave", exact=True).click()
    await double.until_heard("session.leave")
    assert "session.end" not in {message["type"] for message in double.heard}

    adds = page.locator(".alone").get_by_role("button", name="Add a person")
    await double.tell(snapshot(0, [person(0)]))
    await expect(adds).to_be_visible()
    await double.tell(snapshot(1, [person(1)]))
    await expect(adds).to_be_hidden()

    # Of whom nothing comes, as their line is gone or lets no media pass, the name stands there.
    both = snapshot(0, [person(0), person(1)])
    await double.tell(both.model_copy(update={"seats": []}))
    nothing = page.get_by_text("Maya Cohen: Connecting…")
    await expect(nothing).to_be_visible()
    # The stage is not empty then: one sees oneself.
    assert await part_of_stage(page) > 0.9
    await expect(adds).to_be_hidden()
    # Who was here and is away comes back, if they come.
    away = person(1, attendance=Attendance.RECONNECTING)
    gone = snapshot(0, [person(0), away])
    await double.tell(gone.model_copy(update={"seats": []}))
    await expect(page.get_by_text("Maya Cohen: Reconnecting…")).to_be_visible()
    await expect(nothing).to_be_hidden()
    await double.tell(both)
    await expect(nothing).to_be_hidden()
    assert await part_of_stage(page) < 0.5


async def part_of_stage(page: Page) -> float:
    """How much of the stage's width one's own picture takes."""
    widths = [await page.locator(name).bounding_box() for name in (".tile.self", ".stage")]
    own, stage = [box["width"] for box in widths if box is not None]
    return own / stage


async def test_who_is_alone_reads_who_left_and_what_can_be_done(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    card = page.locator(".alone")
    left = "Alex Berger has left"
    for me, said in (
        (1, [left, "You can go on in the chat. From there we can call you again."]),
        (2, [left]),
    ):
        await double.tell(snapshot(me, [person(0), person(me)]))
        await expect(card).to_be_hidden()
        await double.tell(snapshot(me, [person(me)]))
        await expect(card.locator("p:visible")).to_have_text(said)
        # What is told of others meanwhile does not lie over it.
        assert await page.evaluate(TOAST_APART)

    # To the agent it is said with the way to have them back, which a guest needs not look at.
    lost = page.locator(".outgoing")
    ringing = snapshot(0, [person(0)], ringing=invitation())
    await double.tell(ringing)
    await expect(lost).to_contain_text("Maya Cohen sees the invitation")
    accepted = invitation(InvitationState.ACCEPTED, expires_in_ms=0)
    await double.tell(InvitationChanged(seq=2, invitation=accepted))
    # Who answered is not here yet, which is no leaving.
    await expect(lost).to_be_hidden()
    for seq, here in ((3, [1]), (4, [2]), (5, [])):
        await double.tell(RosterChanged(seq=seq, roster=[person(each) for each in (0, *here)]))
        await expect(lost).to_be_visible(visible=not here)
    await expect(lost).to_contain_text("Maya Cohen has left")
    await lost.get_by_role("button", name="Invite again").click()
    assert await asked(double, "invitation.send") == {"mode": "video"}

    # Who comes back to a session that others have left knows of nobody.
    double.begin(Role.AGENT, in_session=True)
    await page.reload()
    await double.tell(snapshot(0, [person(0)]))
    await expect(card.locator("p:visible")).to_have_text(["You are alone here"])
    await card.get_by_role("button", name="Add a person").click()
    await expect(page.get_by_role("dialog", name="People")).to_be_focused()


async def test_only_the_staff_is_told_whose_name_nobody_has_checked(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    await page.get_by_role("button", name="People").click()
    maya = page.get_by_role("dialog").get_by_role("listitem").filter(has_text="Maya Cohen")
    await expect(maya).to_contain_text("Consumer · Not verified")
    # She is told no such thing of herself, nor a guest of her.
    for number in (1, 2):
        await double.tell(snapshot(number, [person(0), person(1), person(2)]))
        await expect(maya.locator(".fine")).to_have_text("Consumer")


@pytest.mark.parametrize("code", ["link_used", "unknown_invitation", "session_ended"])
async def test_a_guest_whose_link_serves_nobody_any_more_is_not_left_with_a_form(
    context: BrowserContext, pages: str, code: str
) -> None:
    page = await context.new_page()
    double = await show(page, f"{pages}{JOIN}", Role.GUEST)
    refusals = ["no_capacity", code]

    async def refuse(route: Route) -> None:
        refusal = {"code": refusals.pop(0), "detail": "No.", "retryable": False}
        await route.fulfill(status=409, json=refusal)

    await page.route("**/v1/guest", refuse)
    name = page.get_by_role("textbox", name="Your name")
    await name.fill("Noa Levi")
    # What may pass is said below the form.
    await name.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("No room for another session")
    await name.press("Enter")
    await expect(page.get_by_role("heading")).to_have_text("This link is no longer valid")
    await expect(name).to_have_count(0)
    assert double.heard == []


async def test_who_comes_to_wait_while_the_list_is_open_is_said_aloud(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    await page.get_by_role("button", name="People").click()
    await expect(page.get_by_role("dialog", name="People")).to_be_focused()
    waits = person(4, name="Dana", attendance=Attendance.LOBBY)
    await double.tell(snapshot(0, [person(0), person(1), person(2), waits]))
    said = page.get_by_role("status").filter(has_text="Dana waits to be let in")
    await expect(said).to_have_count(1)
    # Who looks reads it in the list.
    await expect(said).to_have_class("toast")


async def test_quality_speaker_saving_and_layout_are_shown(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    maya = page.locator(".tile.seat").filter(has_text="Maya Cohen")
    await double.tell(
        MediaQuality(seq=2, participant_id="p1", grade="poor", reason="loss"),
        MediaSpeaker(seq=3, participant_id="p1"),
    )
    await expect(maya.get_by_role("img")).to_have_accessible_name(
        "Poor connection: data is being lost on the way"
    )
    await expect(maya).to_have_attribute("data-speaking", "")
    # The styles of more than one tile come when they are wanted.
    outlined = await page.wait_for_function(OUTLINED)
    assert await outlined.json_value() == ["Maya Cohen"]
    # How bad it is is not told by a colour alone (WCAG 1.4.1).
    filled = []
    for seq, grade in ((4, "fair"), (5, "poor")):
        await double.tell(MediaQuality(seq=seq, participant_id="p1", grade=grade, reason="loss"))
        drawn = await maya.get_by_role("img").evaluate(
            "(sign) => getComputedStyle(sign).background"
        )
        filled.append(re.findall(r"[0-9.]+%", drawn.partition("gradient")[2])[:1])
    assert filled == [["65%"], ["32%"]]
    words = "The last changes are not saved yet."
    unsaved = page.get_by_role("status").get_by_text(words)
    await double.tell(SessionSaving(seq=6, saved=False))
    await expect(unsaved).to_be_visible()
    # A strip that comes is read out, and not those once more that stand there.
    region = page.get_by_role("status").filter(has_text=words)
    await expect(region).to_have_attribute("aria-atomic", "false")
    await double.tell(SessionSaving(seq=7, saved=True))
    await expect(unsaved).to_be_hidden()
    stage = page.locator(".stage")
    await expect(stage).to_have_attribute("data-layout", "grid")
    for layout in ("grid", "speaker"):
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("button", name="Layout").click()
        await expect(stage).to_have_attribute("data-layout", layout)
    await expect(maya).to_have_attribute("data-main", "")
    # Not only for those who can hover: where there is room the words stand there.
    written = "getComputedStyle(document.querySelector('.tile-quality:not([hidden])'), '::after')"
    assert "data is being lost" in await page.evaluate(f"{written}.content")
    own = page.get_by_role("status").get_by_text("Poor connection: there is a long delay")
    for seq, grade in ((8, "poor"), (9, "good")):
        reason = "delay" if grade == "poor" else None
        await double.tell(MediaQuality(seq=seq, participant_id="p0", grade=grade, reason=reason))
        await expect(own).to_be_visible(visible=grade == "poor")

    # Whoever ends it while it cannot be saved is told so, where they look then.
    await double.tell(SessionSaving(seq=10, saved=False))
    await double.tell(SessionEnded(seq=11, session_id="s1", reason=EndReason.ENDED_BY_AGENT))
    await expect(page.get_by_role("heading", name="The session has ended")).to_be_visible()
    await expect(page.get_by_text("The last changes are not saved yet.")).to_be_visible()
