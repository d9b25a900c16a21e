"""Before the session: looking, speaking and listening first, and waiting for room.
Against a double of the broker, so that each costs little."""

from __future__ import annotations

from playwright.async_api import BrowserContext, Page, Route, expect

from broker.errors import ErrorCode
from broker.messages.facts import MediaSpeaker, RequestDone, RequestRefused, SessionWaiting
from broker.words import Attendance, Mode, Reach, Role
from tests.browser.broker_double import BrokerDouble, invitation, person, reach, show, snapshot
from tests.browser.gallery import AGENT, ENGAGEMENT, INVITED
from tests.patience import until

WATCH = """{
  window.wishes = []; window.sounded = [];
  const { mediaDevices } = navigator;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = (wish) => { window.wishes.push(wish); return ask(wish); };
  const players = new Map();
  const { play } = HTMLMediaElement.prototype;
  HTMLMediaElement.prototype.play = function () {
    if (this.srcObject) players.set(this.srcObject.id, this); return play.call(this); };
  const { connect } = AudioNode.prototype;
  AudioNode.prototype.connect = function (to, ...more) {
    if (this instanceof GainNode) window.sounded.push(players.get(to.stream?.id)?.sinkId);
    return connect.call(this, to, ...more); };
}"""
LATE_GRANT = """{
  localStorage.setItem('switchboard.device.speaker', 'kitchen');
  window.refused = 0;
  let granted = false;
  const { mediaDevices } = navigator;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (wish) => {
    await new Promise((resolve) => { window.grant = resolve; });
    granted = true;
    return ask(wish);
  };
  HTMLMediaElement.prototype.setSinkId = function (value) {
    if (!granted) {
      window.refused += 1;
      return Promise.reject(new DOMException('no microphone yet', 'NotAllowedError'));
    }
    Object.defineProperty(this, 'sinkId', { value, configurable: true });
    return Promise.resolve();
  };
}"""
"""The speaker was chosen another day; the browser gives it with the microphone only."""
NO_CAMERA_HERE = """Object.defineProperty(document, 'permissionsPolicy', {
  value: { allowsFeature: (feature) => feature !== 'camera' },
})"""
"""The page around it lets it have a microphone."""
MIRROR = "document.querySelector('.mirror video')"
UNPLUG = """(gone) => {
  const { mediaDevices } = navigator;
  const list = mediaDevices.enumerateDevices.bind(mediaDevices);
  mediaDevices.enumerateDevices = async () =>
    (await list()).filter(({ deviceId }) => deviceId !== gone);
  mediaDevices.dispatchEvent(new Event('devicechange'));
}"""
PLUG = """() => {
  delete navigator.mediaDevices.enumerateDevices;
  navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
}"""
CHOOSE_QUICKLY = """(labels) => {
  const picker = document.querySelector('#pick-camera');
  for (const label of labels) {
    picker.value = [...picker.options].find((option) => option.text === label).value;
    picker.dispatchEvent(new Event('change'));
  }
}"""
CHOSEN = """() => ['microphone', 'speaker', 'camera']
  .map((source) => document.querySelector(`#pick-${source}`)?.value)"""


