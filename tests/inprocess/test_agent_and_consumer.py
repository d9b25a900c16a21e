"""What agent and consumer say to each other, through real gateways, ledger and actor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.house import API_KEY
from tests.inprocess.scene import CHAT, Scene, until_roster
from tests.widget import Message, Refused, Widget, consumer_widget, plain_http


async def test_two_surfaces_of_one_consumer_ring_and_one_answers(scene: Scene) -> None:
    agent, launcher = await scene.ringing()
    window = scene.keep(
        await consumer_widget(scene.there, "eng", surface="window", engagement=CHAT)
    )
    invitation = (await window.expect("session.snapshot"))["invitation"]
    await agent.expect("invitation.changed")
    await window.request(
        "invitation.accept", invitation_id=invitation["invitation_id"], mode="video"
    )
    await launcher.expect("invitation.elsewhere")
    with pytest.raises(Refused) as refusal:
        await launcher.request(
            "invitation.accept",
            id="the launcher's own",
            invitation_id=invitation["invitation_id"],
            mode="video",
        )
    assert refusal.value.code == "answered_elsewhere"


@pytest.mark.parametrize(
    ("window", "differs"),
    [
        ({"visitor_id": "v-1"}, False),
        ({"visitor_id": " v-1 "}, False),
        ({"visitor_id": "v-9"}, True),
        ({"visitor_id": "v-9", "channel": "messaging"}, False),
        ({"visitor_id": None}, False),
    ],
    ids=["same", "same, with spaces", "another", "another kind", "unknown"],
)
async def test_a_visitor_id_that_disagrees_warns_the_agent_and_blocks_nobody(
    scene: Scene, window: dict[str, Any], differs: bool
) -> None:
    agent, consumer = await scene.talking(**window)
    roster = await until_roster(agent, 2)
    assert [entry["visitor_differs"] for entry in roster] == [False, differs]
    theirs = (await consumer.expect("roster.changed"))["roster"]
    assert [entry["visitor_differs"] for entry in theirs] == [False, False]


async def test_text_reaches_everybody_and_stands_nowhere(scene: Scene, tmp_path: Path) -> None:
    agent, consumer = await scene.talking()
    await consumer.request("text.send", text="the zebra sings")
    said = await agent.expect("text.said")
    assert (said["text"], said["participant_id"]) == (
        "the zebra sings",
        (await consumer.expect("session.snapshot"))["participant_id"],
    )

    async def flood() -> None:
        for _ in range(60):
            await consumer.request("text.send", text="more")

    with pytest.raises(Refused) as refusal:
        await flood()
    assert (refusal.value.code, refusal.value.retryable) == ("rate_limited", True)
    await agent.request("session.end")
    await consumer.expect("session.ended")
    assert stored(tmp_path) > 0
    assert stored(tmp_path, b"zebra") == 0


async def test_a_rating_lands_beside_the_record(scene: Scene) -> None:
    agent, consumer = await scene.talking()
    session_id = (await consumer.expect("session.snapshot"))["session_id"]
    mine = {"resume": (await consumer.expect("resume.renewed"))["resume"], "stars": 4}
    agents = {"resume": (await agent.expect("resume.renewed"))["resume"], "stars": 5}
    async with plain_http(scene.here) as http:
        early = await http.post("/v1/ratings", json=mine)
        assert (early.status_code, early.json()["code"]) == (409, "already_live")
        await agent.request("session.end")
        await consumer.expect("session.ended")
        for rating in (mine, {**mine, "stars": 2, "comment": " good "}):
            assert (await http.post("/v1/ratings", json=rating)).status_code == 200
        assert (await http.post("/v1/ratings", json=agents)).status_code == 403
        assert (await http.post("/v1/ratings", json={**mine, "resume": "x"})).status_code == 401
        for wrong in ({"stars": 6}, {"stars": 0}, {"comment": "x" * 501}):
            assert (await http.post("/v1/ratings", json={**mine, **wrong})).status_code == 400
        key = {"Authorization": f"Bearer {API_KEY}"}
        detail = (await http.get(f"/v1/sessions/{session_id}", headers=key)).json()
        lines = await http.get("/v1/records", headers=key)
    (rating,) = [each["rating"] for each in detail["participants"] if each["rating"]]
    assert (rating["stars"], rating["comment"]) == (2, "good")
    assert [record["rating"] for record in lines.json()["records"]] == [2]


def stored(folder: Path, text: bytes = b"session.ended") -> int:
    """In how many files of the ledger this stands."""
    return sum(text in path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_the_agent_asks_for_the_consumers_screen(scene: Scene) -> None:
    agent, consumer = await scene.talking()
    me = (await consumer.expect("session.snapshot"))["participant_id"]
    await agent.request("screen.request", participant_id=me)
    asked = await consumer.expect("screen.requested")
    boss = (await agent.expect("session.snapshot"))["participant_id"]
    assert asked["by_participant_id"] == boss
    with pytest.raises(Refused) as refusal:
        await consumer.request("screen.request", participant_id=boss)
    assert refusal.value.code == "not_permitted"


async def test_declining_may_say_why_and_a_browser_without_video_fails(scene: Scene) -> None:
    agent, consumer = await scene.ringing()
    invitation = (await consumer.expect("session.snapshot"))["invitation"]
    await consumer.request(
        "invitation.decline", invitation_id=invitation["invitation_id"], reason="on the train"
    )
    declined = await until_invitation(agent, "declined")
    assert declined["reason"] == "on the train"
    mark = len(consumer.heard)
    await agent.request("invitation.send", mode="video")
    await consumer.expect("session.snapshot", after=mark)
    await consumer.tell("invitation.trouble", trouble="no_webrtc")
    assert (await until_invitation(agent, "failed"))["reason"] == "no_webrtc"
    await consumer.expect("session.left", after=mark)


async def until_invitation(widget: Widget, state: str) -> Message:
    mark = 0
    while True:
        message = await widget.expect("invitation.changed", after=mark)
        if message["invitation"]["state"] == state:
            invitation: Message = message["invitation"]
            return invitation
        mark = widget.heard.index(message) + 1
