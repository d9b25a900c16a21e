"""A call goes on while one side's page is loaded anew, moves to a window of its own, or has no line
to the broker: with real parts, by decoded frames."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from playwright.async_api import Frame, Page, WebSocketRoute, expect

from tests.browser.demo import People, session_of, until_counts, until_silent


class Signalling:
    """The widgets' lines to the broker, led through here: one surface's may be cut."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[WebSocketRoute, WebSocketRoute]] = {}
        self._cut: str = ""

    def carry(self, page: WebSocketRoute) -> None:
        broker = page.connect_to_server()

        def up(text: str | bytes) -> None:
            message = json.loads(text)
            if message["type"] == "connection.hello":
                self._lines[message["surface"]] = page, broker
                if message["surface"] == self._cut:
                    return
            broker.send(text)

        page.on_message(up)

    async def cut(self, surface: str) -> None:
        """Lose the connection; who comes back is not heard."""
        self._cut = surface
        for side in self._lines[surface]:
            await side.close(code=1012)

    async def mend(self, surface: str) -> None:
        """Let the next attempt through."""
        self._cut = ""
        for side in self._lines[surface]:
            await side.close(code=1012)


async def test_reloading_the_agents_frame_comes_back_into_the_same_session(
    people: People,
) -> None:
    signalling = Signalling()
    await people.context.route_web_socket("**/v1/connect", signalling.carry)
    await people.open()
    consumer = await people.talk()
    await until_counts(people.agent, frames=5)
    # While the broker is away sound and picture go on, and so does what needs nobody else.
    await signalling.cut("agent_frame")
    words = people.agent.get_by_text("Reconnecting… You still see and hear each other.")
    await expect(words).to_be_visible()
    for side in (people.agent, consumer):
        await until_counts(side, frames=10, energy=0.0001)
    await people.agent.get_by_role("button", name="Mute", exact=True).click()
    await until_silent(consumer)
    await people.agent.get_by_role("button", name="Unmute").click()
    await until_counts(consumer, energy=0.0001)
    await expect(words).to_be_visible()
    await signalling.mend("agent_frame")
    await expect(words).to_be_hidden()

    session = await session_of(people.agent)
    async with people.page.expect_event("framenavigated", lambda frame: frame == people.agent):
        await people.agent.evaluate("location.reload()")
    await people.agent.get_by_role("toolbar").wait_for()
    await until_counts(people.agent, frames=10, energy=0.0001)
    await until_counts(consumer, frames=10, energy=0.0001)
    assert await session_of(people.agent) == session


SILENT = """if (location.search.includes('silent')) {
  Object.defineProperty(window, 'lpTag', { get: () => ({ events: {} }), set() {} });
}"""
"""A page of the shop on which no LivePerson tag says what conversation there is."""


async def test_navigating_on_the_shop_comes_back_into_the_same_session(people: People) -> None:
    await people.open()
    consumer = await people.talk()
    await until_counts(people.agent, frames=5)
    session = await session_of(consumer)
    shop = next(frame for frame in people.page.frames if "/shop.html" in frame.url)
    await people.context.add_init_script(SILENT)
    here = shop.url
    away = f"location.assign({json.dumps(f'{here}&silent=1')})"
    for way in ("location.reload()", away):
        async with people.page.expect_event("framedetached", lambda frame: frame == consumer):  # noqa: B023
            await shop.evaluate(way)
        consumer = await people.frame("/engagement")
        await consumer.get_by_role("toolbar").wait_for()
        # What lies in a hidden frame counts as visible there.
        await expect(shop.get_by_role("region", name="Video").locator("iframe")).to_be_visible()
        for side in (consumer, people.agent):
            await until_counts(side, frames=10, energy=0.0001)
        assert await session_of(consumer) == session
    # Another tab of the shop leaves it where it is.
    tab = await people.new_page()
    await tab.goto(here)
    other = await people.frame("/engagement", tab)
    await expect(other.get_by_text("Open in another window")).to_be_attached()
    await expect(tab.get_by_role("region", name="Video")).to_be_hidden()
    for side in (consumer, people.agent):
        await until_counts(side, frames=10, energy=0.0001)


