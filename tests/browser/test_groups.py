"""More than agent and consumer, in real pages: colleagues, a supervisor, a second consumer."""

from __future__ import annotations

import re

from playwright.async_api import Browser, Frame, expect

from tests.browser.demo import People, counts, shoot, sooner, until_counts

SEES = """async (people) => {
  const { client } = document.querySelector('switchboard-engagement');
  const stats = [...(await client.peer.connection.getStats()).values()];
  const seen = stats.filter((one) => one.type === 'inbound-rtp' && one.framesDecoded > 5);
  return seen.length >= people;
}"""
"""Whether the consumer has decoded pictures of so many people."""
HEARS = """async (people) => {
  const { client } = document.querySelector('switchboard-agent, switchboard-engagement');
  const stats = [...(await client.peer.connection.getStats()).values()];
  const heard = stats.filter((one) => one.kind === 'audio' && one.totalAudioEnergy > 0.001);
  return heard.filter((one) => one.type === 'inbound-rtp').length >= people;
}"""
"""Whether this page has heard a sound of so many people."""
COUNT_LOST = """(() => {
  window.lost = 0;
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...all) {
      super(...all);
      this.addEventListener('iceconnectionstatechange', () => {
        if (['disconnected', 'failed'].includes(this.iceConnectionState)) window.lost += 1;
      });
    }
  };
})()"""
"""Counts in each frame how often ICE lost a connection or gave it up."""
DEVICES = """() => {
  const { opening, tracks } = document.querySelector('switchboard-agent').client.media;
  return [opening, tracks.microphone, tracks.camera].map(Boolean);
}"""
CONNECTED = """() => document.querySelector('switchboard-engagement').client
  .peer?.connection.iceConnectionState === 'connected'"""


async def test_a_colleague_is_let_in_put_in_charge_and_the_first_agent_leaves(
    people: People,
) -> None:
    await people.open()
    consumer = await people.talk()
    page, colleague = await people.staff("colleague")
    await expect(
        colleague.get_by_role("heading", name="Maya Cohen is talking with Alex")
    ).to_be_visible()
    await expect(colleague.get_by_role("button", name="Start video")).to_be_hidden()
    await shoot(page, "consult-1-ways")
    await colleague.get_by_role("button", name="Ask to join").click()
    await expect(colleague.get_by_text("Almost there")).to_be_visible()

    await people.agent.get_by_role("button", name=re.compile("1 waiting")).click()
    await people.agent.get_by_role("button", name="Let in", exact=True).click()
    await until_counts(colleague, frames=10, energy=0.0001)
    await shoot(people.page, "consult-2-three")
    await people.agent.get_by_role("button", name="Put in charge: Dana").click()
    await expect(
        colleague.locator(".person").filter(has_text="Dana").filter(has_text="In charge")
    ).not_to_have_count(0)
    panel = people.agent.get_by_role("dialog", name="People")
    await panel.get_by_role("button", name="Close").click()
    await people.agent.get_by_role("button", name="More").click()
    await people.agent.get_by_role("button", name="Leave; the others stay").click()
    await expect(people.agent.get_by_text("You have left")).to_be_visible()
    await expect(people.agent.get_by_role("button", name="Come back in")).to_be_visible()
    # The conversation stays the first agent's; who was put in charge is told no more than that.
    stands = "You are in charge of the session until they take over."
    strip = colleague.locator(".notice").filter(has_text=stands)
    await expect(strip).to_be_visible()
    await strip.get_by_role("button", name="Dismiss").click()
    await expect(strip).to_have_count(0)
    await until_counts(consumer, frames=10, energy=0.0001)

    await consumer.get_by_role("button", name="More").click()
    await consumer.get_by_role("button", name="Text", exact=True).click()
    await consumer.get_by_label("Message").fill("Thank you, both of you")
    await consumer.get_by_role("button", name="Send").click()
    # A toast passes; what was not read is counted until it is.
    await colleague.get_by_role("button", name="More: 1 unread").click()
    await colleague.get_by_role("button", name="Text: 1 unread").click()
    lines = colleague.get_by_role("dialog", name="Text").get_by_role("listitem")
    await expect(lines).to_have_text(["Maya CohenThank you, both of you"])
    await colleague.get_by_role("button", name="More", exact=True).wait_for()
    await colleague.get_by_role("button", name="Close").click()

    await colleague.get_by_role("button", name="End", exact=True).click()
    await consumer.get_by_role("radio", name="4 of 5").check(force=True)
    await shoot(people.page, "consult-3-rating")
    await consumer.get_by_role("button", name="Send").click()
    await expect(consumer.get_by_text("Thank you!")).to_be_visible()


