"""A start that waits for a standby, and an agent who does not: real parts, without Ray."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actors.ledger import LedgerPolicy
from tests.house import House, hang_up, house
from tests.patience import PATIENCE, until
from tests.widget import Refused, Widget, agent_widget, consumer_widget, ring

WAITING = "session.waiting"
POLICY = LedgerPolicy(capacity_wait_s=30.0 * PATIENCE)
"""No start of these tests is to end by itself."""


async def starting(agent: Widget) -> asyncio.Task[object]:
    """Start while no session actor stands by."""
    asked = asyncio.create_task(agent.request("session.start", mode="video"))
    await agent.expect(WAITING)
    return asked


async def standby(running: House) -> None:
    """Have one that nobody takes."""
    await running.standby()
    assert running.ledger is not None
    ledger = running.ledger
    await until(lambda: ledger.level().standbys == 1, "a standby that nobody took")


async def test_a_start_that_was_taken_back_rings_nobody_and_the_next_one_does(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, standbys=0, ledger_policy=POLICY) as running:
        one, two = await running.gateway("one"), await running.gateway("two")
        agent, consumer = await agent_widget(one, "eng"), await consumer_widget(two, "eng")
        asked = await starting(agent)
        assert (await agent.request("session.end"))["type"] == "request.done"
        with pytest.raises(Refused) as refused:
            await asked
        assert refused.value.code == "withdrawn"
        await standby(running)
        await ring(agent, consumer)
        assert consumer.types().count("session.snapshot") == 1
        await hang_up(agent, consumer)


async def test_a_page_that_comes_back_is_told_that_its_start_waits_and_takes_it_back(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, standbys=0, ledger_policy=POLICY) as running:
        one, two = await running.gateway("one"), await running.gateway("two")
        agent = await agent_widget(one, "eng")
        asked = await starting(agent)
        [first] = [each["within_ms"] for each in agent.heard if each["type"] == WAITING]
        asked.cancel()
        await agent.close()
        colleague = await agent_widget(two, "eng", agent_id="8")
        again = await agent_widget(two, "eng")
        assert again.types()[0] == "connection.welcome"
        waits = await again.expect(WAITING)
        assert 0 < waits["within_ms"] <= first
        with pytest.raises(Refused) as refused:
            await colleague.request("session.end")
        assert refused.value.code == "not_in_session"
        assert (await again.request("session.end"))["type"] == "request.done"
        await again.expect(WAITING, within_ms=0)
        # There is nothing more to be taken back.
        with pytest.raises(Refused) as refused:
            await again.request("session.end")
        assert refused.value.code == "not_in_session"
        assert WAITING not in colleague.types()
        assert running.ledger is not None
        assert running.ledger.level().queued == 0
        await hang_up(again, colleague)


async def test_a_start_goes_on_with_the_page_that_comes_back_and_not_without(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, standbys=0, ledger_policy=POLICY) as running:
        one, two = await running.gateway("one"), await running.gateway("two")
        agent, consumer = await agent_widget(one, "eng"), await consumer_widget(two, "eng")
        asked = await starting(agent)
        asked.cancel()
        await agent.close()
        assert running.ledger is not None
        ledger = running.ledger
        await until(lambda: ledger.level().queued == 0, "its place in the queue given up")
        await standby(running)
        colleague = await agent_widget(two, "eng", agent_id="8")
        assert "session.snapshot" not in consumer.types()
        # The page is loaded again, and need not ask again.
        again = await agent_widget(two, "eng")
        await again.expect("session.snapshot", attendance="present")
        await consumer.expect("session.snapshot", attendance="invited")
        await hang_up(again, colleague, consumer)