OPENING_MS = 4_000
CAMERAS_TAKE_TIME = """(() => {
  const { mediaDevices } = navigator;
  const ask = mediaDevices?.getUserMedia.bind(mediaDevices);
  if (!ask) return;
  const [{ type }] = performance.getEntriesByType('navigation');
  mediaDevices.getUserMedia = async (wish) => {
    const moves = location.search.includes('handOver') || type === 'reload';
    await new Promise((resolve) => setTimeout(resolve, moves ? OPENING_MS : 500));
    return ask(wish);
  };
})()""".replace("OPENING_MS", str(OPENING_MS))
"""Real ones do, and so do people whom the browser asks: where a call moves to, longer than a relay
waits for a picture."""
SEEN = """(value) => {
  Object.defineProperty(document, 'visibilityState', { value, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
LOOK_MS = 30
NOTE_ARRIVALS = """(() => {
  const arrivals = { pictures: [], sound: [] };
  window.arrivals = arrivals;
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...all) {
      super(...all);
      let before = { pictures: 0, sound: 0 };
      const timer = setInterval(async () => {
        if (this.connectionState === 'closed') clearInterval(timer);
        const now = { pictures: 0, sound: 0 };
        let at = 0;
        for (const one of (await this.getStats()).values()) {
          if (one.type !== 'inbound-rtp') continue;
          at = one.timestamp;
          if (one.kind === 'video') now.pictures += one.framesDecoded ?? 0;
          else now.sound += (one.totalSamplesReceived ?? 0) - (one.concealedSamples ?? 0);
        }
        for (const kind in now) arrivals[kind].push([at, now[kind] > before[kind]]);
        before = now;
      }, LOOK_MS);
    }
  };
})()""".replace("LOOK_MS", str(LOOK_MS))
"""Looks in each frame, again and again, whether pictures were decoded and sound came that was not
made up. Looks are late where a page is busy: what came meanwhile is noted with the next."""


async def pauses(begin: float, end: float, *places: Page | Frame) -> dict[str, list[float]]:
    """For how many milliseconds in a row nobody saw a new picture, and heard nothing, in one or
    another of these places. While a page is too busy to look it witnesses nothing."""
    noted = [await place.evaluate("window.arrivals") for place in places]
    found: dict[str, list[float]] = {}
    for kind in ("pictures", "sound"):
        looks = sorted((at, came) for each in noted for at, came in each[kind] if begin < at < end)
        assert looks, (kind, begin, end)
        runs = [0.0]
        for (before, _), (at, came) in pairwise(looks):
            if came:
                runs.append(0.0)
            else:
                runs[-1] += min(at - before, 3 * LOOK_MS)
        found[kind] = [run for run in runs if run]
    return found


async def in_a_call(people: People, mover: str) -> tuple[Frame, Frame]:
    """Let both talk; returns the frame of who will move, and the other's."""
    if mover == "agent":
        await people.open()
        consumer = await people.talk()
    else:
        # The window's frame stays in sight while its session is elsewhere, as the agent's does.
        await people.open("launcher=0&window=open")
        await expect(people.agent.get_by_text("Can be rung now")).to_be_visible()
        await people.agent.get_by_role("button", name="Start video").click()
        consumer = await people.frame("/window")
        await consumer.get_by_role("button", name="Accept with video").click()
    sides = people.agent, consumer
    for side in sides:
        await until_counts(side, frames=5)
    return sides if mover == "agent" else (consumer, people.agent)


@pytest.mark.parametrize("who", ["agent", pytest.param("consumer", marks=pytest.mark.soak)])
async def test_one_moves_to_an_own_window_and_back_without_a_gap(people: People, who: str) -> None:
    for script in (CAMERAS_TAKE_TIME, NOTE_ARRIVALS):
        await people.context.add_init_script(script)
    mover, other = await in_a_call(people, who)
    now = "performance.timeOrigin + performance.now()"
    begun = await other.evaluate(now)
    await until_counts(other, frames=40)
    moved = await other.evaluate(now)
    await mover.get_by_role("button", name="More").click()
    async with people.context.expect_page() as opening:
        await mover.get_by_role("button", name="Open in own window").click()
    own = await opening.value
    await until_counts(own, frames=10, energy=0.0001)
    # It lies over the frame, which says that nobody sees it, as long as that sends.
    await mover.evaluate(SEEN, "hidden")
    await until_counts(own, frames=15, energy=0.0001)
    await expect(mover.get_by_text("Open in another window")).to_be_visible()
    await expect(other.locator(".tile.seat:visible")).to_have_count(1)
    await until_counts(other, frames=10, energy=0.0001)

    # A frame may be loaded anew at any time: the session stays where its person has taken it.
    async with people.page.expect_event("framenavigated", lambda frame: frame == mover):
        await mover.evaluate("location.reload()")
    await expect(mover.get_by_text("Open in another window")).to_be_visible()
    await until_counts(own, frames=15, energy=0.0001)
    await until_counts(other, frames=10, energy=0.0001)
    await mover.get_by_role("button", name="Bring it here").click()
    await until_counts(mover, frames=10, energy=0.0001)
    await expect(own.get_by_text("Open in another window")).to_be_visible()
    await until_counts(other, frames=10, energy=0.0001)
    ended = await other.evaluate(now)
    # By this measure a browser calls a picture frozen (webrtc-stats, `freezeCount`): thrice what is
    # missed while nothing moves. Each of two moves may freeze it once, as a seat's switch may, for
    # a small part of the camera's opening; nothing freezes sound.
    quiet = await pauses(begun, moved, other)
    limit = 3 * max(pause for each in quiet.values() for pause in each)
    for side, places in {"who stays": (other,), "who moves": (mover, own)}.items():
        moving = await pauses(moved, ended, *places)
        frozen = {kind: [pause for pause in moving[kind] if pause > limit] for kind in moving}
        told = f"{side}: longer than {limit:.0f} ms in a row without {frozen}"
        assert not frozen["sound"], told
        assert len(frozen["pictures"]) <= 2, told
        assert all(pause < OPENING_MS / 4 for pause in frozen["pictures"]), told
