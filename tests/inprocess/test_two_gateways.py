"""Agent and consumer on two different gateways, and crowds that wait: real parts, without Ray.

Ledger, session actors and both gateways run in this process, joined by real sockets, so that the
number of actors can be counted exactly.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path

import pytest

from actors.ledger import LedgerPolicy
from gateway.settings import Limits
from tests.house import API_KEY, WAIT_S, hang_up, house
from tests.patience import PATIENCE, seconds_waited, until
from tests.widget import Refused, Widget, accept, agent_widget, consumer_widget, plain_http

SILENCE_S = 5.0 * PATIENCE
"""Twice as long as a thousand take to connect: all of them are silent at once."""
WAITING = "session.waiting"
CAPACITY_S = 0.5
"""How long an opening waits for a standby in these tests."""
MARGIN_S = 2.0 * PATIENCE
"""What two hundred answers may take beside that: all parts share one processor here."""


@pytest.mark.parametrize("channel", ["chat", "messaging"])
@pytest.mark.parametrize("first", ["agent", "consumer"])
async def test_they_meet_on_two_gateways(tmp_path: Path, channel: str, first: str) -> None:
    ids = (
        {"window_session_id": "eng", "channel": "chat"}
        if channel == "chat"
        else {"window_session_id": "other", "conversation_id": "eng", "channel": "messaging"}
    )
    async with house(tmp_path, standbys=1) as running:
        one, two = await running.gateway("one"), await running.gateway("two")
        if first == "consumer":
            consumer = await consumer_widget(two, "eng", engagement=ids)
            agent = await agent_widget(one, "eng")
            await agent.expect(
                "reach.changed", consumer={"reach": "reachable", "surfaces": ["launcher"]}
            )
            await agent.request("session.start", mode="video")
        else:
            agent = await agent_widget(one, "eng")
            await agent.request("session.start", mode="video")
            consumer = await consumer_widget(two, "eng", engagement=ids)
        await agent.expect("session.snapshot")
        snapshot = await consumer.expect("session.snapshot")
        assert snapshot["attendance"] == "invited"
        await accept(consumer)
        roster = await agent.expect("roster.changed")
        assert [entry["role"] for entry in roster["roster"]] == ["agent", "consumer"]
        await hang_up(agent, consumer)


@pytest.mark.parametrize("many", [400, pytest.param(2_000, marks=pytest.mark.soak)])
async def test_connections_that_wait_make_no_session(tmp_path: Path, many: int) -> None:
    async with house(tmp_path, standbys=2) as running:
        origin = await running.gateway("one")
        crowd: list[Widget] = []
        for start in range(0, many, 100):
            crowd += await asyncio.gather(
                *(consumer_widget(origin, f"eng-{n}") for n in range(start, start + 100))
            )
        agent = await agent_widget(origin, "eng-234")
        await agent.expect(
            "reach.changed", consumer={"reach": "reachable", "surfaces": ["launcher"]}
        )
        # Both standbys are still there for two agents who start now.
        await agent.request("session.start", mode="video")
        await crowd[234].expect("session.snapshot")
        other = await agent_widget(origin, "eng-7", agent_id="8")
        await other.request("session.start", mode="voice")
        await crowd[7].expect("session.snapshot")
        assert sum("session.snapshot" in widget.types() for widget in crowd) == 2
        await hang_up(agent, other, *crowd)


async def test_two_hundred_starts_on_ten_standbys_are_all_answered_in_time(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    policy = LedgerPolicy(capacity_wait_s=CAPACITY_S)
    async with house(tmp_path, standbys=10, ledger_policy=policy) as running:
        origins = [await running.gateway(name) for name in ("one", "two")]
        agents: list[Widget] = []
        for start in range(0, 100, 50):
            agents += await asyncio.gather(
                *(
                    agent_widget(origins[number % 2], f"eng-{number}", agent_id=str(number))
                    for number in range(start, start + 50)
                )
            )

        async def by_widget(agent: Widget) -> str:
            try:
                return str((await agent.request("session.start", mode="video"))["type"])
            except Refused as refusal:
                return refusal.code

        async with plain_http(origins[0]) as http:
            http.headers["Authorization"] = f"Bearer {API_KEY}"

            async def by_backend(number: int) -> str:
                ids = {"account_id": "demo", "rt_session_id": f"eng-{number}"}
                owner = {"agent_id": str(number), "name": "Alex"}
                asked = {"engagement": ids, "owner": owner}
                answer = await http.post("/v1/sessions", json=asked)
                return "request.done" if answer.is_success else str(answer.json()["code"])

            async def timed(asking: Awaitable[str]) -> tuple[str, float]:
                # What others kept the processor for is nobody's waiting here.
                begun, waited = loop.time(), seconds_waited()
                said = await asking
                return said, loop.time() - begun - (seconds_waited() - waited)

            asked = [*map(by_widget, agents), *map(by_backend, range(100, 200))]
            answers = await asyncio.gather(*map(timed, asked))
        assert Counter(said for said, _ in answers) == {"request.done": 10, "no_capacity": 190}
        for agent, (said, _) in zip(agents, answers, strict=False):
            waits = [each["within_ms"] for each in agent.heard if each["type"] == WAITING]
            assert waits == ([] if said == "request.done" else [CAPACITY_S * 1e3])
        slowest = max(took for _, took in answers)
        assert slowest <= CAPACITY_S + MARGIN_S, "nobody is left hanging"
        await hang_up(*agents)


async def test_an_empty_pool_answers_that_it_waits_and_then_with_a_session(tmp_path: Path) -> None:
    async with house(tmp_path, standbys=0) as running:
        origin = await running.gateway("one")
        agent, bystander = [await agent_widget(origin, f"eng-{n}", agent_id=f"{n}") for n in "ab"]
        starting = asyncio.create_task(agent.request("session.start", mode="video"))
        await agent.expect(WAITING)
        assert not starting.done()
        await running.standby()
        assert (await starting)["type"] == "request.done"
        snapshot = await agent.expect("session.snapshot")
        types = agent.types()
        assert types.index(WAITING) < types.index("request.done") < types.index(snapshot["type"])
        assert WAITING not in bystander.types()
        await hang_up(agent, bystander)


async def test_a_thousand_connections_that_say_nothing_are_closed(tmp_path: Path) -> None:
    assert Limits().hello_timeout_s == 10.0
    async with house(tmp_path, standbys=1) as running:
        running.limits = replace(running.limits, hello_timeout_s=SILENCE_S)
        origin = await running.gateway("one")
        agent = await agent_widget(origin, "eng")
        await agent.request("session.start", mode="video")
        await agent.expect("session.snapshot")
        silent: list[Widget] = []
        for _ in range(10):
            silent += await asyncio.gather(*(Widget.dial(origin) for _ in range(100)))
            await agent.request("media.publish", microphone=True, camera=False, screen=False)

        def came() -> int:
            # On a busy machine the first are closed before the last is there.
            return len(running.rooms[0]) + sum(each.closed is not None for each in silent)

        await until(lambda: came() == 1_001, "a thousand that say nothing, and the agent")
        closings = (each.expect_close(limit_s=10 * SILENCE_S) for each in silent)
        codes = set(await asyncio.gather(*closings))
        assert codes == {4429}
        await agent.request("media.publish", microphone=True, camera=True, screen=False)
        await hang_up(agent, *silent)


async def test_an_actor_with_neither_trunk_nor_ledger_falls_silent(tmp_path: Path) -> None:
    async with house(tmp_path, standbys=1, lonely_s=1.0) as running:
        origin = await running.gateway("one")
        agent = await agent_widget(origin, "eng")
        await agent.request("session.start", mode="video")
        await agent.expect("session.snapshot")
        assert running.ledger is not None
        await running.ledger.close()
        # With a trunk the call goes on, however long the ledger is away.
        await agent.request("media.publish", microphone=True, camera=True, screen=False)
        assert not running.over.is_set()
        await agent.close()
        async with asyncio.timeout(WAIT_S):
            await running.over.wait()
