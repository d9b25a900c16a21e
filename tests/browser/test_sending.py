"""What a widget sends: nothing that its person turned off, wherever they go on, and as they wish
without broker or media; against a double of the broker."""

from __future__ import annotations

import asyncio
import json
from functools import partial

from playwright.async_api import Browser, Page, Route, expect

from broker.messages.facts import (
    MediaTransport,
    ParticipantMuted,
    ResumeRenewed,
    RosterChanged,
    SessionEnded,
)
from broker.words import EndReason, PublishSource, Role
from tests.browser.broker_double import DEMO, BrokerDouble, asked, person, snapshot
from tests.browser.demo import sooner
from tests.browser.gallery import ENGAGEMENT, INVITED, THREE
from tests.patience import PATIENCE

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
LIVE = """Object.values(document.querySelector('main').firstElementChild.client.media.tracks)
  .filter(Boolean).length"""
SOONER = sooner(4_000, 200)
"""A backend's time is over at once: an own window asks one itself a second later."""
ENDED = SessionEnded(seq=9, session_id="s1", reason=EndReason.ENDED_BY_CONSUMER)
SENDING = "Object.values(document.querySelector('switchboard-agent').client.media.publishing)"


async def test_camera_and_voice_only_go_off_and_on(talk: tuple[Page, BrokerDouble]) -> None:
    page, double = talk
    own = "document.querySelector('.self video').srcObject?.getVideoTracks()[0]?.readyState"
    off, on = (page.get_by_role("button", name=f"Turn camera {word}") for word in ("off", "on"))
    await page.wait_for_function(f"() => {own} === 'live'")
    await page.evaluate(COUNT_WISHES)
    await off.click()
    # Although the pointer is still over it.
    await expect(on).to_have_css("background-color", "rgb(247, 220, 222)")
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


async def _mint(answer: dict[str, str] | None, route: Route) -> None:
    """The brand's backend, which answers with this, or not at all."""
    if answer is not None:
        await route.fulfill(json=answer)


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
    await page.add_init_script(SOONER)
    await page.goto(framed)
    await double.tell(THREE)
    assert await sends(double) == (True, True)
    frame = page.frame_locator("iframe")
    await frame.get_by_role("button", name="Mute", exact=True).click()
    hellos: asyncio.Queue[str | bytes] = asyncio.Queue()
    context, config = page.context, {"account_id": "demo", "consumer_proof": "ids", **DEMO}
    await context.route("**/v1/widget-config*", lambda route: route.fulfill(json=config))
    await context.route_web_socket("**/v1/connect", lambda ws: ws.on_message(hellos.put_nowait))
    own = ""
    # Its first one may have ended since; it has to do where the backend does not answer in time.
    for answer, token in ((None, "t"), ({"token": "fresh"}, "fresh")):
        # An answer that comes is not too late because this process is.
        await page.frames[1].evaluate("(comes) => { window.patient = comes; }", answer is not None)
        mint = partial(_mint, answer)
        await page.route("**/demo/agent-token", mint)
        await frame.get_by_role("button", name="More", exact=True).click()
        async with page.expect_popup() as opening:
            await frame.get_by_role("button", name="Open in own window").click()
        popup = await opening.value
        own = popup.url
        async with asyncio.timeout(10 * PATIENCE):
            assert json.loads(await hellos.get())["token"] == token
        await popup.close()
        # Nobody answers it: on a slow machine it may have said hello again before it was closed.
        while not hellos.empty():
            hellos.get_nowait()

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
    # Back where one was, as it was left in the other window: by a click, and by a reload.
    back = page.get_by_role("button", name="Bring it here")
    for there, by_reload in (((True, False), False), ((False, True), True)):
        offer = await double.until_heard("media.offer")
        for seq, transport, state in (
            (2, "another", "connected"),
            (3, offer["transport_id"], "closed"),
        ):
            await double.tell(MediaTransport(seq=seq, epoch=1, transport_id=transport, state=state))
        await expect(back).to_be_visible()
        microphone, camera = there
        roster = [person(0, microphone=microphone, camera=camera), person(1), person(2)]
        await double.tell(RosterChanged(seq=4, roster=roster))
        if by_reload:
            double.begin(Role.AGENT, in_session=True)
            await page.reload()
            await double.tell(THREE)
        else:
            double.heard.clear()
            await back.click()
        assert await sends(double) == there