async def test_a_colleague_at_another_conversation_is_asked_by_name(people: People) -> None:
    # How often an open panel looks who is there.
    await people.context.add_init_script(sooner(4_000, 400))
    await people.open()
    await people.talk()
    page, colleague = await people.staff("colleague", "a conversation of their own")
    idle = colleague.get_by_text("Not on the page at the moment")
    await idle.wait_for()
    await people.agent.get_by_role("button", name="People").click()
    panel = people.agent.get_by_role("dialog", name="People")
    row = panel.get_by_role("listitem").filter(has_text="Dana")
    await row.get_by_role("button", name="Ask to help").click()
    await expect(row.get_by_role("button", name="Asked")).to_be_disabled()
    call = "Alex asks you to help with Maya Cohen"
    heading = colleague.get_by_role("heading", name=call)
    # It is heard, and seen on a tab behind another.
    await expect(colleague.get_by_role("status").filter(has=heading)).to_be_visible()
    assert await colleague.title() == call
    await shoot(page, "asked-by-name")
    await colleague.get_by_role("button", name="Decline").click()
    await expect(idle).to_be_visible()
    assert await colleague.title() == "Video"
    await expect(panel.get_by_role("status").filter(has_text="Dana declined")).to_be_visible()

    await row.get_by_role("button", name="Declined: ask again").click()
    await shoot(people.page, "asking-by-name")
    await colleague.get_by_role("button", name="Join").click()
    await panel.get_by_role("button", name="Let in", exact=True).click()
    await until_counts(colleague, frames=10, energy=0.0001)
    # Who is in the session is asked no more.
    await expect(panel.get_by_role("button", name="Ask to help")).to_have_count(0)


async def test_the_agent_of_a_transferred_conversation_takes_over(people: People) -> None:
    # Chat, where both sides have one session id, which comes as a number.
    await people.open("channel=chat&numeric=1")
    consumer = await people.talk()
    page, colleague = await people.staff("colleague")
    await colleague.get_by_role("button", name="Ask to join").wait_for()
    await page.get_by_role("button", name="Take the conversation").click()
    await expect(people.agent.get_by_text("until they take over")).to_be_visible()
    # First what changes nothing for those who talk.
    await expect(colleague.locator(".primary:visible")).to_have_text("Ask to join")
    await shoot(people.page, "transfer-1-before")
    await until_counts(people.agent, frames=5)
    await colleague.get_by_role("button", name="Take over").click()
    await expect(people.agent.get_by_text("A colleague has taken over")).to_be_visible()
    await until_counts(colleague, frames=10, energy=0.0001)
    await until_counts(consumer, frames=10, energy=0.0001)
    await shoot(page, "transfer-2-after")


async def devices_in_check(frame: Frame) -> list[bool]:
    """While the check of the devices is open: is one being opened, the microphone, the camera."""
    await frame.get_by_role("button", name="More", exact=True).click()
    await frame.get_by_role("button", name="Camera and microphone").click()
    check = frame.get_by_role("dialog", name="Camera and microphone")
    await expect(check.get_by_role("button", name="Play a sound")).to_be_visible()
    await expect(check.locator(".mirror")).to_be_hidden()
    found: list[bool] = await frame.evaluate(DEVICES)
    await check.get_by_role("button", name="Done").click()
    return found


async def test_a_supervisor_listens_unseen_whispers_and_joins(people: People) -> None:
    await people.open()
    consumer = await people.ring()
    await expect(consumer.get_by_text("A supervisor may listen in.")).to_be_visible()
    await consumer.get_by_role("button", name="Accept with video").click()
    await until_counts(people.agent, frames=5)
    page, boss = await people.staff("supervisor")
    await boss.get_by_role("button", name="Only listen").click()
    await expect(boss.get_by_text("You are listening")).to_be_visible()
    await until_counts(boss, energy=0.001)
    assert (await counts(boss))["frames"] == 0
    assert (await counts(boss))["sent"] == 0
    await expect(consumer.locator(".tile.seat:visible")).to_have_count(1)
    await shoot(page, "supervisor-1-listens")
    # There is nothing of theirs to check but what they hear by.
    assert await devices_in_check(boss) == [False, False, False]

    await boss.get_by_role("button", name="Whisper to the agent").click()
    await expect(boss.get_by_text("Only the agents hear you.")).to_be_visible()
    await people.agent.wait_for_function(HEARS, arg=2)
    await consumer.wait_for_function(HEARS, arg=1)
    assert not await consumer.evaluate(HEARS, 2)
    assert await devices_in_check(boss) == [False, True, False]
    await expect(consumer.locator(".tile.seat:visible")).to_have_count(1)

    await boss.get_by_role("button", name="Join, seen by everybody").click()
    await expect(consumer.locator(".tile.seat:visible")).to_have_count(2)
    await until_counts(boss, frames=10)
    await consumer.wait_for_function(SEES, arg=2)
    await consumer.wait_for_function(HEARS, arg=2)
    await shoot(people.page, "supervisor-2-joined")


