"""A full session: eight real pages, of which two show the seven others.

All eight send, hear and are heard. Six are put away, as two processors do not decode fifty-six
pictures beside eight browsers' voices.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from pprint import pformat
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.demo import FACES, SCREENS, negotiated, session_of, until_everybody
from tests.deployment import Deployment
from tests.patience import PATIENCE

GUESTS = ("Ada", "Ben", "Cleo", "Dov", "Eva", "Finn")
LITTLE = """(() => {
  const { mediaDevices } = navigator;
  const real = mediaDevices?.getUserMedia.bind(mediaDevices);
  if (!real) return;
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const paint = () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
    const pen = canvas.getContext('2d');
    let hue = 0;
    setInterval(() => {
      pen.fillStyle = `hsl(${hue += 40} 70% 50%)`;
      pen.fillRect(0, 0, 320, 180);
    }, 300);
    return canvas.captureStream(4).getVideoTracks()[0];
  };
  mediaDevices.getUserMedia = async (wish) => {
    const stream = wish.audio ? await real({ audio }) : new MediaStream();
    if (wish.video) stream.addTrack(paint());
    return stream;
  };
})()"""
"""Eight people share the machine: voices as they are, and a camera of each page's own with little
to encode. The one that Chromium fakes is all pages' together: of eight that opened it on two
processors four sent less than a picture a second, and four none."""
HIDDEN = "Object.defineProperty(document, 'visibilityState', { value: 'hidden' })"
"""A page that is put away: it is sent no picture."""
ME = "document.querySelector('switchboard-agent').client.session.participant_id"
FRAMES = 6
LIMIT_S = 60.0


async def media_of(demo: Deployment, session_id: str) -> Any:
    """What flows in the session, by the server API."""
    key = {"Authorization": f"Bearer {demo.api_key}"}
    async with httpx.AsyncClient(base_url=demo.gateway, headers=key, trust_env=False) as api:
        answer = await api.get(f"/v1/sessions/{session_id}/media", timeout=20 * PATIENCE)
        return answer.raise_for_status().json()


def missing(media: Any) -> list[str]:
    """The pictures that nobody is sent, and why: unseen, waited for, or none to be had."""
    return [
        f"{transport['participant_id']} of {each['participant_id']}: "
        f"wanted {each['wanted']}, waiting {each['waiting']}"
        for transport in media["transports"]
        for each in transport["subscriptions"]
        if each["video"] and each["participant_id"] and not each["feeding"]
    ]


async def opened(stack: AsyncExitStack, browser: Browser, address: str, *scripts: str) -> Page:
    """A page in a window of its own, small as on a phone."""
    context = await browser.new_context(viewport={"width": 420, "height": 480})
    stack.push_async_callback(context.close)
    context.set_default_timeout(60_000 * PATIENCE)
    for script in (LITTLE, *scripts):
        await context.add_init_script(script)
    page = await context.new_page()
    await page.goto(address)
    return page


async def invited(agent: Page, stack: AsyncExitStack, browser: Browser, name: str) -> Page:
    """A guest by a link of the agent's, let in."""
    link = agent.locator("input.link")
    before = await link.input_value()
    await agent.get_by_role("button", name="Make link").click()
    await expect(link).not_to_have_value(before, timeout=30_000 * PATIENCE)
    guest = await opened(stack, browser, await link.input_value(), HIDDEN)
    await guest.get_by_role("textbox").fill(name)
    await guest.get_by_role("button", name="Join").click()
    await agent.get_by_role("button", name="Let in", exact=True).click()
    await guest.get_by_role("toolbar").wait_for()
    return guest


@pytest.mark.soak
async def test_two_of_eight_see_and_hear_the_seven_others(
    browser: Browser, demo: Deployment
) -> None:
    async with AsyncExitStack() as stack:
        agent = await opened(
            stack,
            browser,
            f"{demo.gateway}/agent?accountId=demo&rtSessionId=eight&agentId=7&agentName=Alex&lang=en",
        )
        consumer = await opened(
            stack,
            browser,
            f"{demo.gateway}/engagement?accountId=demo&conversationId=eight&lang=en",
        )
        await agent.get_by_role("button", name="Start video").click()
        await consumer.get_by_role("button", name="Accept with video").click()
        await until_everybody(agent, 1)
        agreed = [await negotiated(page) for page in (agent, consumer)]
        await agent.get_by_role("button", name="People").click()
        pages = {"Alex": agent, "Consumer": consumer}
        for name in GUESTS:
            pages[name] = await invited(agent, stack, browser, name)
        session = await session_of(agent)
        try:
            await until_everybody(consumer, 7, frames=FRAMES, limit_s=LIMIT_S)
            # The sheet by which the agent let everybody in covers pictures, which are not sent.
            me = await agent.evaluate(ME)
            assert any(
                line.startswith(me) and "wanted False" in line
                for line in missing(await media_of(demo, session))
            )
            panel = agent.get_by_role("dialog", name="People")
            await panel.get_by_role("button", name="Close").click()
            await until_everybody(agent, 7, frames=FRAMES, limit_s=LIMIT_S)
        except AssertionError as error:
            media = await media_of(demo, session)
            raise AssertionError(pformat([missing(media), media], width=200)) from error
        for name, page in (("Alex", agent), ("Consumer", consumer)):
            await page.screenshot(path=SCREENS / f"eight-{name.lower()}.png")
            assert await page.evaluate(FACES) == sorted(each for each in pages if each != name)
        # Six came, and nobody who was there negotiated anything for it.
        assert [await negotiated(page) for page in (agent, consumer)] == agreed
