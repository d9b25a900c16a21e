"""An actor that is cut off from the ledger reduces, and is followed by another: nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.ledger import LedgerPolicy
from actors.session.actor import SessionActor
from broker.errors import ErrorCode, Unavailable
from tests.house import API_KEY, WAIT_S, House, hang_up, house
from tests.inprocess.scene import Scene, until_roster
from tests.patience import until
from tests.widget import Widget, plain_http

POLICY = LedgerPolicy(return_s=1.0)
"""The time in which the actor, which the ledger can reach, acts without it."""


class Line:
    """One actor's way to the ledger."""

    def __init__(self, running: House) -> None:
        self._running = running
        self._is_cut = False

    async def resolve(self) -> tuple[str, int]:
        if self._is_cut:
            raise Unavailable(ErrorCode.LEDGER_AWAY, "Cut.")
        return await self._running.resolve()

    async def standby(self) -> SessionActor:
        """Start the actor, and wait until the ledger has it."""
        actor = await self._running.standby(self.resolve)
        await until(lambda: actor.reachable, "the actor is enlisted")
        return actor

    async def cut(self, actor: SessionActor) -> None:
        self._is_cut = True
        actor._link.drop()
        await until(lambda: not actor.reachable, "the actor is cut off")


async def record_of(scene: Scene, session_id: str) -> dict[str, Any]:
    async with plain_http(scene.here) as http:
        http.headers["Authorization"] = f"Bearer {API_KEY}"
        answer = await http.get(f"/v1/sessions/{session_id}")
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


@pytest.mark.parametrize("dies", [True, False], ids=["and dies", "and lives"])
async def test_what_a_cut_off_actor_did_holds_at_the_next(tmp_path: Path, dies: bool) -> None:
    async with house(tmp_path, standbys=0, ledger_policy=POLICY) as running:
        line = Line(running)
        first = await line.standby()
        scene = Scene(await running.gateway("one"), await running.gateway("two"))
        agent, consumer = await scene.talking()
        helper = await scene.staff("8")
        await helper.expect("ways.changed")
        await helper.request("session.join", way="consult")
        resume = (await helper.expect("resume.renewed"))["resume"]
        people = {entry["name"]: entry for entry in await until_roster(agent, 3)}
        helper_id = people["Agent 8"]["participant_id"]
        await agent.request("participant.admit", participant_id=helper_id)
        await running.standby()
        await line.cut(first)

        await agent.request("participant.remove", participant_id=helper_id)
        await helper.expect("session.left", reason="removed")
        await consumer.request("media.mode", mode="voice")
        if dies:
            await first.close()
        moved = agent.heard.index(await agent.expect("session.moved", epoch=2))
        roster = (await agent.expect("session.snapshot", after=moved))["roster"]
        modes = {entry["role"]: entry["mode"] for entry in roster}
        assert modes == {"agent": "video", "consumer": "voice"}
        assert len(roster) == 2
        back = scene.keep(await Widget.dial(scene.there))
        hello = {"revision": 1, "resume": resume, "surface": "agent_frame", "last_seq": 1}
        await back.send("connection.hello", **hello)
        await back.expect("request.refused", code=ErrorCode.NOT_IN_SESSION)
        await hang_up(*scene.widgets)


@pytest.mark.parametrize("dies", [True, False], ids=["and dies", "and lives"])
async def test_what_a_cut_off_actor_ended_stays_ended(tmp_path: Path, dies: bool) -> None:
    async with house(tmp_path, standbys=0, ledger_policy=POLICY) as running:
        line = Line(running)
        first = await line.standby()
        scene = Scene(await running.gateway("one"), await running.gateway("two"))
        agent, consumer = await scene.talking()
        session_id = (await agent.expect("session.snapshot"))["session_id"]
        await running.standby()
        await line.cut(first)

        await agent.request("session.end")
        over = consumer.heard.index(await consumer.expect("session.ended", reason="ended_by_agent"))
        if dies:
            await first.close()
        ended = agent.heard.index(await agent.expect("session.ended"))
        assert running.ledger is not None
        live = running.ledger._sessions.directory
        await until(lambda: not len(live), "the session is over in the ledger", WAIT_S)
        assert (await record_of(scene, session_id))["end_reason"] == "ended_by_agent"
        assert "session.snapshot" not in agent.types()[ended:]
        assert "session.snapshot" not in consumer.types()[over:]
        await hang_up(*scene.widgets)
