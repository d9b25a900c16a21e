"""One deployment for all integration tests: starting Ray costs seconds."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.deployment import Deployment
from tests.integration.widget import Widget, agent_widget, consumer_widget


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("demo"), standbys=2) as running:
        yield running


class Call:
    """An engagement on the deployment, and the widgets opened for it."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.key = f"engagement-{uuid.uuid4()}"
        self.widgets: list[Widget] = []

    @property
    def origin(self) -> str:
        return self.deployment.gateway

    def keep(self, widget: Widget) -> Widget:
        self.widgets.append(widget)
        return widget

    async def agent(self, **options: str) -> Widget:
        return self.keep(await agent_widget(self.origin, self.key, **options))

    async def consumer(self, **options: object) -> Widget:
        return self.keep(await consumer_widget(self.origin, self.key, **options))  # type: ignore[arg-type]

    async def ringing(self) -> tuple[Widget, Widget]:
        consumer = await self.consumer()
        agent = await self.agent()
        await agent.request("session.start", mode="video")
        await consumer.expect("session.snapshot")
        return agent, consumer

    async def talking(self) -> tuple[Widget, Widget]:
        agent, consumer = await self.ringing()
        snapshot = await consumer.expect("session.snapshot")
        invitation_id = snapshot["invitation"]["invitation_id"]
        await consumer.request("invitation.accept", invitation_id=invitation_id, mode="video")
        await agent.expect("roster.changed")
        return agent, consumer


@pytest.fixture
async def call(deployment: Deployment) -> AsyncIterator[Call]:
    made = Call(deployment)
    yield made
    for widget in made.widgets:
        await widget.close()
