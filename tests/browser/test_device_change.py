"""Devices that are chosen, pulled out and plugged in while people talk, and what the others hear
and see. With real parts; each of the browser's made-up microphones has a tone of its own."""

from __future__ import annotations

import asyncio
import time

import pytest
from playwright.async_api import Browser, Frame, expect

from tests.browser.demo import SMALL_CAMERA, WAIT_MS, People, shoot, until_counts
from tests.patience import PATIENCE

FIRST, SECOND = "Fake Audio Input 1", "Fake Audio Input 2"
TONES = {"Fake Default Audio Input": 500, FIRST: 900, SECOND: 1_500}
"""In hertz."""
OWN_TONES = """((tones) => {
  const { mediaDevices } = navigator;
  if (!mediaDevices) return;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  const list = mediaDevices.enumerateDevices.bind(mediaDevices);
  const gone = new Set();
  const open = [];
  mediaDevices.enumerateDevices = async () =>
    (await list()).filter(({ label }) => !gone.has(label));
  mediaDevices.getUserMedia = async (wish) => {
    const there = await mediaDevices.enumerateDevices();
    const stream = await ask(wish);
    for (let [real] of [stream.getAudioTracks()]) {
      if (!real) continue;
      if (gone.has(real.label)) {
        real.stop();
        // The system's choice is what is left.
        const { deviceId } = there.find(({ kind }) => kind === 'audioinput');
        [real] = (await ask({ audio: { deviceId: { exact: deviceId } } })).getAudioTracks();
      }
      const context = new AudioContext();
      const tone = new OscillatorNode(context, { frequency: tones[real.label] });
      const out = new MediaStreamAudioDestinationNode(context);
      tone.connect(new GainNode(context, { gain: 0.3 })).connect(out);
      tone.start();
      const [track] = out.stream.getAudioTracks();
      const settings = real.getSettings();
      Object.defineProperty(track, 'label', { value: real.label });
      track.getSettings = () => settings;
      stream.removeTrack(stream.getAudioTracks()[0]);
      stream.addTrack(track);
      open.push({ track, real });
    }
    return stream;
  };
  window.pull = (label) => {
    gone.add(label);
    for (const { track } of open) {
      if (track.label !== label || track.readyState === 'ended') continue;
      track.stop();
      track.dispatchEvent(new Event('ended'));
    }
    mediaDevices.dispatchEvent(new Event('devicechange'));
  };
  window.plug = (label) => {
    gone.delete(label);
    mediaDevices.dispatchEvent(new Event('devicechange'));
  };
})(TONES)""".replace("TONES", str(TONES))
PITCH = """async () => {
  const { srcObject } = document.querySelector('.tile.seat:not([hidden]) audio');
  if (window.ear?.stream !== srcObject) {
    const context = new AudioContext();
    await context.resume();
    const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
    context.createMediaStreamSource(srcObject).connect(analyser);
    window.ear = { stream: srcObject, context, analyser };
  }
  const { context, analyser } = window.ear;
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const loudest = levels.indexOf(Math.max(...levels));
  return loudest * context.sampleRate / analyser.fftSize;
}"""
"""Which tone is the loudest of the other's voice, in hertz."""
SENT = """(kind) => {
  const { connection } = document.querySelector(
    'switchboard-agent, switchboard-engagement').client.peer;
  const track = connection.getSenders().map((one) => one.track).find((one) => one?.kind === kind);
  return track && { id: track.id, label: track.label, device: track.getSettings().deviceId };
}"""
"""The track that goes to the others."""


async def until_pitch(frame: Frame, hertz: float) -> None:
    """Wait until the other's voice has this tone."""
    end = time.monotonic() + 15 * PATIENCE
    heard = 0.0
    while time.monotonic() < end:
        heard = await frame.evaluate(PITCH)
        if abs(heard - hertz) < 30:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"Heard are {heard} Hz, not {hertz}.")


async def settings(frame: Frame) -> None:
    """Open what one chooses devices in."""
    await frame.get_by_role("button", name="More", exact=True).click()
    await frame.get_by_role("button", name="Camera and microphone").click()


