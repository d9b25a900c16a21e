"""What the two host SDKs say of an engagement stands on the wire and in the record, field by field.

Paths of the agent side: `lpTag.agentSDK`'s public model; of the window side: the events of
`lpTag.LPWidgetSDK`. Both come from the host simulators, as the SDKs document them.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from playwright.async_api import WebSocket, expect

from tests.browser.demo import People, recorded
from tests.deployment import Deployment
from tests.patience import PATIENCE, until

TOLD = ("connection.hello", "engagement.update")


class Engagements:
    """The last engagement that each kind of surface told."""

    def __init__(self) -> None:
        self.last: dict[str, dict[str, Any]] = {}

    def agent(self, name: str) -> Any:
        """What the agent's side told last of this."""
        return self.last.get("agent_frame", {}).get(name)

    def listen(self, socket: WebSocket) -> None:
        surface = ""

        def sent(payload: str | bytes) -> None:
            nonlocal surface
            message = json.loads(payload)
            surface = message.get("surface", surface)
            if message["type"] in TOLD and message.get("engagement"):
                self.last[surface] = message["engagement"]

        socket.on("framesent", sent)


@pytest.mark.parametrize(
    ("channel", "conversation", "window_session"),
    [("chat", "H71", "H71"), ("messaging", "5512", "lp-session-5512")],
)
async def test_both_sides_ids_are_told_and_recorded(
    people: People, demo: Deployment, channel: str, conversation: str, window_session: str
) -> None:
    engagements = Engagements()
    people.context.on("page", lambda page: page.on("websocket", engagements.listen))
    await people.open(
        f"channel={channel}&conversation={conversation}&window=open&launcher=0"
        "&agent=777&agentName=Robin&visitor=V9&visitorName=Ada+Byron&spectate=1"
    )
    # A spectator is told so and starts nothing; then the conversation becomes the agent's own.
    await expect(people.agent.get_by_text("You are watching this conversation")).to_be_visible()
    await expect(people.agent.get_by_role("button", name="Start video")).to_be_hidden()
    await until(lambda: engagements.agent("chatting_agent_id") == "999999", "whose it is is told")
    assert engagements.agent("spectating") is True
    workspace = next(frame for frame in people.page.frames if "/workspace.html" in frame.url)
    await workspace.evaluate(
        "simulator.set({'chatInfo.spectatedEngagement': false, 'chattingAgentInfo.agentId': 777})"
    )
    window = await people.frame("/window")
    await people.agent.get_by_role("button", name="Start video").click()
    await window.get_by_role("button", name="Decline").click()
    await expect(people.agent.get_by_text("declined")).to_be_visible()

    assert engagements.last["agent_frame"] == {
        "account_id": demo_account(demo),
        "rt_session_id": conversation,
        "agent_id": "777",
        "chatting_agent_id": "777",
        "visitor_id": "V9",
        "visitor_name": "Ada Byron",
        "channel": channel,
        "spectating": False,
    }
    assert engagements.last["window"] == {
        "account_id": demo_account(demo),
        "window_session_id": window_session,
        "conversation_id": conversation,
        "chatting_agent_id": "777",
        "visitor_id": "V9",
        "participant_visitor_id": "consumer-V9",
        "visitor_name": "Ada Byron",
        "channel": channel,
        "is_pop_out": False,
    }
    record = recorded(demo, conversation)
    ids = record["ids"]
    assert (ids["rt_session_id"], ids["window_session_id"], ids["conversation_id"]) == (
        conversation,
        window_session,
        conversation,
    )
    people_of = {p["role"]: p for p in record["participants"]}
    assert people_of["agent"]["agent_id"] == "777"
    assert people_of["consumer"]["visitor_id"] == "V9"


def demo_account(demo: Deployment) -> str:
    config = httpx.get(
        f"{demo.host}/demo-config.json", trust_env=False, timeout=20 * PATIENCE
    ).json()
    account: str = config["account_id"]
    return account
