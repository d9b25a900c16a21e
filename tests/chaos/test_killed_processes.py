"""Processes are killed in mid-call; after each, people go on and the journal is complete."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from actors.session.checkpoints import KEEP_S
from actors.strays import UNKNOWN_S
from gateway.compose.session_host import ORPHAN_S
from tests import patience
from tests.calls import Call
from tests.chaos.conftest import BRIEF
from tests.chaos.records import numbered, whole
from tests.chaos.streams import Streaming, flow, streaming, waiting
from tests.chaos.street import WAIT_S, until
from tests.chaos.town import beating
from tests.deployment import Deployment
from tests.patience import PATIENCE
from tests.widget import Widget

GAP_S = {"killed": 2.0, "stopped": 4.0}
"""Nobody misses the other for longer when one process dies. Of one that is stopped the silence
has to be noticed first."""


async def holder_of(call: Call) -> psutil.Process:
    """The process that holds this call's session, as no other is held."""
    await until(call.deployment.holders, "a session actor opened its media port")
    (holder,) = call.deployment.holders()
    return holder


@pytest.mark.parametrize("way", ["killed", "stopped"])
async def test_a_session_continues_on_a_standby(call: Call, way: str) -> None:
    agent, consumer = await call.talking()
    holder = await holder_of(call)
    await agent.request("guest.invite")
    async with streaming(lambda: agent, lambda: consumer) as streams:
        await flow(streams, "takeover", epoch=1)
        await takes_over(agent, consumer, holder, way, streams)
    gaps = [each.reception.gaps for each in streams]
    print("longest pauses in seconds", gaps)
    assert max(each["takeover"] for each in gaps) <= GAP_S[way] * PATIENCE, gaps
    assert max(each["after"] for each in gaps) <= GAP_S["killed"] * PATIENCE, gaps
    await agent.request("session.end")
    assert (await consumer.expect("session.ended"))["reason"] == "ended_by_agent"
    counts = whole((await call.record())["events"])
    assert counts["guest.invited"] == 2


async def takes_over(
    agent: Widget,
    consumer: Widget,
    holder: psutil.Process,
    way: str,
    streams: list[Streaming],
) -> None:
    """End the actor that holds a session, or stop it for a while; both widgets are at the next.

    When that one goes on, nobody hears of it: not by a message, and not by a packet from its port.
    """
    marks = len(agent.heard), len(consumer.heard)
    with ExitStack() as opened:
        ears = [opened.enter_context(each.ear()) for each in streams]
        holder.send_signal(signal.SIGKILL if way == "killed" else signal.SIGSTOP)
        try:
            snapshot = await agent.expect("session.snapshot", after=marks[0])
            assert snapshot["epoch"] == 2
            assert len(snapshot["guest_invitations"]) == 1
            mine = await consumer.expect("session.snapshot", after=marks[1])
            assert (mine["epoch"], mine["attendance"]) == (2, "present")
            assert "session.moved" in consumer.types()[marks[1] :]
            await flow(streams, "after", epoch=2)
        finally:
            before = sum(map(waiting, ears))
            if way == "stopped":
                holder.send_signal(signal.SIGCONT)
        await agent.insist("guest.invite")
        heard = [m for m in agent.heard[marks[0] :] if "epoch" in m]
        assert {m["epoch"] for m in heard} == {2}
        await until(lambda: not holder.is_running(), "the old actor is gone")
        assert [waiting(ear) for ear in ears] == [0, 0], f"{before} came in its time"
    await flow(streams, "afterwards", epoch=2)


async def measured(call: Call) -> dict[str, int]:
    """For how long each person's connection was graded, in milliseconds, as the record says."""
    people = (await call.record())["participants"]
    return {
        each["role"]: sum(each["quality"][f"{grade}_ms"] for grade in ("good", "fair", "poor"))
        for each in people
        if each["quality"] is not None
    }


