"""An agent with several conversations at once: each frame is a call of its own. With real parts."""

from __future__ import annotations

import pytest
from playwright.async_api import Frame, expect

from tests.browser.demo import SMALL_CAMERA, People, recorded, session_of, shoot, until_counts

VISITORS = {"M1": "Maya Cohen", "M2": "Visitor M2"}


async def call(people: People, agent: Frame, key: str) -> Frame:
    """Ring the consumer of this conversation, on a page of their own, who accepts."""
    shop = await people.new_page()
    await shop.goto(f"{people.host}/shop.html?conversation={key}&visitorName={VISITORS[key]}")
    consumer = await people.frame("/engagement", shop)
    await expect(agent.get_by_text("Can be rung now")).to_be_visible()
    await agent.get_by_role("button", name="Start video").click()
    await consumer.get_by_role("button", name="Accept with video").click()
    await until_counts(consumer, frames=5, energy=0.0001)
    await until_counts(agent, frames=5, energy=0.0001)
    return consumer


@pytest.mark.soak
async def test_each_conversation_is_a_call_of_its_own_and_those_behind_go_on(
    people: People,
) -> None:
    await people.context.add_init_script(SMALL_CAMERA)
    page = people.page = await people.new_page()
    await page.goto(f"{people.host}/workspace.html?conversation=M1&also=M2")
    await page.get_by_role("button", name="Visitor M2").wait_for()
    agents: dict[str, Frame] = {}
    for key, title in (("M1", "Video widget"), ("M2", "Video widget: Visitor M2")):
        inside = await (await page.query_selector(f"iframe[title='{title}']")).content_frame()  # type: ignore[union-attr]
        assert inside is not None
        agents[key] = inside
    consumers: dict[str, Frame] = {}
    for key, visitor in VISITORS.items():
        await page.get_by_role("button", name=visitor).click()
        consumers[key] = await call(people, agents[key], key)
        await shoot(page, f"conversations-{key}")
    # Whoever is behind is heard, sees the agent, and is pointed at once.
    for front, behind in (("M2", "M1"), ("M1", "M2")):
        await page.get_by_role("button", name=VISITORS[front]).click()
        await until_counts(agents[front], frames=10, energy=0.0001)
        await until_counts(agents[behind], energy=0.0001)
        for consumer in consumers.values():
            await until_counts(consumer, frames=10, energy=0.0001)
        assert await agents[behind].title() == "● Video"
        commands = await page.evaluate(
            "(front) => simulator.of(front).commands.map(({ name }) => name)", behind
        )
        assert commands == ["Send Notification"]
    sessions = {key: await session_of(agent) for key, agent in agents.items()}
    assert sessions == {key: await session_of(each) for key, each in consumers.items()}
    assert len(set(sessions.values())) == 2

    # The end of one is none of the other's.
    await agents["M1"].get_by_role("button", name="End", exact=True).click()
    await expect(consumers["M1"].get_by_text("The agent ended it.")).to_be_visible()
    await until_counts(consumers["M2"], frames=10, energy=0.0001)
    await page.get_by_role("button", name=VISITORS["M2"]).click()
    await until_counts(agents["M2"], frames=10, energy=0.0001)
    live = [recorded(people.demo, key)["ended_ms"] is None for key in VISITORS]
    assert live == [False, True]
