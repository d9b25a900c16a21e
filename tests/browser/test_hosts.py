"""The situations that hosts may bring about, each named by the demo's address."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Frame, expect

from tests.browser.demo import People, session_of, shoot, until_counts
from tests.browser.gallery import PATIENCE_ENDS

SITUATIONS = [
    "channel=chat&ids=different",
    "channel=messaging&ids=equal&missing=null",
    "numeric=1&late=987654&missing=error&sdk=late:987654&storage=blocked&net=slow:60",
]
WATCH = """(() => {
  const { setTimeout: real } = window;
  let held = null;
  window.setTimeout = (call, ms, ...more) => {
    if (ms !== 987_654) return real(call, ms, ...more);
    held = call;
    return 0;
  };
  window.pass = () => {
    const call = held;
    held = null;
    call?.();
    return call !== null;
  };
  window.told = [];
  addEventListener('message', ({ data }) => {
    if (data?.envelope?.type === 'conversationInfo') window.told.push(data.envelope.data);
  });
})()"""
"""What is late in a frame comes when `pass()` is called; `told`: the conversation, as a window's
host tells of it."""
PUBLISHED = """lpTag.events.hasFired('lpUnifiedWindow', 'conversationInfo')
  .map(({ data }) => data.conversationId)"""
COUNT_LOOKS = """() => {
  window.looks = 0;
  Object.defineProperty(window, 'lpTag', { get() { window.looks += 1; } });
  const { setTimeout: real } = window;
  window.setTimeout = (call, ms, ...more) => real(call, ms === 1_000 ? 10 : ms, ...more);
}"""
"""Counts how often a host's script is looked for, a hundred times as often as it would be."""
ROUND_TRIPS = """async () => {
  const { client } = document.querySelector('switchboard-agent');
  const began = performance.now();
  await fetch('/v1/widget-config?account_id=demo');
  const asked = performance.now();
  await client.ask({ type: 'colleague.list' });
  return [asked - began, performance.now() - asked];
}"""
LOOKS_WITHOUT_WIDGET = """async () => {
  document.querySelector('switchboard-agent').remove();
  const before = window.looks;
  await new Promise((resolve) => setTimeout(resolve, 200));
  return window.looks - before;
}"""

BEYOND_CARD = """() => {
  const card = document.querySelector('.outgoing');
  const { left, right } = card.getBoundingClientRect();
  return [...card.querySelectorAll('button')].filter((node) => node.checkVisibility())
    .filter((node) => node.getBoundingClientRect().left < left + 12 ||
      node.getBoundingClientRect().right > right - 12 || node.clientHeight > 60)
    .map((node) => node.textContent);
}"""
"""What of the invitation's buttons leaves its card, or breaks into more than two lines."""


async def offer_link(people: People, channel: str) -> None:
    """Press the button that puts a join link into the conversation, and see it there."""
    workspace = next(frame for frame in people.page.frames if "/workspace.html" in frame.url)
    await people.agent.get_by_role("button", name="Offer a join link").click()
    await expect(people.agent.get_by_role("button", name="The link is in the")).to_be_visible()
    link = re.compile(r"^Join our video session:? http\S+/join#\S+$")
    if channel == "chat":
        # Chat has no cards: the line stands in the input box, and the agent sends it.
        await expect(workspace.locator("#input")).to_have_value(link)
        await workspace.locator("#send").click()
    await expect(workspace.locator("#lines .agent").last).to_have_text(link)
    inside = await people.agent.frame_element()
    for width in ("280px", "320px", ""):
        await inside.evaluate("(node, width) => { node.style.width = width; }", width)
        assert await people.agent.evaluate(BEYOND_CARD) == []
    await shoot(people.page, f"join-link-{channel}")


def shop_of(people: People) -> Frame:
    return next(frame for frame in people.page.frames if "/shop.html" in frame.url)


async def pass_time(*frames: Frame) -> None:
    """Bring what is late in each of these, once it is awaited there."""
    for frame in frames:
        await frame.wait_for_function("() => window.pass?.()")


