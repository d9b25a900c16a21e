"""The relay sends a widget what it shows, as large as it shows it, and nothing that nobody sees;
and the call goes on by another network: with real parts, by decoded frames."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from playwright.async_api import Browser, Page

from tests.browser.demo import counts, negotiated, until_counts
from tests.deployment import Deployment
from tests.patience import PATIENCE

WIDGET = "document.querySelector('switchboard-agent, switchboard-engagement')"
RECEIVED = f"""async () => {{
  const received = {{ height: 0, pictures: 0, sound: 0 }};
  for (const entry of (await {WIDGET}.client.peer.connection.getStats()).values()) {{
    if (entry.type !== 'inbound-rtp') continue;
    received[entry.kind === 'video' ? 'pictures' : 'sound'] += entry.packetsReceived;
    received.height = Math.max(received.height, entry.frameHeight ?? 0);
  }}
  return received;
}}"""
STATE = f"() => {WIDGET}.client.mediaLink.state"


async def received(page: Page) -> dict[str, int]:
    """How many packets have come of pictures and of sound, and how high the pictures are."""
    found: dict[str, int] = await page.evaluate(RECEIVED)
    return found


async def until_height(page: Page, fits: Callable[[int], bool]) -> None:
    """Wait until the pictures that come are as high as they should be.

    A browser whose encoder has no processor lowers them itself, and raises them step by step again.
    """
    end = time.monotonic() + 90 * PATIENCE
    while not fits((await received(page))["height"]):
        assert time.monotonic() < end, await received(page)
        await asyncio.sleep(0.1)


async def pictures_within(page: Page, *, sounds: int) -> int:
    """How many packets of pictures come while so many of sound do."""
    before = now = await received(page)
    end = time.monotonic() + 20 * PATIENCE
    while now["sound"] - before["sound"] < sounds:
        assert time.monotonic() < end, (before, now)
        await asyncio.sleep(0.1)
        now = await received(page)
    return now["pictures"] - before["pictures"]


BECOME = """(state) => {
  Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
"""Without a screen Chromium counts every window as in front, one that is put away, too: so it is
told the page in its words."""


async def until_renegotiated(page: Page, before: list[str]) -> list[str]:
    """Wait until offer and answer are others than before."""
    for _ in range(int(200 * PATIENCE)):
        after = await negotiated(page)
        if all(one != other for one, other in zip(before[1:], after[1:], strict=True)):
            return after
        await asyncio.sleep(0.05)
    raise AssertionError("Nothing was negotiated.")


async def test_what_is_displayed_is_what_is_sent_also_by_another_network(
    browser: Browser, demo: Deployment
) -> None:
    contexts = [await browser.new_context() for _ in range(2)]
    try:
        agent, consumer = [await context.new_page() for context in contexts]
        await agent.set_viewport_size({"width": 300, "height": 280})
        await consumer.set_viewport_size({"width": 480, "height": 400})
        await agent.goto(f"{demo.gateway}/agent?accountId=demo&rtSessionId=size-1&agentId=7")
        await consumer.goto(f"{demo.gateway}/engagement?accountId=demo&conversationId=size-1")
        await agent.get_by_role("button", name="Start video").click()
        await consumer.get_by_role("button", name="Accept with video").click()
        await until_counts(agent, frames=10, energy=0.0001)

        before = await negotiated(agent)
        # The camera's layers are 180, 360 and 720 high; the agent has a stage of about 200.
        await until_height(agent, lambda height: 0 < height <= 180)
        await agent.set_viewport_size({"width": 1280, "height": 760})
        await until_height(agent, lambda height: height > 360)
        await agent.set_viewport_size({"width": 300, "height": 280})
        await until_height(agent, lambda height: height <= 180)

        await agent.evaluate(BECOME, "hidden")
        async with asyncio.timeout(20 * PATIENCE):
            while await pictures_within(agent, sounds=75):
                pass
        await until_counts(consumer, frames=5)
        await agent.evaluate(BECOME, "visible")
        await until_counts(agent, frames=10)

        # Layers and pauses cost no negotiation, and by another path it is not for them.
        assert await negotiated(agent) == before
        sound = (await counts(agent))["energy"]
        await contexts[0].set_offline(True)
        await contexts[0].set_offline(False)
        after = await until_renegotiated(agent, before)
        # Another path, by the same connection: its keys are what they were.
        assert after[0] == before[0]
        for one, other in zip(before[1:], after[1:], strict=True):
            assert attribute(one, "ice-ufrag") != attribute(other, "ice-ufrag")
            assert attribute(one, "fingerprint") == attribute(other, "fingerprint")
        await until_counts(agent, frames=20, energy=0.0001)
        assert (await counts(agent))["energy"] > sound
        assert await agent.evaluate(STATE) == "connected"
    finally:
        for context in contexts:
            await context.close()


def attribute(sdp: str, name: str) -> set[str]:
    """The values of an attribute, over all sections."""
    return {line.partition(":")[2] for line in sdp.splitlines() if line.startswith(f"a={name}:")}