async def test_a_microphone_that_is_chosen_is_heard_and_one_that_goes_is_replaced(
    people: People,
) -> None:
    await people.context.add_init_script(OWN_TONES)
    await people.open()
    consumer = await people.talk()
    await until_counts(people.agent, frames=5)
    [default, *_] = TONES.values()
    await until_pitch(people.agent, default)

    await settings(consumer)
    picker = consumer.locator("#pick-microphone")
    await picker.select_option(label=SECOND)
    await until_pitch(people.agent, TONES[SECOND])
    sent = await consumer.evaluate(SENT, "audio")
    assert sent["label"] == SECOND
    await expect(picker).to_have_value(sent["device"])

    # Pulled out: the talk goes on with another, which is said, and listed as the one in use.
    await consumer.evaluate("(label) => window.pull(label)", SECOND)
    await until_pitch(people.agent, default)
    words = consumer.get_by_role("status").filter(has_text="A device was disconnected.").first
    await expect(words).to_be_visible()
    sent = await consumer.evaluate(SENT, "audio")
    await expect(picker).to_have_value(sent["device"])
    await expect(picker.get_by_role("option", name=SECOND)).to_have_count(0)
    await shoot(people.page, "device-pulled-out")
    # Back again it is offered, and nobody's voice changes by itself.
    await consumer.evaluate("(label) => window.plug(label)", SECOND)
    await expect(picker.get_by_role("option", name=SECOND)).to_have_count(1)
    assert (await consumer.evaluate(SENT, "audio"))["id"] == sent["id"]
    await picker.select_option(label=FIRST)
    await until_pitch(people.agent, TONES[FIRST])
    await expect(words).to_have_count(0)

    # Who is muted stays so, whatever they plug.
    await consumer.get_by_role("button", name="Mute", exact=True).click()
    await consumer.evaluate("(label) => window.pull(label)", FIRST)
    await expect(words).to_be_visible()
    await expect(consumer.get_by_role("button", name="Unmute")).to_be_visible()
    muted = "document.querySelector('switchboard-engagement').client.media.tracks.microphone"
    assert await consumer.evaluate(f"{muted}.enabled") is False


WISHES = """(() => {
  const { mediaDevices } = navigator;
  if (!mediaDevices) return;
  const ask = mediaDevices.getUserMedia.bind(mediaDevices);
  window.wished = [];
  mediaDevices.getUserMedia = (wish) => {
    if (wish.video && !wish.audio) window.wished.push(wish.video.facingMode);
    return ask(wish);
  };
})()"""
OWN_PICTURE = "document.querySelector('.self video')"


@pytest.mark.soak
async def test_a_consumer_on_a_phone_shows_what_is_behind_it_and_themselves_again(
    people: People, browser: Browser
) -> None:
    await people.context.add_init_script(SMALL_CAMERA)
    desk = await people.new_page()
    await desk.goto(f"{people.host}/workspace.html?conversation=P71")
    agent = await people.frame("/agent", desk)
    phone = await browser.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True
    )
    phone.set_default_timeout(WAIT_MS)
    try:
        for script in (SMALL_CAMERA, WISHES):
            await phone.add_init_script(script)
        shop = await phone.new_page()
        await shop.goto(f"{people.host}/shop.html?conversation=P71")
        consumer = await people.frame("/engagement", shop)
        await expect(agent.get_by_text("Can be rung now")).to_be_visible()
        await agent.get_by_role("button", name="Start video").click()
        await consumer.get_by_role("button", name="Accept with video").tap()
        await until_counts(agent, frames=5)
        before = await consumer.evaluate(SENT, "video")
        for facing, mirrored in (("environment", False), ("user", True)):
            await consumer.get_by_role("button", name="More", exact=True).tap()
            await consumer.get_by_role("button", name="Switch camera").tap()
            await consumer.wait_for_function(
                "(facing) => window.wished.at(-2)?.exact === facing", arg=facing
            )
            await until_counts(agent, frames=10)
            sent = await consumer.evaluate(SENT, "video")
            assert sent["id"] != before["id"]
            before = sent
            # Only one's own face is looked at as in a mirror.
            looks = await consumer.evaluate(f"getComputedStyle({OWN_PICTURE}).transform")
            assert (looks != "none") is mirrored
            await shoot(shop, f"phone-camera-{facing}")
    finally:
        await phone.close()
