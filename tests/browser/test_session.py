"""The main job, with real parts: from the agent's button to decoded frames in both directions."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

from playwright.async_api import Frame, Locator, expect
from prometheus_client.parser import text_string_to_metric_families

from tests.browser.demo import (
    GREEN,
    People,
    counts,
    negotiated,
    recorded,
    shoot,
    until_counts,
    until_everybody,
)
from tests.deployment import Deployment
from tests.patience import PATIENCE
from tests.widget import plain_http

GRADES = ("good", "fair", "poor")


async def test_the_launcher_opens_by_itself_and_both_see_and_hear_each_other(
    people: People, demo: Deployment
) -> None:
    await people.open("conversation=H72", small=False)
    forwarded = await exported(demo)
    panel = people.page.frame_locator("#shop").locator("iframe[title=Video]")
    await expect(people.agent.get_by_text("Can be rung now")).to_be_visible()
    await expect(panel).to_be_hidden()

    consumer = await people.ring()
    await expect(panel).to_be_visible()
    await expect(consumer.get_by_role("heading", name="Alex")).to_be_visible()
    await expect(people.agent.get_by_text("sees the invitation")).to_be_visible()
    await shoot(people.page, "session-1-ringing")

    await consumer.get_by_role("button", name="Accept with video").click()
    for side in (people.agent, consumer):
        # Each packet of the voice carries the frame before once more (RED).
        await until_counts(side, frames=35, energy=0.0001, redundant=20)
    # Each widget reports every five seconds.
    await until_support_sees_both(people)
    after = [await counts(people.agent), await counts(consumer)]
    await shoot(people.page, "session-2-talking")

    await people.agent.get_by_role("button", name="End", exact=True).click()
    await expect(people.agent.get_by_text("The session has ended")).to_be_visible()
    await expect(people.agent.get_by_text("The agent ended it.")).to_have_count(0)
    await expect(consumer.get_by_text("The agent ended it.")).to_be_visible()
    await expect(consumer.get_by_text("You can go on in the chat.")).to_be_visible()
    await shoot(people.page, "session-3-over")
    # The record says of both that media came, for as long as they talked.
    spent = [each["quality"] for each in recorded(demo, "H72")["participants"]]
    assert all(sum(each[f"{grade}_ms"] for grade in GRADES) > 2_000 for each in spent), spent
    # An actor says at its session's end what it has not said yet: two voices with repetitions
    # have passed the relay, and two pictures.
    sent = sum(one["frames"] + one["redundant"] for one in after)
    await until_exported(demo, forwarded, at_least=sent)

    await consumer.get_by_role("button", name="Close").click()
    await expect(panel).to_be_hidden()
    await people.agent.get_by_role("button", name="Close").click()
    await expect(people.agent.get_by_role("button", name="Start video")).to_be_enabled()


async def exported(demo: Deployment) -> dict[str, float]:
    """How many packets the relays have forwarded, by direction, as the gateway shows it."""
    async with plain_http(demo.gateway) as http:
        text = (await http.get("/metrics")).raise_for_status().text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "switchboard_relay_packets_total":
                assert set(sample.labels) == {"direction", "ledger", "node"}
                direction = sample.labels["direction"]
                found[direction] = found.get(direction, 0.0) + sample.value
    return found


async def until_exported(demo: Deployment, before: dict[str, float], *, at_least: float) -> None:
    """Wait until so many packets more have come in and gone out."""
    found: dict[str, float] = {}
    for _ in range(int(40 * PATIENCE)):
        found = await exported(demo)
        if all(found.get(way, 0.0) - before.get(way, 0.0) >= at_least for way in ("in", "out")):
            return
        await asyncio.sleep(0.25)
    raise AssertionError(f"{before}, then {found}, and not {at_least} more")


def well(media: dict[str, Any]) -> bool:
    """Whether both are connected by lines that carry what they send, and have reported pictures."""
    transports, reports = media["transports"], media["reports"].values()
    pictures = [sum(slot["frames_decoded"] for slot in slots) for slots in reports]
    rates = [each[way] for each in transports for way in ("bitrate_in", "bitrate_out")]
    grades = {each["quality"] for each in media["participants"].values()}
    return (
        [each["state"] for each in transports] == ["connected", "connected"]
        and len(pictures) == 2
        and min(pictures) > 0
        and min(rates) > 50_000
        and grades <= {"good", "fair"}
    )


async def until_support_sees_both(people: People) -> None:
    """Wait until the server API shows both transports, and what each widget measured on them."""
    key = {"Authorization": f"Bearer {people.demo.api_key}"}
    async with plain_http(people.demo.gateway, key) as api:
        session = (await api.get("/v1/sessions", params={"limit": 1})).json()["sessions"][0]
        seen: dict[str, Any] = {}
        for _ in range(int(80 * PATIENCE)):
            answer = await api.get(f"/v1/sessions/{session['session_id']}/media")
            assert answer.status_code == 200, answer.text
            seen = answer.json()
            if well(seen):
                return
            await asyncio.sleep(0.25)
        raise AssertionError(f"Not both are seen to be well: {seen}")


CAMERA = "document.querySelector('switchboard-engagement').client.media.tracks.camera"
KEEP_CAMERA = f"() => {{ window.camera = {CAMERA}; }}"


async def choose(frame: Frame, item: str) -> None:
    """Press what one needs now and then."""
    await frame.get_by_role("button", name="More", exact=True).click()
    await frame.get_by_role("button", name=item).click()


async def until_unseen(frame: Frame) -> None:
    """Wait until half a second and a voice have brought no picture."""
    end = time.monotonic() + 20 * PATIENCE
    while time.monotonic() < end:
        before = await counts(frame)
        await asyncio.sleep(0.5)
        if (await until_counts(frame, energy=0.0001))["frames"] == before["frames"]:
            return
    raise AssertionError("Somebody is seen by who goes on with the voice only.")


async def test_the_consumer_ends_and_a_second_session_works(people: People) -> None:
    await people.open()
    consumer = await people.talk()
    await until_counts(people.agent, frames=5)
    # A camera that is turned off stays off, whatever the broker tells meanwhile, and comes back.
    tile = people.agent.locator(".tile.seat:visible")
    for name, picture in (("Turn camera off", "no"), ("Turn camera on", "yes")):
        await consumer.get_by_role("button", name=name).click()
        await expect(tile).to_have_attribute("data-picture", picture)
        await until_counts(consumer, frames=10)
        await expect(tile).to_have_attribute("data-picture", picture)

    # Nor is anybody seen by who goes on with the voice only, nor are they until they turn it on.
    await consumer.evaluate(KEEP_CAMERA)
    await choose(consumer, "Voice only")
    await expect(tile).to_have_attribute("data-picture", "no")
    await consumer.wait_for_function(f"() => window.camera.readyState === 'ended' && !{CAMERA}")
    await expect(consumer.get_by_role("button", name="Turn camera on")).to_be_visible()
    await expect(consumer.locator(".tile[data-picture=yes]:visible")).to_have_count(0)
    for frame in (people.agent, consumer):
        await until_unseen(frame)
    await choose(consumer, "With video")
    await until_counts(consumer, frames=20, energy=0.0001)
    assert await consumer.evaluate(f"() => {CAMERA} == null")
    await expect(tile).to_have_attribute("data-picture", "no")
    await consumer.get_by_role("button", name="Turn camera on").click()
    await consumer.wait_for_function(f"() => {CAMERA}?.readyState === 'live'")
    await expect(consumer.get_by_role("button", name="Turn camera off")).to_be_visible()
    for frame in (people.agent, consumer):
        await until_counts(frame, frames=20, energy=0.0001)
        await expect(frame.locator(".tile[data-picture=yes]:visible")).to_have_count(2)
    await consumer.get_by_role("button", name="End", exact=True).click()
    await expect(people.agent.get_by_text("The consumer ended it.")).to_be_visible()
    await expect(consumer.get_by_text("The session lasted")).to_be_visible()
    await expect(consumer.get_by_text("The consumer ended it.")).to_have_count(0)
    await people.agent.get_by_role("button", name="Close").click()

    consumer = await people.talk()
    await until_counts(people.agent, frames=5)
    await until_counts(consumer, frames=5)


async def test_declining_tells_the_agent_and_closes_the_launcher(people: People) -> None:
    await people.open()
    consumer = await people.ring()
    await consumer.get_by_role("button", name="Decline").click()
    await expect(people.agent.get_by_text("declined")).to_be_visible()
    await expect(consumer.get_by_text("You declined")).to_be_visible()
    await shoot(people.page, "declined")

    await people.agent.get_by_role("button", name="Invite again").click()
    await expect(consumer.get_by_role("button", name="Accept with video")).to_be_visible()


async def test_the_agent_takes_the_invitation_back(people: People) -> None:
    await people.open()
    consumer = await people.ring()
    await people.agent.get_by_role("button", name="Cancel").click()
    await expect(consumer.get_by_text("The invitation was withdrawn")).to_be_visible()
    await expect(people.agent.get_by_text("The invitation was withdrawn")).to_be_visible()
    await shoot(people.page, "cancelled")


async def test_accepting_with_voice_only_sends_no_picture(people: People) -> None:
    await people.open()
    consumer = await people.talk("Accept with voice only")
    await until_counts(people.agent, energy=0.001)
    await until_counts(consumer, energy=0.001)
    assert (await counts(consumer))["sent"] == 0
    assert (await counts(people.agent))["frames"] == 0
    await shoot(people.page, "voice-only")


async def make_link(frame: Frame) -> Locator:
    """Make a link for one person; returns the field that shows it."""
    await frame.get_by_role("button", name="People").click()
    await frame.get_by_role("button", name="Make link").click()
    field = frame.get_by_role("textbox", name=re.compile("link works"))
    await expect(field).to_have_value(re.compile("/join#"))
    return field


async def test_agent_and_consumer_make_links_and_a_guest_who_comes_is_let_in(
    people: People,
) -> None:
    await people.open()
    consumer = await people.talk()
    agreed = [await negotiated(frame) for frame in (people.agent, consumer)]
    field = await make_link(people.agent)
    await shoot(people.page, "guest-1-link")
    await people.agent.get_by_role("button", name="Put into conversation").click()
    await expect(people.agent.get_by_role("button", name="It is in your input box")).to_be_visible()
    box = people.page.frame_locator("#workspace").locator("#input")
    await expect(box).to_have_value(await field.input_value())
    # Whoever comes by it does so in the same way as by the consumer's own.
    link = await (await make_link(consumer)).input_value()
    assert link != await field.input_value()
    await shoot(people.page, "guest-1-link-of-the-consumer")
    for frame in (people.agent, consumer):
        await frame.get_by_role("dialog", name="People").press("Escape")

    guest = await people.new_page()
    await guest.goto(link)
    await shoot(guest, "guest-2-join")
    await guest.get_by_label("Your name").fill("Noa Levi")
    await guest.get_by_role("button", name="Join", exact=True).click()
    await expect(guest.get_by_text("Almost there")).to_be_visible()
    await shoot(guest, "guest-3-lobby")

    await people.page.bring_to_front()
    await shoot(people.page, "guest-4-waits")
    # To ask somebody is one thing, to let them in another.
    await expect(consumer.get_by_role("button", name="Let in", exact=True)).to_have_count(0)
    await people.agent.get_by_role("button", name="Let in", exact=True).click()
    # Whoever hears the page hears who comes and goes.
    said = consumer.get_by_role("status")
    await expect(said.get_by_text("Noa Levi is here")).to_be_visible()
    sides = (people.agent, consumer, guest)
    await asyncio.gather(*(until_everybody(each, 2, limit_s=30) for each in sides))
    for page in sides:
        await expect(page.locator(".tile.seat[data-picture=yes]:visible")).to_have_count(2)
    await shoot(guest, "guest-5-three")
    await shoot(people.page, "guest-6-three")

    await guest.get_by_role("button", name="Leave", exact=True).click()
    await expect(guest.get_by_text("You have left")).to_be_visible()
    await expect(said.get_by_text("Noa Levi has left")).to_be_visible()
    await until_counts(consumer, frames=5)
    # Nobody who was there negotiated anything for it.
    assert [await negotiated(frame) for frame in (people.agent, consumer)] == agreed


SCREEN = """() => {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const pen = canvas.getContext('2d');
    setInterval(() => {
      pen.fillStyle = `hsl(${Date.now() / 10 % 360} 80% 50%)`;
      pen.fillRect(0, 0, 1280, 720);
    }, 100);
    return canvas.captureStream(10);
  };
}"""


async def test_a_shared_screen_is_seen_large_and_a_picture_may_float(people: People) -> None:
    await people.open()
    consumer = await people.talk()
    await until_counts(consumer, frames=5)
    agreed = [await negotiated(frame) for frame in (people.agent, consumer)]
    await people.agent.evaluate(SCREEN)
    await people.agent.get_by_role("button", name="Share screen").click()
    await consumer.wait_for_selector(".stage[data-layout=screen] .tile.screen[data-picture=yes]")
    width = "document.querySelector('.tile.screen video').videoWidth"
    await consumer.wait_for_function(f"() => {width} >= 320")
    await shoot(people.page, "screen-shared")
    strip = people.agent.locator(".notice").filter(has_text="You are sharing your screen.")
    await strip.get_by_role("button", name="Stop sharing").click()
    await strip.wait_for(state="detached")
    await consumer.wait_for_selector(".stage:not([data-layout=screen])")
    for name in ("Mute", "Unmute", "Turn camera off"):
        await consumer.get_by_role("button", name=name, exact=True).click()
    await people.agent.wait_for_selector(".tile.seat:not([data-picture=yes])")
    # Neither a screen, nor a mute, nor a camera costs a word about transport or sections.
    assert [await negotiated(frame) for frame in (people.agent, consumer)] == agreed

    # Within the launcher's frame both are what its `allow` lets it do.
    for full in ("document.documentElement", "null"):
        await choose(consumer, "Full screen")
        await consumer.wait_for_function(f"() => document.fullscreenElement === {full}")
    for floats in (1, 0):
        await choose(consumer, "Picture in picture")
        await consumer.wait_for_function(
            "(count) => document.querySelectorAll('.tile[data-main] video:picture-in-picture')"
            ".length === count && !document.pictureInPictureElement === !count",
            arg=floats,
        )


FACE = "https://pictures.example/alex.svg"


async def test_the_picture_in_the_agents_token_rings_and_stays(
    people: People, demo: Deployment
) -> None:
    """From the brand's backend, which mints the token, to what the consumer looks at."""
    wish = {"kind": "agent", "agent_id": "31", "name": "Robin Vogel", "picture": FACE}
    headers = {"Authorization": f"Bearer {demo.api_key}"}
    async with plain_http(demo.gateway, headers) as api:
        minted = (await api.post("/v1/tokens", json=wish)).raise_for_status().json()
    # The demo's own login stands in for the address where the brand gives its agents tokens.
    await people.context.route("**/demo/agent-token", lambda route: route.fulfill(json=minted))
    # What the gateway would fetch there stands in `tests/gateway/test_pictures.py`.
    await people.context.route(
        "**/v1/pictures/**", lambda route: route.fulfill(body=GREEN, content_type="image/svg+xml")
    )
    await people.open()
    consumer = await people.ring()
    await expect(consumer.get_by_role("heading", name="Robin Vogel")).to_be_visible()
    image = consumer.locator(".ringing-avatar img")
    await expect(image).to_be_visible()
    source, width = await image.evaluate("({ src, naturalWidth }) => [src, naturalWidth]")
    assert source.startswith(f"{demo.gateway}/v1/pictures/demo/")
    assert width == 9
    await shoot(people.page, "picture-of-the-agent")
    await consumer.get_by_role("button", name="Accept with voice only").click()
    # Who sends no picture is seen by it.
    await people.agent.get_by_role("button", name="Turn camera off").click()
    await expect(consumer.locator(".tile.seat:visible img")).to_be_visible()