async def test_what_one_turned_off_stays_off_by_whatever_way_one_comes_back(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    await double.tell(ResumeRenewed(resume="sealed"))
    await page.get_by_role("button", name="Mute", exact=True).click()
    double.heard.clear()
    await double.drop(1012)
    assert (await double.until_heard("connection.hello"))["resume"] == "sealed"
    await double.tell(THREE)
    # What one came back with holds no more: another device of this agent was taken away.
    double.heard.clear()
    await double.drop(4401)
    assert "resume" not in await double.until_heard("connection.hello")
    await double.tell(THREE)
    assert await sends(double) == (False, True)
    # The widget itself is turned away, until one tries again.
    await double.drop(4403)
    double.heard.clear()
    await page.get_by_role("button", name="Try again").click()
    await double.until_heard("connection.hello")
    await double.tell(THREE)
    assert await sends(double) == (False, True)
    # Another session begins heard, whether one was there as this one ended or not.
    for drops in (False, True):
        if drops:
            await page.get_by_role("button", name="Mute", exact=True).click()
            double.in_session = False
            await double.drop(4410)
            double.heard.clear()
            await page.get_by_role("button", name="Try again").click()
            await double.until_heard("connection.hello")
        else:
            double.heard.clear()
            await double.tell(ENDED)
        await double.tell(THREE.model_copy(update={"session_id": f"after {drops}"}))
        assert await sends(double) == (True, True)


async def opened(browser: Browser, pages: str) -> tuple[Page, BrokerDouble]:
    """Open a consumer's widget that waits to be rung."""
    page = await browser.new_page()
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    await page.goto(f"{pages}{ENGAGEMENT}&lang=en")
    return page, double


async def test_what_a_consumer_turned_off_stays_off_without_a_way_to_resume(
    browser: Browser, pages: str
) -> None:
    page, double = await opened(browser, pages)
    await double.tell(snapshot(1, [person(0), person(1)]))
    await double.tell(ResumeRenewed(resume="sealed"))
    await page.get_by_role("button", name="Mute", exact=True).click()
    double.heard.clear()
    await double.drop(1012)
    assert (await double.until_heard("connection.hello"))["resume"] == "sealed"
    await double.tell(snapshot(1, [person(0), person(1)]))
    double.heard.clear()
    # Told that there is none, as a consumer always is, and taken back all the same.
    double.in_session = False
    await double.drop(4401)
    assert "resume" not in await double.until_heard("connection.hello")
    await double.tell(snapshot(1, [person(0), person(1)]))
    assert (await sends(double))[0] is False
    await page.close()


async def test_a_consumer_whose_session_another_widget_took_is_told_where_it_is(
    browser: Browser, pages: str
) -> None:
    page, double = await opened(browser, pages)
    await double.tell(snapshot(1, [person(0), person(1)]))
    await double.drop(4409)
    await expect(page.get_by_role("heading", name="Open in another window")).to_be_visible()
    double.heard.clear()
    await page.get_by_role("button", name="Bring it here").click()
    await double.until_heard("connection.hello")
    await page.close()


async def test_whoever_leaves_is_not_heard_while_the_broker_is_silent(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    double.deaf = True
    await page.get_by_role("button", name="End", exact=True).click()
    sending = SENDING
    await page.wait_for_function(f"() => String({sending}) === 'false,false,false'")


async def test_a_consumer_whose_widget_is_turned_away_is_not_told_to_wait(
    browser: Browser, pages: str
) -> None:
    page, double = await opened(browser, pages)
    for told, over in (
        (snapshot(1, [person(0), person(1)]), "The session has ended"),
        (INVITED, "The invitation was withdrawn"),
    ):
        await double.tell(told)
        await double.drop(4403)
        await expect(page.get_by_role("heading", name=over)).to_be_visible()
        assert await page.evaluate(LIVE) == 0
        # Whoever has read that waits for the next call.
        double.heard.clear()
        await page.get_by_role("button", name="Close").click()
        await double.until_heard("connection.hello")
    await expect(page.get_by_text("it rings here")).to_be_visible()
    await double.drop(4403)
    await expect(page.get_by_text("Video is not available here just now.")).to_be_visible()
    await expect(page.get_by_text("it rings here")).to_be_hidden()
    await page.close()


async def test_an_accept_that_took_effect_stands_though_it_was_not_answered(
    browser: Browser, pages: str
) -> None:
    page, double = await opened(browser, pages)
    await double.tell(INVITED)
    await page.get_by_role("button", name="Accept with video").click()
    await double.until_heard("invitation.accept")
    await double.tell(snapshot(1, [person(0), person(1)]))
    await page.get_by_role("button", name="Mute", exact=True).click()
    sending = SENDING.replace("agent", "engagement")
    await page.wait_for_function(f"() => String({sending}) === 'false,true,false'")
    # With the connection goes the answer; who muted is not heard again, and is still seen.
    double.deaf = True
    double.heard.clear()
    await double.drop(1012)
    await double.until_heard("connection.hello")
    await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
    assert await page.evaluate(sending) == [False, True, False]
    await page.close()


async def test_without_the_broker_what_is_said_and_what_works(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    button = partial(page.get_by_role, "button")
    words = page.get_by_role("status").get_by_text("Reconnecting…", exact=False)
    await expect(button(name="Turn camera off")).to_be_visible()
    await double.tell(ResumeRenewed(resume="sealed"))
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
    await page.evaluate(MEDIA, "failed")
    await expect(words).to_have_text("Connection lost. Reconnecting…")
    # Whoever ends is not seen or heard from then on, and the broker learns of it when it can.
    await button(name="End", exact=True).click()
    assert await page.evaluate(SENDING) == [False, False, False]
    leaves = page.get_by_role("status").get_by_text("You leave as soon as the connection is back.")
    for _ in range(2):
        double.heard.clear()
        await double.drop(1012)
        await double.until_heard("connection.hello")
        await expect(leaves).to_be_visible()
    double.deaf = False
    double.heard.clear()
    await double.drop(1012)
    await double.until_heard("connection.hello")
    await double.tell(ResumeRenewed(resume="sealed"), THREE)
    await double.until_heard("session.end")
    assert await sends(double) == (False, False)
    await expect(words).to_be_hidden()
    await double.tell(ENDED)
    await expect(page.get_by_role("heading", name="The session has ended")).to_be_visible()
    assert [each["type"] for each in double.heard].count("session.end") == 1


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


async def test_a_line_that_went_with_the_media_is_missed_long_before_it_is_silent(
    talk: tuple[Page, BrokerDouble],
) -> None:
    """Nor does a widget say before that one can still end: nobody knows that."""
    page, double = talk
    words = page.get_by_role("status").get_by_text("Connection lost", exact=False)
    await double.until_heard("media.offer")
    await page.evaluate(MEDIA, "connected")
    double.deaf = True
    double.swallow()
    await page.evaluate(MEDIA, "disconnected")
    await expect(words).to_be_visible()
    assert await words.text_content() == "Connection lost. Reconnecting…"
    await page.get_by_role("button", name="End", exact=True).click()
    leaves = page.get_by_text("You leave as soon as the connection is back.")
    await expect(leaves).to_be_visible(timeout=15_000 * PATIENCE)


async def test_an_agent_whose_own_window_is_closed_is_told_so_and_can_go_on(
    talk: tuple[Page, BrokerDouble],
) -> None:
    page, double = talk
    offer = await double.until_heard("media.offer")
    heading = page.get_by_role("heading")
    for seq, transport, state, said in (
        (2, "another", "connected", None),
        (3, offer["transport_id"], "closed", "It is open in another window"),
        (4, "another", "closed", "The other window is no longer open"),
    ):
        await double.tell(MediaTransport(seq=seq, epoch=1, transport_id=transport, state=state))
        if said:
            await expect(heading).to_have_text(said)
    await expect(page.get_by_role("button", name="Leave")).to_be_visible()
    await page.get_by_role("button", name="Bring it here").click()
    await expect(page.get_by_role("toolbar")).to_be_visible()
