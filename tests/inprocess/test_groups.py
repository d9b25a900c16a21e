"""More than two: colleagues, supervisors and strangers, through real gateways, ledger and actor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.house import API_KEY, hang_up, house
from tests.widget import (
    Message,
    Refused,
    Widget,
    accept,
    agent_widget,
    consumer_widget,
    guest_widget,
    plain_http,
    ring,
)

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


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with house(tmp_path, standbys=1) as running:
        made = Scene(await running.gateway("one"), await running.gateway("two"))
        yield made
        await hang_up(*made.widgets)


async def test_a_colleague_asks_to_help_is_let_in_and_put_in_charge(scene: Scene) -> None:
    agent, consumer = await scene.talking()
    dana = await scene.staff("8")
    assert (await dana.expect("ways.changed"))["ways"] == ["consult"]
    with pytest.raises(Refused) as refusal:
        await dana.request("session.start", mode="video")
    assert refusal.value.code == "already_live"
    await dana.request("session.join", way="consult")
    mine = await dana.expect("session.snapshot", attendance="lobby")
    assert mine["roster"] == []
    await until_roster(agent, 3)
    await agent.request("participant.admit", participant_id=mine["participant_id"])
    await dana.expect("session.snapshot", attendance="present")
    await agent.request("session.hand_over", participant_id=mine["participant_id"])
    await agent.request("session.leave")
    await agent.expect("session.left", reason="left")
    assert (await agent.expect("ways.changed"))["ways"] == ["consult"]
    mark = len(dana.heard)
    await consumer.request("media.mode", mode="voice")
    owner = [e["name"] for e in (await dana.expect("roster.changed", after=mark))["roster"]]
    assert "Agent 8" in owner
    await dana.request("session.end")
    assert (await consumer.expect("session.ended"))["reason"] == "ended_by_agent"


async def test_a_colleague_who_is_sent_away_may_ask_again(scene: Scene) -> None:
    agent, _ = await scene.talking()
    dana = await scene.staff("8")
    await dana.request("session.join", way="consult")
    mine = await dana.expect("session.snapshot", attendance="lobby")
    await agent.request("participant.refuse", participant_id=mine["participant_id"])
    await dana.expect("session.left", reason="not_admitted")
    mark = dana.types().index("session.left")
    await dana.expect("ways.changed", after=mark)
    await dana.request("session.join", way="consult")
    await dana.expect("session.snapshot", after=mark, attendance="lobby")


async def test_a_transferred_conversation_is_taken_over_and_the_call_goes_on(scene: Scene) -> None:
    agent, consumer = await scene.talking()
    dana = await scene.staff("8", engagement={"chatting_agent_id": "demo.8"})
    assert (await dana.expect("ways.changed"))["ways"] == ["take_over", "consult"]
    await agent.tell(
        "engagement.update",
        engagement={"account_id": "demo", "rt_session_id": "eng", "chatting_agent_id": "8"},
    )
    # Nothing happens to the agent before until the new one takes over.
    await agent.request("media.mode", mode="voice")
    session = (await agent.expect("session.snapshot"))["session_id"]
    await dana.request("session.join", way="take_over")
    assert (await dana.expect("session.snapshot"))["session_id"] == session
    await agent.expect("session.left", reason="transferred")
    assert agent.closed is None
    roster = (await dana.expect("session.snapshot"))["roster"]
    assert ("Agent 8", True) in [(each["name"], each["owner"]) for each in roster]
    assert consumer.types().count("session.snapshot") == 1
    await dana.request("session.end")


async def test_the_ninth_waits_until_somebody_has_left(scene: Scene) -> None:
    agent, _ = await scene.talking()
    link = await agent.request("guest.invite", uses=7)

    async def guest(number: int) -> tuple[Widget, str]:
        widget = scene.keep(await guest_widget(scene.there, link["url"], f"Guest {number}"))
        return widget, (await widget.expect("session.snapshot"))["participant_id"]

    guests = [await guest(number) for number in range(7)]
    for _, participant_id in guests[:-1]:
        await agent.request("participant.admit", participant_id=participant_id)
    last, last_id = guests[-1]
    with pytest.raises(Refused) as refusal:
        await agent.request("participant.admit", participant_id=last_id)
    assert (refusal.value.code, refusal.value.retryable) == ("session_full", True)
    # Nobody has lost anything by it, and whoever waits goes on waiting.
    assert len(await until_roster(agent, 9)) == 9
    assert [widget.closed for widget in scene.widgets] == [None] * 9
    await guests[0][0].request("session.leave")
    await until_roster(agent, 8)
    await agent.request("participant.admit", participant_id=last_id)
    await last.expect("session.snapshot", attendance="present")


async def test_a_consumer_adds_a_person_where_the_account_lets_them(
    scene: Scene, tmp_path: Path
) -> None:
    _, consumer = await scene.talking()
    with pytest.raises(Refused) as refusal:
        await consumer.request("guest.invite")
    assert refusal.value.code == "not_permitted"
    folder = tmp_path / "other"
    folder.mkdir()
    async with house(folder, standbys=1) as running:
        running.policy = {"consumer_may_invite": True, "guest_lobby": False}
        origin = await running.gateway("one")
        other = Scene(origin, origin)
        agent, consumer = await other.talking()
        link = await consumer.request("guest.invite")
        other.keep(await guest_widget(origin, link["url"], "Grandma"))
        roster = await until_roster(agent, 3)
        assert [entry["name"] for entry in roster][-1] == "Grandma"
        await hang_up(*other.widgets)


async def test_a_workspace_that_shows_another_conversation_changes_nothing_of_the_call(
    tmp_path: Path,
) -> None:
    """`rtSessionId` changes under a mounted widget; what is started next is on the new one."""
    async with house(tmp_path, standbys=2) as running:
        origin = await running.gateway("one")
        scene = Scene(origin, origin)
        agent, consumer = await scene.talking()
        other = scene.keep(await consumer_widget(origin, "eng-2"))
        ids = {"account_id": "demo", "rt_session_id": "eng-2", "visitor_name": "Somebody else"}
        await agent.tell("engagement.update", engagement=ids)
        mark = len(agent.heard)
        await consumer.request("media.mode", mode="voice")
        await agent.expect("roster.changed", after=mark)
        assert "Somebody else" not in str(agent.heard + consumer.heard)
        assert other.types() == ["connection.welcome"]
        first = (await agent.expect("session.snapshot"))["session_id"]
        await agent.request("session.end")
        await consumer.expect("session.ended")
        await agent.expect(
            "reach.changed", after=mark, consumer={"reach": "reachable", "surfaces": ["launcher"]}
        )
        heard = consumer.types()
        await agent.request("session.start", mode="video")
        assert (await other.expect("session.snapshot"))["session_id"] != first
        assert consumer.types() == heard
        await hang_up(*scene.widgets)


async def test_a_spectator_starts_nothing(scene: Scene) -> None:
    watcher = await scene.staff("9", engagement={"spectating": True, "chatting_agent_id": "7"})
    with pytest.raises(Refused) as refusal:
        await watcher.request("session.start", mode="video")
    assert refusal.value.code == "not_permitted"


async def test_a_supervisor_listens_whispers_and_joins(scene: Scene) -> None:
    agent, consumer = await scene.talking()
    boss = await scene.staff("9", role="supervisor")
    assert (await boss.expect("ways.changed"))["ways"] == ["join", "monitor", "whisper"]
    await boss.request("session.join", way="monitor")
    snapshot = await boss.expect("session.snapshot")
    assert (snapshot["mode"], snapshot["capabilities"]) == ("voice", [])
    assert [entry["way"] for entry in await until_roster(agent, 3)] == ["join", None, "monitor"]
    await boss.request("session.join", way="whisper")
    await consumer.request("media.publish", microphone=True, camera=True, screen=False)
    assert snapshot["participant_id"] not in str(consumer.heard)
    async with plain_http(scene.here) as http:
        answer = await http.get(
            f"/v1/sessions/{snapshot['session_id']}/participants",
            headers={"Authorization": f"Bearer {API_KEY}"},
        )
    ways = [each["way"] for each in answer.raise_for_status().json()["participants"]]
    assert ways == ["join", None, "whisper"]
    await boss.request("session.join", way="join")
    assert [entry["way"] for entry in await until_roster(consumer, 3)] == [None, None, None]
    assert snapshot["invitation"]["monitoring"] is True


async def test_a_second_consumer_is_asked_about_and_let_in_beside_the_first(scene: Scene) -> None:
    agent, consumer = await scene.talking()
    other = await scene.stranger("another device's secret", visitor_id="v-2", channel="chat")
    (conflict,) = (await agent.expect("conflicts.changed"))["conflicts"]
    assert {"what": "visitor_id", "known": "v-1", "claimed": "v-2"} in conflict["differences"]
    assert set(other.types()) == {"connection.welcome"}
    assert "conflicts.changed" not in consumer.types()
    with pytest.raises(Refused) as refusal:
        await consumer.request("conflict.admit", conflict_id=conflict["conflict_id"])
    assert refusal.value.code in ("not_permitted", "unknown_participant")
    await agent.request("conflict.admit", conflict_id=conflict["conflict_id"])
    invited = await other.expect("session.snapshot", attendance="invited")
    assert (invited["roster"], invited["invitation"]["from_name"]) == ([], "Agent 7")
    await accept(other, mode="voice")
    roles = [entry["role"] for entry in await until_roster(agent, 3)]
    assert roles == ["agent", "consumer", "guest"]
    assert consumer.closed is None
    assert "session.left" not in consumer.types()
    await other.request("session.leave")
    await until_roster(agent, 2)


async def test_a_second_consumer_who_was_let_in_may_decline(scene: Scene) -> None:
    agent, _ = await scene.talking()
    other = await scene.stranger("another device's secret")
    (conflict,) = (await agent.expect("conflicts.changed"))["conflicts"]
    await agent.request("conflict.admit", conflict_id=conflict["conflict_id"])
    invitation = (await other.expect("session.snapshot"))["invitation"]
    await other.request("invitation.decline", invitation_id=invitation["invitation_id"])
    await other.expect("session.left")
    await agent.expect("guests.changed", guest_invitations=[])


async def test_whoever_is_kept_out_is_not_asked_about_again(scene: Scene) -> None:
    agent, _ = await scene.talking()
    await scene.stranger("an outsider who knows every id")
    (conflict,) = (await agent.expect("conflicts.changed"))["conflicts"]
    await agent.request("conflict.dismiss", conflict_id=conflict["conflict_id"])
    await agent.expect("conflicts.changed", conflicts=[])
    mark = len(agent.heard)
    again = await scene.stranger("an outsider who knows every id")
    await agent.request("media.mode", mode="voice")
    assert "conflicts.changed" not in agent.types()[mark:]
    assert set(again.types()) == {"connection.welcome"}


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
