"""Who meets in one engagement, at two gateways in this process."""

from __future__ import annotations

from typing import Any

from tests.widget import Message, Widget, accept, agent_widget, consumer_widget, ring

CHAT = {"channel": "chat", "visitor_id": "v-1"}


class Scene:
    """Agent and consumer in one engagement, at one gateway; everybody else at the other."""

    def __init__(self, here: str, there: str) -> None:
        self.here = here
        self.there = there
        self.widgets: list[Widget] = []

    def keep(self, widget: Widget) -> Widget:
        self.widgets.append(widget)
        return widget

    async def staff(self, agent_id: str, **options: Any) -> Widget:
        return self.keep(await agent_widget(self.there, "eng", agent_id=agent_id, **options))

    async def stranger(self, secret: str, **engagement: Any) -> Widget:
        return self.keep(
            await consumer_widget(
                self.there, "eng", surface="window", claim_secret=secret, engagement=engagement
            )
        )

    async def ringing(self, **engagement: Any) -> tuple[Widget, Widget]:
        consumer = self.keep(
            await consumer_widget(self.here, "eng", engagement={**CHAT, **engagement})
        )
        agent = self.keep(await agent_widget(self.here, "eng", engagement=CHAT))
        await ring(agent, consumer)
        return agent, consumer

    async def talking(self, **engagement: Any) -> tuple[Widget, Widget]:
        agent, consumer = await self.ringing(**engagement)
        await accept(consumer)
        await until_roster(agent, 2)
        return agent, consumer


async def until_roster(widget: Widget, count: int) -> list[Message]:
    """Wait for a roster of so many people."""
    mark = 0
    while True:
        message = await widget.expect("roster.changed", after=mark)
        if len(message["roster"]) == count:
            roster: list[Message] = message["roster"]
            return roster
        mark = widget.heard.index(message) + 1
