"""What stands in the way of devices before a session, each in its own sentence, and the way out.
Against a double of the broker, so that each costs little."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import BrowserContext, expect

from broker.messages.facts import InvitationChanged, SessionLeft, WaysChanged
from broker.words import InvitationState, LeaveReason, Reach, Role, Way
from tests.browser.broker_double import BrokerDouble, brand, invitation, reach, show
from tests.browser.gallery import AGENT, ENGAGEMENT, INVITED
from tests.browser.test_device_check import MIRROR, PLUG

INSECURE = "Object.defineProperty(window, 'isSecureContext', { value: false });"
NO_WEBRTC = "delete window.RTCPeerConnection;"
SANDBOX = """<!doctype html><iframe sandbox="allow-scripts allow-same-origin" src="{address}"
  style="width: 360px; height: 640px"></iframe>"""
"""Neither devices nor windows: neither `allow` nor `allow-popups` is given."""
SAYS_NO_POLICY = """{
  delete Document.prototype.permissionsPolicy;
  delete Document.prototype.featurePolicy;
  const { now } = performance;
  let late = 0;
  performance.now = () => now.call(performance) + late;
  const { mediaDevices } = navigator;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  const refuse = async () => { throw new DOMException('', 'NotAllowedError'); };
  mediaDevices.getUserMedia = (wish) => (FAST ? refuse() : ask(wish)).catch((error) => {
    late += FAST ? 0 : 500;
    throw error;
  });
  if (!FAST) mediaDevices.enumerateDevices = async () => [];
}"""
"""A browser that cannot say what a frame allows, and lists no device that it does not, as Firefox;
it refuses late, on a busy machine, or at once, by its settings."""
NOTHING_OPENS = """{
  window.asked = 0;
  navigator.mediaDevices.getUserMedia = async () => {
    window.asked += 1;
    throw new DOMException('', 'ERROR');
  };
}"""
ASKED_WHEN_PLUGGED = """async () => {
  const before = window.asked;
  navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
  // Behind the widget's own look, and what follows from it.
  await navigator.mediaDevices.enumerateDevices();
  await new Promise((done) => setTimeout(done));
  return window.asked - before;
}"""


@pytest.mark.parametrize(
    ("lacking", "sentence", "word"),
    [
        (
            INSECURE,
            "Camera and microphone work on secure pages only. Open this one with https.",
            "insecure",
        ),
        (
            NO_WEBRTC,
            "This browser cannot do video sessions. "
            "Please use a current Chrome, Edge, Firefox or Safari.",
            "no_webrtc",
        ),
    ],
)
async def test_what_makes_pictures_impossible_is_said_on_both_sides(
    context: BrowserContext, pages: str, lacking: str, sentence: str, word: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(lacking)
    double = await show(page, f"{pages}{ENGAGEMENT}&lang=en", Role.CONSUMER)
    await double.tell(INVITED)
    check = page.get_by_role("button", name=re.compile("amera and microphone$"))
    await expect(page.get_by_text(sentence, exact=True)).to_be_visible()
    await expect(check).to_be_hidden()
    # An answer would take it from where one could be seen or heard.
    await expect(page.get_by_role("button")).to_have_text(["Decline"])
    assert (await double.until_heard("invitation.trouble"))["trouble"] == word
    if word == "no_webrtc":
        # Nobody can answer there, so the invitation fails at once; what to do is not taken away.
        failed = invitation(InvitationState.FAILED, expires_in_ms=0)
        left = SessionLeft(seq=3, reason=LeaveReason.LEFT)
        await double.tell(InvitationChanged(seq=2, invitation=failed), left)
        await expect(page.get_by_role("heading")).to_have_text(
            "The invitation could not be delivered"
        )
        await expect(page.get_by_text(sentence, exact=True)).to_be_visible()
    double.begin(Role.AGENT, in_session=False)
    await page.goto(f"{pages}{AGENT}&lang=en")
    await double.tell(reach(Reach.REACHABLE))
    await expect(page.get_by_text(sentence, exact=True)).to_be_visible()
    # Nothing is offered that would ring in vain, be it one's own session or another's.
    await expect(page.get_by_role("button")).to_have_count(0)
    await double.tell(WaysChanged(ways=[Way.CONSULT], asked_by="Ada", about="Maya Cohen"))
    await expect(page.get_by_role("button")).to_have_text(["Decline"])
    await page.goto(f"{pages}/join?lang=en#0123456789abcdef")
    await expect(page.get_by_text(sentence, exact=True)).to_be_visible()
    # Nor is the link used up.
    await expect(page.get_by_role("button")).to_have_count(0)
    await expect(page.get_by_role("textbox")).to_have_count(0)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            "NotAllowedError",
            "Camera and microphone were not allowed."
            " Click the sign in the address bar to allow them.",
        ),
        (
            "NotFoundError",
            "No camera or microphone was found. Connect them and turn them on.",
        ),
        (
            "NotReadableError",
            "Camera and microphone are in use by another program. Close that one and try again.",
        ),
    ],
)
async def test_agents_and_guests_learn_beforehand_what_keeps_devices_from_them_and_when_it_is_gone(
    context: BrowserContext, pages: str, error: str, sentence: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(NOTHING_OPENS.replace("ERROR", error))
    double = await show(page, f"{pages}{AGENT}&lang=en", Role.AGENT, in_session=False)
    await double.tell(reach(Reach.REACHABLE))
    check = page.get_by_role("button", name=re.compile("amera and microphone$"))
    for address in ("", f"{pages}/join?lang=en#0123456789abcdef"):
        if address:
            await page.goto(address)
        await check.click()
        said = page.get_by_role("dialog").get_by_text(sentence, exact=True)
        await expect(said).to_be_visible()
        # Something was plugged in, which is no reason to ask again who refused.
        refused = error == "NotAllowedError"
        assert (await page.evaluate(ASKED_WHEN_PLUGGED) == 0) is refused
        if refused:
            continue
        await page.evaluate("() => { delete navigator.mediaDevices.getUserMedia; }")
        if error == "NotFoundError":
            await page.evaluate(PLUG)
        else:
            await page.get_by_role("button", name="Done").click()
            await check.click()
        await page.wait_for_function(f"() => {MIRROR}?.videoWidth > 0")
        await expect(said).to_be_hidden()


async def test_where_no_window_opens_its_address_is_given(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    for path, role, fact in (
        (ENGAGEMENT, Role.CONSUMER, INVITED),
        (AGENT, Role.AGENT, reach(Reach.REACHABLE)),
    ):
        double.begin(role, in_session=role is Role.CONSUMER)
        await page.goto(brand(pages, SANDBOX.format(address=f"{pages}{path}&amp;lang=en")))
        await double.tell(fact)
        inside = page.frame_locator("iframe")
        await inside.get_by_role("button", name="Open in own window").click()
        dialog = inside.get_by_role("dialog", name="Open in own window")
        await expect(dialog.get_by_text("The browser opened no window.")).to_be_visible()
        link = await dialog.get_by_role("textbox").input_value()
        given = parse_qs(urlsplit(link).query)
        assert link.startswith(f"{pages}{urlsplit(path).path}?")
        # Nothing that proves anything, and nobody to ask for it.
        assert not {"handOver", "token", "claim"} & given.keys()
        assert given["accountId"] == ["demo"]
        await dialog.get_by_role("button", name="Copy").click()
        await expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
        await dialog.get_by_role("button", name="Close").click()
        await expect(dialog).to_be_hidden()


@pytest.mark.parametrize(
    ("allow", "fast", "sentence"),
    [
        ("", "false", "The page around this window does not let it use camera and microphone."),
        ("camera; microphone", "true", "Camera and microphone were not allowed."),
    ],
    ids=["by the frame", "by the browser"],
)
async def test_who_keeps_the_devices_is_said_where_the_browser_says_nothing_of_frames(
    context: BrowserContext, pages: str, allow: str, fast: str, sentence: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(SAYS_NO_POLICY.replace("FAST", fast))
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    address = f"{pages}{ENGAGEMENT}&amp;lang=en"
    await page.goto(
        brand(pages, f'<!doctype html><iframe allow="{allow}" src="{address}"></iframe>')
    )
    await double.tell(INVITED)
    inside = page.frame_locator("iframe")
    await inside.get_by_role("button", name="Check camera and microphone").click()
    await expect(inside.get_by_role("status").filter(has_text=sentence)).to_be_visible()
