"""Real Chromium pages with fake devices, joined through one relay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import pytest
from playwright.async_api import Browser, Page

from actors.relay import Relay, RelayConfig, TransportState
from actors.relay.wire.rtcp import Report, receiver_report
from benchmarks.shaper import Downlink, Shaper
from tests.patience import PATIENCE, seconds_waited, until

from .client import CraftedClient
from .pages import (
    Joined,
    answer_to,
    browser,
    join,
    join_as_widget,
    negotiate_as_widget,
    page_url,
    until_growing,
)
from .recording import RecordingListener

pytestmark = pytest.mark.browser

__all__ = ["browser", "page_url"]


async def all_growing(pages: Iterable[Page]) -> None:
    """Wait until each of three sees and hears more of both others, of whom nothing is lost."""
    for found in await asyncio.gather(*(until_growing(page, people=2) for page in pages)):
        assert sum(stream["lost"] for stream in found.values()) == 0


async def test_three_people_see_and_hear_each_other(
    browser: Browser, page_url: str, tmp_path: Path
) -> None:
    listener = RecordingListener()
    relay = Relay(RelayConfig(), listener)
    await relay.open()
    names = ("ada", "ben", "cy")
    pages: dict[str, Page] = {}
    try:
        for name in names:
            page = await browser.new_page()
            await page.goto(page_url)
            pages[name] = page
            await join(relay, page, name)
        await all_growing(pages.values())
        for name in names:
            others = {other for other in names if other != name}
            assert set(listener.occupants(name).values()) == others
        await pages["ada"].screenshot(path=str(tmp_path / "ada.png"))

        # What a browser does whose network has changed: new credentials, the same keys.
        ben = pages["ben"]
        before = await ben.evaluate("window.association()")
        restarted: Joined = await ben.evaluate("(window.pc.restartIce(), window.offer())")
        await ben.evaluate("window.accept", answer_to(relay, "ben", restarted))
        for _ in range(int(200 * PATIENCE)):
            after = await ben.evaluate("window.association()")
            if after["ufrag"] not in (None, before["ufrag"]):
                break
            await ben.wait_for_timeout(50)
        assert after["ufrag"] not in (None, before["ufrag"])
        assert (after["state"], after["moved"]) == ("connected", [])
        await all_growing((pages["ada"], ben))

        await pages["cy"].evaluate("window.pc.close()")
        await until(lambda: listener.state_of("cy-1") is TransportState.CLOSED)
        assert set(listener.occupants("ada").values()) == {"ben"}
    finally:
        await relay.close()


WATCH_GAPS = """() => {
  const video = document.querySelector('video');
  window.frames = [];
  window.turns = [];
  const onFrame = (now) => {
    window.frames.push(now);
    video.requestVideoFrameCallback(onFrame);
  };
  video.requestVideoFrameCallback(onFrame);
  setInterval(() => window.turns.push(performance.now()), 20);
}"""
LONGEST_GAPS = """() => [window.frames, window.turns].map((seen) => {
  const times = [...seen, performance.now()];
  seen.splice(0, seen.length - 1);
  return Math.max(...times.slice(1).map((time, index) => time - times[index])) / 1000;
})"""
"""Between two frames, and between two turns of a page that had a processor every 20 ms."""
LONGEST_TURN = 0.3
"""Seconds that the page, or this process, may wait for a processor; else the gap is theirs."""


async def test_a_browser_whose_nat_forgets_it_goes_on_within_a_second(
    browser: Browser, page_url: str, record_property: Callable[[str, object], None]
) -> None:
    """Chromium is told nothing of its new port, and would check the path 2.5 s later.

    The second time is soon after such a check, so that it would not hide how long that is.
    """
    relay = Relay(RelayConfig(), RecordingListener())
    await relay.open()
    nat = Shaper(("127.0.0.1", relay.port))
    try:
        ada, ben = await browser.new_page(), await browser.new_page()
        for page, name, port in ((ada, "ada", relay.port), (ben, "ben", nat.port)):
            await page.goto(page_url)
            joined: Joined = await page.evaluate("window.join(1)")
            answer = answer_to(relay, name, joined).replace(
                f" 127.0.0.1 {relay.port} ", f" 127.0.0.1 {port} "
            )
            await page.evaluate("window.accept", answer)
        await until_growing(ben, people=1)
        await ben.evaluate(WATCH_GAPS)
        ice = relay.transports["ben-1"].ice

        async def forget() -> tuple[float, float]:
            """Give Ben another port; return how long he saw nothing, and what waited meanwhile."""
            await ben.wait_for_timeout(300)
            await ben.evaluate(LONGEST_GAPS)
            before, waited = ice.selected, seconds_waited()
            nat.rebind()
            await until(lambda: ice.selected is not before)
            moved = await ben.evaluate("performance.now()")
            await ben.wait_for_function(
                "moved => window.frames.filter((time) => time > moved).length >= 3", arg=moved
            )
            gap, turn = await ben.evaluate(LONGEST_GAPS)
            return round(gap, 2), round(max(turn, seconds_waited() - waited), 2)

        found: list[tuple[float, float]] = []
        while sum(gap < 1.0 for gap, _ in found) < 2 and len(found) < 6:
            found.append(await forget())
            gap, waited = found[-1]
            assert gap < 1.0 or waited > LONGEST_TURN, found
        record_property("note", f"no picture for, and waits of: {found} s")
        assert sum(gap < 1.0 for gap, _ in found) == 2, found
        await until_growing(ada, people=1)
        assert relay.mistakes == 0
    finally:
        nat.close()
        await relay.close()


SENT_BY_LAYER = """async () => {
  const sent = {};
  for (const report of (await window.peer.connection.getStats()).values()) {
    if (report.type === 'outbound-rtp' && report.rid) sent[report.rid] = report.framesSent ?? 0;
  }
  return sent;
}"""


async def test_layers_nobody_needs_cost_the_sender_nothing(browser: Browser, page_url: str) -> None:
    """The widget's own peer connection, told by the relay which layers are needed."""
    listener = RecordingListener()
    relay = Relay(RelayConfig(), listener)
    await relay.open()
    ben = CraftedClient(relay, "ben")
    page = await browser.new_page()
    await page.goto(page_url)

    async def frames() -> dict[str, int]:
        found: dict[str, int] = await page.evaluate(SENT_BY_LAYER)
        return found

    async def until_only(needed: set[str]) -> None:
        """Bring what was told to the widget, and wait until it sends these layers and no other."""
        before = await frames()
        for _ in range(int(60 * PATIENCE)):
            rids = list(listener.layers[-1][2]) if listener.layers else ["l", "m", "h"]
            await page.evaluate("rids => window.peer.setLayers('camera', rids)", rids)
            await page.wait_for_timeout(500)
            after = await frames()
            if {rid for rid in after if after[rid] - before.get(rid, 0) >= 3} == needed:
                return
            before = after
        raise AssertionError(f"{before} {after} {listener.layers}")

    try:
        await join_as_widget(relay, page, "ada")
        await ben.connect()
        ben.acknowledge()
        relay.set_view("ben-1", {0: (320, 180)}, {})
        await until_only({"l"})
        # Also after an ICE restart, whose answer says it: nothing more is told then.
        await negotiate_as_widget(relay, page, "ada", "window.pc.restartIce(), window.peer.offer()")
        before = after = await frames()
        for _ in range(int(100 * PATIENCE)):
            await page.wait_for_timeout(100)
            after = await frames()
            if after["l"] - before["l"] >= 20:
                break
        assert {rid for rid in after if after[rid] - before[rid] >= 3} == {"l"}
        relay.set_view("ben-1", {0: (640, 360)}, {})
        await until_only({"l", "m"})
        assert relay.mistakes == 0
    finally:
        ben.vanish()
        await relay.close()


