"""More than two: colleagues, supervisors and strangers, through real gateways, ledger and actor."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house import API_KEY, hang_up, house
from tests.inprocess.scene import Scene, until_roster
from tests.widget import Refused, Widget, accept, consumer_widget, guest_widget, plain_http


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
