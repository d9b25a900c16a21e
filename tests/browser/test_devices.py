"""Cameras that are absent, refused or kept from the frame: a plain sentence, and a session that
still works one way."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.demo import People, counts, shoot, until_counts

REFUSE = """(error) => {
  navigator.mediaDevices.getUserMedia = async (wish) => {
    throw new DOMException('as a person would', error);
  };
}"""
ONLY_CAMERA = """(error) => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    if (wish.video) throw new DOMException('no such device', error);
    return real(wish);
  };
}"""


async def test_a_consumer_without_a_camera_sees_and_is_heard(people: People) -> None:
    await people.open()
    consumer = await people.ring()
    await consumer.evaluate(ONLY_CAMERA, "NotFoundError")
    await consumer.get_by_role("button", name="Accept with video").click()
    said = consumer.get_by_text(
        "No camera was found. Connect one and turn it on; until then the others see your name.",
        exact=True,
    )
    await expect(said).to_be_visible()
    await until_counts(consumer, frames=10, energy=0.0001)
    await until_counts(people.agent, energy=0.0001)
    assert (await counts(people.agent))["frames"] == 0
    await shoot(people.page, "no-camera")


async def test_a_consumer_who_refuses_still_sees_and_hears(people: People) -> None:
    # Nor is the report on the connection needed for it.
    await people.context.route("**/media/report.js", lambda route: route.abort())
    await people.open()
    consumer = await people.ring()
    await consumer.evaluate(REFUSE, "NotAllowedError")
    await consumer.get_by_role("button", name="Accept with video").click()
    said = (
        "Camera and microphone were not allowed. Click the sign in the address bar to allow them."
    )
    await expect(consumer.get_by_text(said, exact=True)).to_be_visible()
    await until_counts(consumer, frames=10, energy=0.0001)
    assert (await counts(consumer))["sent"] == 0
    await shoot(people.page, "refused")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            "NotReadableError",
            "Camera and microphone are in use by another program. Close that one and try again.",
        ),
        (
            "NotFoundError",
            "No camera or microphone was found. Connect them and turn them on.",
        ),
    ],
)
async def test_an_agent_without_devices_is_told_why(
    people: People, error: str, sentence: str
) -> None:
    await people.open()
    await people.agent.evaluate(REFUSE, error)
    consumer = await people.talk()
    await expect(people.agent.get_by_text(sentence, exact=True)).to_be_visible()
    await until_counts(people.agent, frames=10, energy=0.0001)
    await expect(consumer.get_by_role("toolbar")).to_be_visible()


async def test_the_engagement_window_without_allow_rings_and_moves_to_an_own_window(
    people: People,
) -> None:
    # Another site than the gateway's, where frames and windows keep what they keep apart.
    people.host = people.host.replace("127.0.0.1", "localhost")
    await people.open("allow=0&launcher=0&window=open&conversation=w1")
    window = await people.frame("/window")
    # The agent's own frame is blocked as well: voice and picture come from the other side only.
    await people.agent.get_by_role("button", name="Start video").click()
    sentence = (
        "The page around this window does not let it use camera and microphone. "
        "Open it in its own window."
    )
    for side in (window, people.agent):
        await expect(side.get_by_text(sentence, exact=True)).to_be_visible()
    await expect(people.agent.get_by_text("the camera is blocked there")).to_be_visible()
    await shoot(people.page, "blocked-3-consumer")
    async with people.context.expect_page() as opening:
        await window.get_by_role("button", name="Open in own window").click()
    own = await opening.value
    accept = own.get_by_role("button", name="Accept with video")
    await accept.wait_for()
    # What the frame keeps, if it may keep anything, is not there: the proof that both are one
    # consumer is handed over, or somebody else would ask to be let in.
    await window.evaluate("() => { try { localStorage.frame = 'only'; } catch { return; } }")
    assert await own.evaluate("localStorage.getItem('frame')") is None
    await accept.click()
    await expect(window.get_by_text("Open in another window")).to_be_visible()
    await until_counts(people.agent, frames=10, energy=0.0001)