SPEECH = """async () => {
  const context = new AudioContext();
  const sink = context.createMediaStreamDestination();
  const loud = new GainNode(context, { gain: 0.5 });
  // As speech is: the harmonics of a voice, louder and softer four times a second.
  const voice = new OscillatorNode(context, { frequency: 130, type: 'sawtooth' });
  const syllables = new OscillatorNode(context, { frequency: 4 });
  syllables.connect(new GainNode(context, { gain: 0.5 })).connect(loud.gain);
  voice.connect(loud).connect(sink);
  voice.start();
  syllables.start();
  await window.transceivers.audio.sender.replaceTrack(sink.stream.getAudioTracks()[0]);
}"""


def repeats_a_frame(packet: bytes) -> bool:
    """Whether an Opus packet of one frame has the one before it once more (RFC 6716 §4.2.4).

    That is said by a bit behind one for each 20 ms, which begin the frame (§4.2.3); CELT alone has
    none (§3.1).
    """
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration >= 16 or code or len(packet) < 2:
        return False
    activities = (1, 1, 2, 3)[configuration % 4] if configuration < 12 else 1
    return bool(packet[1] << activities & 0x80)


@asynccontextmanager
async def taken_by_ben(
    browser: Browser, page_url: str, what: str
) -> AsyncIterator[tuple[Relay, CraftedClient]]:
    """Have Ada's page send this, by a script, to a crafted peer who sends nothing."""
    relay = Relay(RelayConfig(), RecordingListener())
    await relay.open()
    ben = CraftedClient(relay, "ben", publish=())
    page = await browser.new_page()
    try:
        await page.goto(page_url)
        await join(relay, page, "ada", seats=0)
        await page.evaluate(what)
        await ben.connect()
        yield relay, ben
        assert relay.mistakes == 0
    finally:
        ben.vanish()
        await relay.close()