@pytest.mark.soak
@pytest.mark.timeout(240 * PATIENCE)
async def test_an_actor_that_never_moves_again_is_ended_and_its_place_filled(call: Call) -> None:
    deployment = call.deployment
    agent, consumer = await call.talking()
    holder = await holder_of(call)
    mark = len(consumer.heard)
    # It takes longer than a gateway keeps somebody who says nothing.
    beats = [asyncio.create_task(beating(widget)) for widget in (agent, consumer)]
    holder.send_signal(signal.SIGSTOP)
    try:
        assert (await consumer.expect("session.snapshot", after=mark))["epoch"] == 2
        await agent.insist("session.end")
        await consumer.expect("session.ended")
        # Usually after a third of that: it begins anew whenever the pool has lost its ledger.
        await patience.until(
            lambda: not holder.is_running(),
            "the stopped one is gone",
            UNKNOWN_S + WAIT_S,
            every=0.1,
        )
    finally:
        for beat in beats:
            beat.cancel()
        if holder.is_running():
            holder.kill()
    await until(
        lambda: len(deployment.processes("SessionHost")) >= 3, "as many as before are there"
    )
    whole((await call.record())["events"])


@pytest.mark.soak
@pytest.mark.timeout(240 * PATIENCE)
async def test_what_a_killed_actor_had_measured_stands_in_the_record(call: Call) -> None:
    agent, consumer = await call.talking()
    holder = await holder_of(call)
    async with streaming(lambda: agent, lambda: consumer) as streams:
        await flow(streams, "calm", epoch=1)
        kept: dict[str, int] = {}
        async with asyncio.timeout(3 * KEEP_S * PATIENCE):
            while len(kept) < 2:
                await asyncio.sleep(1.0)
                kept = await measured(call)
        holder.send_signal(signal.SIGKILL)
        await flow(streams, "after", epoch=2)
        await agent.request("session.end")
        await consumer.expect("session.ended")
    after = await measured(call)
    assert {role: after[role] > kept[role] for role in kept} == {"agent": True, "consumer": True}
    counts = whole((await call.record())["events"])
    assert counts["participant.quality"] == 2


async def test_a_call_goes_on_while_the_ledger_is_replaced(call: Call) -> None:
    agent, consumer = await call.talking()
    for process in call.deployment.processes("LedgerHost"):
        process.kill()
    await agent.request("media.publish", microphone=True, camera=True, screen=False)
    await consumer.expect("roster.changed", after=len(consumer.heard) - 1)
    invited = await agent.insist("guest.invite")
    assert str(invited["url"]).startswith(call.origin)
    await holder_of(call)
    await agent.request("session.end")
    await consumer.expect("session.ended")
    counts = whole((await call.record())["events"])
    assert counts["guest.invited"] == 1


async def test_killing_the_pool_changes_nothing_for_a_call_and_standbys_come_back(
    call: Call,
) -> None:
    agent, consumer = await call.talking()
    for process in call.deployment.processes("PoolHost"):
        process.kill()
    await agent.request("media.publish", microphone=True, camera=True, screen=False)
    await holder_of(call)
    await agent.request("session.end")
    await consumer.expect("session.ended")
    for _ in range(4):
        marks = len(agent.heard), len(consumer.heard)
        await agent.insist("session.start", mode="video")
        for widget, mark in zip((agent, consumer), marks, strict=True):
            await widget.expect("session.snapshot", after=mark)
        ended = len(agent.heard)
        await agent.request("session.end")
        await agent.expect("session.ended", after=ended)
    whole((await call.record())["events"])


@pytest.mark.soak
@pytest.mark.timeout(300 * PATIENCE)
async def test_a_standby_whose_pool_died_while_it_started_does_not_stay(tmp_path: Path) -> None:
    with Deployment(tmp_path, standbys=1) as running:

        def hosts() -> set[int]:
            return {process.pid for process in running.processes("SessionHost")}

        await until(lambda: len(hosts()) == 1, "the standby")
        (first,) = hosts()
        psutil.Process(first).kill()
        await until(lambda: hosts() - {first}, "the start of the next one")
        (orphan,) = hosts() - {first}
        for process in running.processes("PoolHost"):
            process.kill()
        await until(lambda: hosts() - {first, orphan}, "the next pool's own")
        (own,) = hosts() - {first, orphan}
        await patience.until(
            lambda: hosts() == {own}, "the orphan's end", ORPHAN_S + WAIT_S, every=0.1
        )


async def test_the_record_survives_the_death_of_everything(
    call: Call, deployment: Deployment
) -> None:
    agent, _ = await call.talking()
    await agent.request("guest.invite")
    folder = deployment.folder
    deployment.kill()
    # The next test's policy: what was recorded does not depend on it.
    deployment.policy = BRIEF
    deployment.start()
    assert not folder.exists(), "a later start sweeps up after a killed one"
    counts = numbered((await call.record())["events"])
    assert counts["participant.joined"] == 2
    assert counts["guest.invited"] == 1
