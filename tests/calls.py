"""An engagement on a deployment, and the widgets opened for it."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from tests.deployment import Deployment
from tests.patience import PATIENCE
from tests.widget import Widget, accept, agent_widget, consumer_widget, ring


class Call:
    """Opens widgets for one engagement; `close` hangs all of them up."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.key = f"engagement-{uuid.uuid4()}"
        self.widgets: list[Widget] = []
        self.session_id = ""

    @property
    def origin(self) -> str:
        return self.deployment.gateway

    def keep(self, widget: Widget) -> Widget:
        self.widgets.append(widget)
        return widget

    async def close(self) -> None:
        for widget in self.widgets:
            await widget.close()

    async def agent(self, **options: Any) -> Widget:
        return self.keep(await agent_widget(self.origin, self.key, **options))

    async def consumer(self, **options: Any) -> Widget:
        return self.keep(await consumer_widget(self.origin, self.key, **options))

    async def ringing(self) -> tuple[Widget, Widget]:
        """Agent and consumer, the invitation ringing."""
        consumer = await self.consumer()
        agent = await self.agent()
        # To make up for what used the standbys up just before may take longer than a start waits.
        self.session_id = (await ring(agent, consumer, Widget.insist))["session_id"]
        return agent, consumer

    async def talking(self) -> tuple[Widget, Widget]:
        """Agent and consumer in the session."""
        agent, consumer = await self.ringing()
        await accept(consumer)
        await agent.expect("roster.changed")
        return agent, consumer

    async def record(self) -> dict[str, Any]:
        """What the server API says of the session."""
        return await record_of(self.deployment, self.session_id)


async def record_of(deployment: Deployment, session_id: str) -> dict[str, Any]:
    """Read one record with the demo's API key."""
    async with httpx.AsyncClient(base_url=deployment.gateway, timeout=20 * PATIENCE) as http:
        answer = await http.get(
            f"/v1/sessions/{session_id}",
            headers={"Authorization": f"Bearer {deployment.api_key}"},
        )
    record: dict[str, Any] = answer.raise_for_status().json()
    return record