async def test_a_second_consumer_is_asked_about_and_the_first_stays(
    people: People, browser: Browser
) -> None:
    await people.open()
    consumer = await people.talk()
    conversation = await people.page.evaluate(
        "new URLSearchParams(location.search).get('conversation')"
    )
    # Another browser: storage of its own, hence another secret.
    elsewhere = await browser.new_context()
    try:
        page = await elsewhere.new_page()
        await page.goto(f"{people.demo.host}/shop.html?conversation={conversation}&visitor=v-2")
        await expect(
            people.agent.get_by_text("Somebody else says they are Maya Cohen")
        ).to_be_visible()
        await shoot(people.page, "conflict-1-asked")
        await people.agent.get_by_role("button", name="Let in", exact=True).click()
        other = await people.frame("/engagement", page)
        await other.get_by_role("button", name="Accept with voice only").click()
        await until_counts(other, energy=0.001)
        await expect(people.agent.locator(".tile.seat:visible")).to_have_count(2)
        await until_counts(consumer, frames=5, energy=0.0001)
        await shoot(people.page, "conflict-2-beside")
    finally:
        await elsewhere.close()


async def test_what_one_surface_answers_the_other_does_not(people: People) -> None:
    await people.context.add_init_script(COUNT_LOST)
    await people.open()
    launcher = await people.ring()
    await launcher.wait_for_function(CONNECTED)
    shop = next(frame for frame in people.page.frames if "/shop.html" in frame.url)
    # By the keyboard: the launcher lies over the button.
    await shop.locator("#opener").press("Enter")
    window = await people.frame("/window")
    await window.get_by_role("button", name="Accept with video").wait_for()
    await window.wait_for_function(CONNECTED)
    await launcher.get_by_role("button", name="Accept with video").click()
    await expect(window.get_by_text("Open in another window")).to_be_visible()
    # Only one surface is connected while both ring, the newer. The other connects anew when it is
    # needed, and does not wait until ICE has lost what the relay closed.
    await until_counts(launcher, frames=5)
    assert await launcher.evaluate("lost") == 0
    await expect(people.agent.locator(".tile.seat:visible")).to_have_count(1)


async def test_another_conversation_in_the_same_frame_waits_until_the_call_is_over(
    people: People,
) -> None:
    await people.open()
    consumer = await people.talk()
    await until_counts(people.agent, frames=5)
    workspace = next(frame for frame in people.page.frames if "/workspace.html" in frame.url)
    # The agent turns to another conversation: this one's frame is blurred, and may be covered or
    # taken out of the layout. What nobody can see then is not sent; all else goes on.
    transport = "document.querySelector('switchboard-agent').client.peer.id"
    before = await people.agent.evaluate(transport)
    frame = await people.agent.frame_element()
    for hidden, frames in (("visibility: hidden", 10), ("display: none", 0), ("", 10)):
        await workspace.evaluate(f"simulator.focus({str(not hidden).lower()})")
        await frame.evaluate("(node, style) => { node.style = style; }", hidden)
        await until_counts(people.agent, frames=frames, energy=0.0001)
        await until_counts(consumer, frames=5, energy=0.0001)
        assert await people.agent.title() == "● Video"
    # Told once, when the agent turned away: what a workspace shows then is its own affair.
    commands = await workspace.evaluate("simulator.commands.map(({ name }) => name)")
    assert commands == ["Send Notification"]
    await expect(people.agent.get_by_role("toolbar")).to_be_visible()
    await expect(people.agent.locator(".tile.seat[data-picture=yes]")).to_have_count(1)
    assert await people.agent.evaluate(transport) == before
    await workspace.evaluate("simulator.set({ 'chatInfo.rtSessionId': 'another one' })")
    await until_counts(people.agent, frames=10)
    await people.agent.get_by_role("button", name="End", exact=True).click()
    # The other conversation's consumer is nowhere: the frame stands at that engagement now.
    await expect(people.agent.get_by_text("Not on the page at the moment")).to_be_visible()