@pytest.mark.soak
async def test_a_browser_repeats_its_voice_when_somebody_loses_it(
    browser: Browser, page_url: str, record_property: Callable[[str, object], None]
) -> None:
    """In-band FEC, for loss on a line that is not the sender's: the relay's reports tell of it."""
    async with taken_by_ben(browser, page_url, SPEECH) as (_, ben):
        audio, _ = ben.seat(0)

        async def repeated(fraction: int) -> float:
            """Report so much loss for eight seconds; return what repeats in the last four."""
            for second in range(8):
                if second == 4:
                    ben.heard.clear()
                report = Report(ben.slots[audio][0], fraction, 0, 0, 0, 0, 0)
                ben.send_rtcp(receiver_report(1, [report]))
                await asyncio.sleep(1)
            found = [repeats_a_frame(each.packet.payload) for each in ben.heard_on(audio)]
            assert len(found) > 100
            return sum(found) / len(found)

        without, with_loss = await repeated(0), await repeated(51)
        record_property("note", f"{without:.2f} of the packets, {with_loss:.2f} with loss")
        # Only what is taken for speech is repeated: a fifth or a fourth of this.
        assert without < 0.02
        assert with_loss > 0.1


NOISE = """async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
  const context = canvas.getContext('2d');
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  let seed = 1;
  setInterval(() => {
    for (let index = 0; index < pixels.length; index += 1) {
      seed = (seed * 1664525 + 1013904223) | 0;
      pixels[index] = seed | 0xff000000;
    }
    context.putImageData(image, 0, 0);
  }, 40);
  const [track] = canvas.captureStream(25).getVideoTracks();
  await window.transceivers.video.sender.replaceTrack(track);
}"""
"""Nothing of it can be foretold, so that it takes what it is given."""
MOST_WAITED = 0.1
"""The share of a stretch that this process, in which the line is, may wait for a processor."""


@pytest.mark.soak
async def test_a_browser_sends_no_more_than_a_line_carries_and_more_when_it_does(
    browser: Browser, page_url: str, record_property: Callable[[str, object], None]
) -> None:
    """Chromium takes a REMB as a bound, beside the transport-wide feedback that it gets."""
    loop = asyncio.get_running_loop()
    async with taken_by_ben(browser, page_url, NOISE) as (relay, ben):
        ben.acknowledge()
        cameras = [each for each in relay.transports["ada-1"].publications.values() if each.video]

        async def rates(seconds: float) -> list[float]:
            """Return what comes of Ada's camera, in bits per second, four times a second."""
            found = []
            until = loop.time() + seconds
            while loop.time() < until:
                await asyncio.sleep(0.25)
                found.append(sum(each.sent(loop.time()) for each in cameras))
            return found

        async def on_the_narrow_line() -> tuple[list[float], list[int], float]:
            """Return the rates of ten seconds, the pictures held, and the share that was waited."""
            found, held = [], []
            began, waited = loop.time(), seconds_waited()
            for _ in range(20):
                found += await rates(0.5)
                held.append(relay.transports["ben-1"].held)
            return found, held, (seconds_waited() - waited) / (loop.time() - began)

        natural = (await rates(20.0))[-1]
        assert natural > 400_000
        line = natural / 2
        ben.downlink = Downlink(line, loss=0.0, delay=0.02)
        await rates(4.0)
        narrow, held, waited = await on_the_narrow_line()
        for _ in range(5):
            if waited > MOST_WAITED:
                # The line is made in this process: what it waits for a processor is a queue there.
                narrow, held, waited = await on_the_narrow_line()
        ben.downlink = None
        again = await rates(20.0)
        record_property(
            "note",
            f"{natural:.0f} bit/s, {median(narrow):.0f} on a line of {line:.0f}, "
            f"{again[-1]:.0f}; waited for {waited:.2f} of the time",
        )
        assert 0.4 * line < median(narrow) < line, (natural, line, narrow, waited)
        assert sum(held) <= 4, held
        assert max(again[-20:]) > 0.7 * natural