async def test_what_was_checked_and_chosen_goes_into_the_session(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(WATCH)
    double = await show(page, f"{pages}{ENGAGEMENT}&lang=en", Role.CONSUMER)
    await double.tell(INVITED)
    assert await page.evaluate("window.wishes") == []
    await expect(page.get_by_text("Nobody sees or hears you until you accept.")).to_be_visible()
    await page.get_by_role("button", name="Check camera and microphone").click()
    await page.wait_for_function(f"() => {MIRROR}?.videoWidth > 0")
    # The fake microphone beeps: the bar moves.
    await page.wait_for_function(
        "() => Number(document.querySelector('.meter').style.getPropertyValue('--level')) > 0.01"
    )
    microphone = page.locator("#pick-microphone")
    await microphone.select_option(label="Fake Audio Input 2")
    await page.wait_for_function(
        "() => window.wishes.at(-1).audio?.deviceId?.exact === "
        "document.querySelector('#pick-microphone').value"
    )
    await page.locator("#pick-speaker").select_option(index=1)
    # Before the first has opened there is another choice.
    await page.evaluate(CHOOSE_QUICKLY, ["fake_device_0", "fake_device_1"])
    await page.wait_for_function(
        f"() => {MIRROR}.srcObject?.getVideoTracks()[0].label === 'fake_device_1'"
    )
    await page.wait_for_function(f"() => {MIRROR}.videoWidth > 0")
    chosen = await page.evaluate(CHOSEN)
    await page.get_by_role("button", name="Play a sound").click()
    # Two notes; what rings meanwhile comes out elsewhere.
    await page.wait_for_function(
        f"() => window.sounded.filter((id) => id === {chosen[1]!r}).length === 2"
    )
    await page.get_by_role("button", name="Done").click()
    seen = await page.evaluate(f"{MIRROR}.srcObject.getVideoTracks()[0].id")
    asked = len(await page.evaluate("window.wishes"))

    await page.get_by_role("button", name="Accept with video").click()
    await double.until_heard("invitation.accept")
    await double.tell(snapshot(1, [person(0), person(1)]))
    await page.wait_for_selector("[data-view=session]")
    shown = "document.querySelector('.self video').srcObject.getVideoTracks()[0].id"
    assert await page.evaluate(shown) == seen
    assert len(await page.evaluate("window.wishes")) == asked
    heard_by = "(id) => document.querySelector('.seat audio').sinkId === id"
    await page.wait_for_function(heard_by, arg=chosen[1])
    await page.evaluate(UNPLUG, chosen[1])
    await page.wait_for_function(heard_by, arg="")
    await page.evaluate(PLUG)
    await page.wait_for_function(heard_by, arg=chosen[1])

    double.begin(Role.CONSUMER, in_session=True)
    await page.reload()
    await double.tell(INVITED)
    await page.get_by_role("button", name="Check camera and microphone").click()
    await page.wait_for_function(f"() => {MIRROR}?.videoWidth > 0")
    label = await page.evaluate(f"{MIRROR}.srcObject.getVideoTracks()[0].label")
    assert label == "fake_device_1"
    # By now the pickers show what is open, not what was wished for.
    for source, device in zip(("microphone", "speaker", "camera"), chosen, strict=True):
        await expect(page.locator(f"#pick-{source}")).to_have_value(device)
    # It rings on: who calls is in sight, and the answers are in reach.
    check = page.get_by_role("dialog", name="Camera and microphone")
    await expect(check.get_by_text("Alex Berger is calling")).to_be_in_viewport()
    # There is one set of them, whether it stands beside the sheet or under it.
    for width in (380, 1280):
        await page.set_viewport_size({"width": width, "height": 720})
        await expect(page.get_by_role("button", name="Decline")).to_have_count(1)
    await page.set_viewport_size({"width": 740, "height": 360})
    await expect(check.get_by_role("button", name="Close")).to_be_in_viewport(ratio=1)
    await expect(check.get_by_role("button", name="Decline")).to_be_in_viewport()
    await check.get_by_role("button", name="Accept", exact=True).click()
    assert (await double.until_heard("invitation.accept"))["mode"] == "video"
    await expect(check).to_be_hidden()


async def test_an_invitation_to_speak_asks_for_the_microphone_alone(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    for script in (WATCH, NO_CAMERA_HERE):
        await page.add_init_script(script)
    double = await show(page, f"{pages}{ENGAGEMENT}&lang=en", Role.CONSUMER)
    call = invitation(mode=Mode.VOICE)
    await double.tell(snapshot(1, [], attendance="invited", ringing=call))
    await expect(page.get_by_text("Nobody sees or hears you until you accept.")).to_be_visible()
    await page.get_by_role("button", name="Check microphone").click()
    check = page.get_by_role("dialog", name="Microphone", exact=True)
    await expect(check.get_by_label("Microphone")).to_be_visible()
    await expect(check.get_by_label("Camera")).to_be_hidden()
    [wish] = await page.evaluate("window.wishes")
    assert wish["audio"]
    assert not wish.get("video")
    await page.get_by_role("button", name="Accept").click()
    assert (await double.until_heard("invitation.accept"))["mode"] == "voice"
    assert "invitation.trouble" not in [message["type"] for message in double.heard]
    await expect(page.get_by_text("camera").filter(visible=True)).to_have_count(0)


async def test_a_speaker_that_was_remembered_serves_as_soon_as_the_browser_gives_it(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(LATE_GRANT)
    double = await show(page, f"{pages}{AGENT}&lang=en", Role.AGENT)
    await double.tell(snapshot(0, [person(0), person(1)]))
    await page.wait_for_function("() => window.refused > 0 && window.grant")
    refused = await page.evaluate("window.refused")
    await double.tell(MediaSpeaker(seq=2, participant_id="p1"))
    await expect(page.locator(".seat[data-speaking]")).to_have_count(1)
    # It is not asked again for nothing.
    assert await page.evaluate("window.refused") == refused
    await page.evaluate("window.grant()")
    await page.wait_for_function("() => document.querySelector('.seat audio').sinkId === 'kitchen'")


OWN_TRACK = "document.querySelector('.self video').srcObject.getVideoTracks()[0].id"
MINUTE = """{
  const { setTimeout: set, clearTimeout: clear } = window;
  const after = new Map();
  window.setTimeout = (call, ms, ...more) => {
    const id = set(ms === 60_000 ? () => {} : call, ms, ...more);
    if (ms === 60_000) after.set(id, call);
    return id;
  };
  window.clearTimeout = (id) => {
    after.delete(id);
    clear(id);
  };
  window.passMinute = () => {
    const calls = [...after.values()];
    after.clear();
    calls.forEach((call) => call());
  };
}"""
"""What is set for a minute later comes when the test says that it has passed."""


async def in_mirror(page: Page) -> str:
    """The camera's track, once its picture is in the mirror."""
    await page.wait_for_function(f"() => {MIRROR}?.videoWidth > 0")
    track: str = await page.evaluate(f"{MIRROR}.srcObject.getVideoTracks()[0].id")
    return track


async def look(page: Page, button: str) -> str:
    """Look at oneself, and be done with it; returns the camera's track."""
    await page.get_by_role("button", name=button).click()
    track = await in_mirror(page)
    await page.get_by_role("button", name="Done").click()
    return track


async def test_an_agent_looks_first_and_starts_with_the_same_camera(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    for script in (WATCH, MINUTE):
        await page.add_init_script(script)
    double = await show(page, f"{pages}{AGENT}&lang=en", Role.AGENT, in_session=False)
    await double.tell(reach(Reach.REACHABLE))
    await look(page, "Camera and microphone")
    # Nothing comes of it: the camera's light goes out.
    await page.evaluate("passMinute()")
    assert not await page.evaluate("document.querySelector('switchboard-agent').client.media.live")
    await page.get_by_role("button", name="Camera and microphone").click()
    seen = await in_mirror(page)
    # What the broker says meanwhile takes nothing away.
    await double.tell(reach(Reach.HIDDEN))
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Start video").click()
    await double.until_heard("session.start")
    await double.tell(snapshot(0, [person(0), person(1)]))
    await page.wait_for_selector("[data-view=session]")
    await page.evaluate("passMinute()")
    assert await page.evaluate(OWN_TRACK) == seen
    assert len(await page.evaluate("window.wishes")) == 2


async def test_a_guest_takes_along_what_they_looked_at(context: BrowserContext, pages: str) -> None:
    page = await context.new_page()
    await page.add_init_script(WATCH)
    double = await show(page, f"{pages}/join?lang=en#0123456789abcdef", Role.GUEST)
    seen = await look(page, "Check camera and microphone")
    # On a phone that lies what is behind the sheet scrolls, and the sheet stays.
    await page.set_viewport_size({"width": 740, "height": 300})
    await page.get_by_role("button", name="Check camera and microphone").click()
    behind = page.locator(".message")
    await behind.evaluate("(node) => node.scrollBy(0, 200)")
    assert await behind.evaluate("(node) => node.scrollTop > 40")
    sheet = page.get_by_role("dialog", name="Camera and microphone")
    await expect(sheet.get_by_role("button", name="Close")).to_be_in_viewport(ratio=1)
    await page.keyboard.press("Escape")
    await page.get_by_label("Your name").fill("Noa")
    await page.get_by_role("button", name="Join").click()
    hello = await double.until_heard("connection.hello")
    assert (hello["token"], hello["name"]) == ("t", "Noa")
    inside = person(2, name="Noa")
    waits = inside.model_copy(update={"attendance": Attendance.LOBBY})
    await double.tell(snapshot(2, [person(0), waits], attendance="lobby"))
    await expect(page.get_by_text("Almost there")).to_be_visible()
    await double.tell(snapshot(2, [person(0), inside]))
    await page.wait_for_selector("[data-view=session]")
    assert await page.evaluate(OWN_TRACK) == seen
    assert len(await page.evaluate("window.wishes")) == 1


async def test_an_agent_whose_backend_gives_no_token_sees_that_it_is_tried_again(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = BrokerDouble(page, Role.AGENT, in_session=False)
    await double.attach()
    asked: list[Route] = []
    await page.route("**/demo/agent-token", lambda route: asked.append(route))
    await page.goto(f"{pages}{AGENT}&lang=en")
    said = page.locator("main h1")
    await expect(said).to_have_text("Connecting…")
    await until(lambda: len(asked) == 1, "the widget asks for a token")
    await asked[0].abort()
    await expect(said).to_have_text("Reconnecting…")
    await until(lambda: len(asked) == 2, "it asks again by itself")
    await asked[1].fulfill(json={"token": "t", "expires_in_s": 60})
    await double.tell(reach(Reach.REACHABLE))
    await expect(page.get_by_role("button", name="Start video")).to_be_visible()


async def test_a_start_that_waits_for_room_says_so_and_can_be_taken_back(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, f"{pages}{AGENT}&lang=en", Role.AGENT, in_session=False)
    await double.tell(reach(Reach.REACHABLE))
    status, alert = page.get_by_role("status"), page.get_by_role("alert")
    waits, reachable, asking = (
        status.filter(has_text=said) for said in ("No room just now", "Can be rung", "Connecting…")
    )
    names = ("Start video", "Start voice", "Camera and microphone")
    start, *others = (page.get_by_role("button", name=name, exact=True) for name in names)
    cancel = page.get_by_role("button", name="Cancel")

    async def idle() -> None:
        await expect(reachable).to_be_visible()
        await expect(waits).to_be_hidden()
        await expect(cancel).to_be_hidden()
        for each in others:
            await expect(each).to_be_enabled()
        await expect(start).to_be_focused()

    async def refuse(to: str, code: ErrorCode) -> None:
        refused = RequestRefused(reply_to=to, code=code, message="No.", retryable=True)
        await double.tell(refused)

    await start.focus()
    await page.keyboard.press("Enter")
    asked = await double.until_heard("session.start")
    await expect(asking).to_be_visible()
    await expect(start).to_be_disabled()
    await expect(cancel).to_be_hidden()
    await double.tell(SessionWaiting(within_ms=60_000))
    await expect(waits).to_be_visible()
    voice, check = others
    for each in (start, voice):
        await expect(each).to_be_disabled()
    await expect(check).to_be_hidden()
    # Whoever clicks twice does not take back what the first click began.
    above, below = await voice.bounding_box(), await cancel.bounding_box()
    assert above is not None
    assert below is not None
    assert below["y"] >= above["y"] + above["height"]
    await expect(cancel).to_be_focused()
    await page.keyboard.press("Enter")
    ended = await double.until_heard("session.end")
    await expect(cancel).to_be_disabled()
    await refuse(asked["id"], ErrorCode.WITHDRAWN)
    await double.tell(RequestDone(reply_to=ended["id"]))
    await idle()
    await expect(alert).to_be_empty()

    double.heard.clear()
    await page.keyboard.press("Enter")
    asked = await double.until_heard("session.start")
    await double.tell(SessionWaiting(within_ms=60_000))
    await expect(cancel).to_be_focused()
    await refuse(asked["id"], ErrorCode.NO_CAPACITY)
    await expect(alert.filter(has_text="No room")).to_be_visible()
    await idle()


async def test_a_page_that_is_loaded_again_takes_back_what_waits_for_it(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = await show(page, f"{pages}{AGENT}&lang=en", Role.AGENT, in_session=False)
    await double.tell(reach(Reach.REACHABLE))
    start = page.get_by_role("button", name="Start video")
    cancel = page.get_by_role("button", name="Cancel")
    for over in (RequestDone, SessionWaiting):
        await expect(start).to_be_enabled()
        await start.focus()
        # Of this page's own asking there is none.
        await double.tell(SessionWaiting(within_ms=60_000))
        await expect(page.get_by_text("No room just now.")).to_be_visible()
        await expect(start).to_be_disabled()
        await expect(cancel).to_be_focused()
        double.heard.clear()
        if over is RequestDone:
            await page.keyboard.press("Enter")
            ended = await double.until_heard("session.end")
            # Where that cannot be had it waits on, and may be taken back yet.
            code = ErrorCode.LEDGER_AWAY
            no = RequestRefused(reply_to=ended["id"], code=code, message="No.", retryable=True)
            await double.tell(no)
            await expect(page.get_by_role("alert")).not_to_be_empty()
            await expect(cancel).to_be_enabled()
            double.heard.clear()
            await cancel.click()
            ended = await double.until_heard("session.end")
            await double.tell(RequestDone(reply_to=ended["id"]))
        await double.tell(SessionWaiting(within_ms=0))
        await expect(cancel).to_be_hidden()
        await expect(start).to_be_focused()


async def test_starting_with_voice_opens_no_camera(context: BrowserContext, pages: str) -> None:
    page = await context.new_page()
    await page.add_init_script(WATCH)
    double = await show(page, f"{pages}{AGENT}&lang=en", Role.AGENT, in_session=False)
    await double.tell(reach(Reach.REACHABLE))
    await page.get_by_role("button", name="Start voice").click()
    assert (await double.until_heard("session.start"))["mode"] == "voice"
    await page.wait_for_function("() => window.wishes.length === 1")
    [wish] = await page.evaluate("window.wishes")
    assert wish["audio"]
    assert not wish.get("video")