@pytest.mark.parametrize("choices", SITUATIONS)
async def test_the_engagement_window_and_the_agent_meet(people: People, choices: str) -> None:
    opened = "late=" in choices
    await people.context.add_init_script(WATCH)
    await people.open(f"launcher=0&window={'open' if opened else ''}&{choices}")
    if opened:
        window = await people.frame("/window")
        await pass_time(people.agent, window)
        await window.wait_for_function("() => told.length")
        # In the queue, and then with an agent.
        await pass_time(shop_of(people), shop_of(people))
        await expect(people.agent.get_by_text("Can be rung now")).to_be_visible()
    # Without the consumer's name in the workspace's model they are called what they are.
    consumer = "the consumer" if "missing=" in choices else "Maya Cohen"
    heading = people.agent.get_by_role("heading", name=f"Talk face to face with {consumer}")
    await expect(heading).to_be_visible()
    await people.agent.get_by_role("button", name="Start video").click()
    shop = shop_of(people)
    if not opened:
        await offer_link(people, "chat" if "=chat" in choices else "messaging")
        await shop.evaluate("simulator.setWindow(true)")
    window = await people.frame("/window")
    await window.get_by_role("button", name="Accept with video").click()
    await window.get_by_role("toolbar").wait_for()
    await until_counts(window, frames=5)
    await until_counts(people.agent, frames=5)
    told = await window.evaluate("told")
    # Before the ids come, a window knows of a conversation that has none.
    assert ["conversationId" in each for each in told] == (
        [False, True, True] if opened else [True]
    )
    session, conversation = told[-1]["sessionId"], told[-1]["conversationId"]
    assert (session == str(conversation)) == ("ids=equal" in choices)
    assert isinstance(conversation, int) == ("numeric=1" in choices)
    assert set(await shop.evaluate(PUBLISHED)) == {conversation}
    if "storage=blocked" in choices:
        blocked = "() => { try { return !localStorage; } catch (error) { return error.name; } }"
        assert await window.evaluate(blocked) == "SecurityError"
        # Nothing was kept: the agent's token says who comes back to this conversation.
        before = await session_of(people.agent)
        async with people.page.expect_event("framenavigated", lambda frame: frame == people.agent):
            await people.agent.evaluate("location.reload()")
        await pass_time(people.agent)
        await people.agent.get_by_role("toolbar").wait_for()
        for side in (people.agent, window):
            await until_counts(side, frames=5, energy=0.0001)
        assert await session_of(people.agent) == before
    if "net=slow:60" in choices:
        asked, answered = await people.agent.evaluate(ROUND_TRIPS)
        # A request waits once, what the broker is asked waits there and back.
        assert asked >= 60
        assert answered >= 120


async def test_a_voice_call_rings_behind_a_closed_window_and_opens_nothing(
    people: People,
) -> None:
    await people.open("launcher=0&window=open")
    window = await people.frame("/window")
    shop = shop_of(people)
    await expect(people.agent.get_by_text("Can be rung now")).to_be_visible()
    await shop.evaluate("simulator.setWindow(false)")
    await expect(people.agent.get_by_text("the page is in the background")).to_be_visible()
    await people.agent.get_by_role("button", name="Start voice").click()
    await expect(people.agent.get_by_text("Ringing, but not seen yet")).to_be_visible()
    # The window's counter is all that its SDK can raise.
    await expect(shop.locator("#counter")).to_have_text("1")
    await expect(shop.locator("#window")).to_be_hidden()
    await shop.evaluate("simulator.setWindow(true)")
    await expect(shop.locator("#counter")).to_be_hidden()
    await expect(people.agent.get_by_text("Maya Cohen sees the invitation")).to_be_visible()
    await expect(window.get_by_role("button", name="Accept with video")).to_be_hidden()
    await window.get_by_role("button", name="Accept", exact=True).click()
    for side in (window, people.agent):
        heard = await until_counts(side, energy=0.001)
        assert (heard["frames"], heard["sent"]) == (0, 0)


async def test_a_hosts_script_that_is_blocked_is_said(people: People) -> None:
    await people.open("sdk=blocked&launcher=0&window=open")
    window = await people.frame("/window")
    await window.get_by_text("When an agent invites you, it rings here.").wait_for()
    await window.evaluate(PATIENCE_ENDS)
    # Nobody knows of a conversation there, so nothing would ring.
    await window.get_by_text("Video is not available here just now.").wait_for()
    await people.agent.get_by_text("Connecting…").wait_for()
    await people.agent.evaluate(PATIENCE_ENDS)
    said = people.agent.get_by_text("This page belongs in the Agent Workspace")
    await said.wait_for()
    await expect(people.agent.get_by_text("the widget goes on looking")).to_be_visible()
    await expect(people.agent.get_by_role("button", name="Try again")).to_be_visible()
    # So it does, until it leaves the page.
    await people.agent.evaluate(COUNT_LOOKS)
    await people.agent.wait_for_function("() => looks > 3")
    assert await people.agent.evaluate(LOOKS_WITHOUT_WIDGET) <= 1
