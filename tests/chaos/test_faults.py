"""Faults of processes, lines, clocks and the database in mid-call, on real processes without Ray.

After each test nobody holds a session, and descriptors are back where they were. What takes
seconds and is tried by other means in CI is soak.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from broker.messages.cluster.records import SessionRecord
from broker.words import EndReason
from tests.chaos.conftest import GATEWAYS, STANDBYS
from tests.chaos.poison import poison
from tests.chaos.records import whole
from tests.chaos.street import WAIT_S, Street, Talk, resumed, signalled, until
from tests.ledger import postgres
from tests.ledger.receiver import Receiver
from tests.proxy import FaultProxy
from tests.widget import Refused, Widget, agent_widget

SOON_S = 1.0
"""An actor without ledger and trunks is over so soon, where that is waited for."""
RECONCILE_S = 0.2
FLOOD, FLOOD_S = 5_000, 60.0
"""Messages a second of somebody who does not read, and how long until they are cut off."""
LOST_MS = 1_500
"""A session is lost when nobody has held it for so long, where that is waited for."""


def origin(street: Street, name: str) -> str:
    return street.parts[name].address


async def talk(street: Street) -> Talk:
    """The agent at the first gateway, the consumer at the second."""
    return await Talk.begin(*(origin(street, name) for name in GATEWAYS))


def check_whole(record: SessionRecord) -> Counter[str]:
    """As `whole` of the server API's events."""
    return whole(record.model_dump()["events"])


async def test_a_killed_gateway_costs_nobody_the_call(street: Street) -> None:
    one, two = (origin(street, name) for name in GATEWAYS)
    call = await Talk.begin(one, one)
    holder = street.holder()
    street.parts[GATEWAYS[0]].kill()
    lost = call.agent, call.consumer
    assert {await widget.expect_close() for widget in lost} == {1006}
    call.agent = await resumed(lost[0], two)
    await call.agent.insist("guest.invite")
    missed = len(call.agent.heard)
    call.consumer = await resumed(lost[1], two)
    await call.agent.expect("roster.changed", after=missed)
    for before, widget in zip(lost, (call.agent, call.consumer), strict=True):
        numbers = [m["seq"] for m in [*before.heard, *widget.heard] if m.get("seq")]
        assert numbers == sorted(set(numbers)), "what was missed came once, and in order"
    assert street.holder().process.pid == holder.process.pid
    await call.end()
    record = await street.record(call.session_id)
    assert record.epoch == 1
    assert check_whole(record)["guest.invited"] == 1


@pytest.mark.soak
async def test_a_gateway_cut_off_from_an_actor_hands_its_people_to_another(street: Street) -> None:
    proxies = {part.port: await FaultProxy(part.port).start() for part in street.of("actor")}
    street.detour(GATEWAYS[0], {port: proxy.port for port, proxy in proxies.items()})
    try:
        call = await talk(street)
        for proxy in proxies.values():
            proxy.hold()
        marked = len(call.consumer.heard)
        assert await call.agent.expect_close(WAIT_S) == 4503, "to be tried elsewhere"
        call.agent = await resumed(call.agent, origin(street, GATEWAYS[1]))
        await call.agent.insist("guest.invite")
        for proxy in proxies.values():
            proxy.release()
        await call.agent.insist("media.publish", microphone=True, camera=True, screen=False)
        await call.consumer.expect("roster.changed", after=marked)
        assert "session.moved" not in call.consumer.types()
        await call.end()
    finally:
        street.detour(GATEWAYS[0], {})
        for proxy in proxies.values():
            await proxy.close()
    record = await street.record(call.session_id)
    assert record.epoch == 1, "the actor lived: nobody took the session from it"
    assert check_whole(record)["guest.invited"] == 1


async def test_an_actor_cut_off_from_the_ledger_is_replaced_and_falls_silent(
    street: Street,
) -> None:
    """The line between the two swallows everything, either way; its gateways still reach it."""
    idle, ledger = street.of("actor"), street.parts["ledger"]
    for part in idle:
        part.kill()
    await until(lambda: not street.of("actor"), "no other standby")
    to_ledger = await FaultProxy(ledger.port).start()
    old = await street.actor({ledger.port: to_ledger.port}, lonely_s=SOON_S)
    to_actor = await FaultProxy(old.port).start()
    street.detour("ledger", {old.port: to_actor.port})
    try:
        call = await talk(street)
        await call.agent.insist("guest.invite")
        await street.actors(STANDBYS)
        assert street.holder() is old
        marks = len(call.agent.heard), len(call.consumer.heard)
        to_ledger.hold()
        to_actor.hold()
        # Its trunks stand, so it goes on until another has the session.
        await call.consumer.request("media.publish", microphone=True, camera=False, screen=False)
        for widget, mark in zip((call.agent, call.consumer), marks, strict=True):
            await widget.expect("session.snapshot", after=mark, epoch=2)
        marks = len(call.agent.heard), len(call.consumer.heard)
        await until(lambda: not old.alive, "the old actor is gone")
        await call.agent.insist("guest.invite")
        assert street.holder() is not old
        for widget, mark in zip((call.agent, call.consumer), marks, strict=True):
            assert {m["epoch"] for m in widget.heard[mark:] if "epoch" in m} <= {2}
        to_ledger.release()
        await call.end()
    finally:
        street.detour("ledger", {})
        for proxy in (to_ledger, to_actor):
            await proxy.close()
    record = await street.record(call.session_id)
    assert record.epoch == 2
    types = check_whole(record)
    assert types["guest.invited"] == 2, "what either actor acknowledged, once"


async def test_a_session_that_nobody_holds_is_lost_and_a_killed_keeper_tells_all_of_it_once(
    street: Street, database: postgres.Server
) -> None:
    receiver = Receiver()
    receiver.now_s = int(time.time())
    hook = f"http://127.0.0.1:{await receiver.start()}/hook"
    for name in ("keeper", "ledger"):
        await street.parts[name].end()
    await street.ledger(lost_after_ms=LOST_MS)
    try:
        keeper = await street.keeper(hook, reconcile_s=RECONCILE_S)
        call = await talk(street)
        before = len((await street.record(call.session_id)).events)
        await until(lambda: len(receiver.of(call.session_id)) == before, "it was told so far")
        await noted_as_told(database, call.session_id, before)
        keeper.kill()
        await call.agent.insist("guest.invite")
        for part in street.of("actor"):
            part.kill()
        await until(lambda: not street.of("actor"), "the holder and every standby are gone")
        await until(lambda: not keeper.alive, "the keeper is gone")
        keeper = await street.keeper(hook, reconcile_s=RECONCILE_S)
        await street.check_quiet()
        record = await street.record(call.session_id)
        assert record.end_reason is EndReason.LOST
        check_whole(record)
        seqs = [one.seq for one in record.events]
        await until(lambda: len(receiver.of(call.session_id)) >= len(seqs), "all of it was told")
        keeper.kill()
        assert receiver.of(call.session_id) == seqs
        assert [each["type"] for each in receiver.events][-2:] == ["guest.invited", "session.ended"]
        assert receiver.unsigned == 0
        await call.close()
    finally:
        # The next one has the policy of everybody.
        for name in ("keeper", "ledger"):
            await street.parts[name].end()
        await street.ledger()
        await receiver.stop()


async def noted_as_told(database: postgres.Server, session_id: str, last: int) -> None:
    """Wait until the ledger knows it, too: what it does not know is told once more."""
    url = f"{database.url}/postgres"
    asked = f"SELECT next_seq FROM deliveries WHERE session_id = '{session_id}'"
    async with asyncio.timeout(WAIT_S):
        while await postgres.value(url, asked) != last + 1:  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.02)


@pytest.mark.soak
async def test_an_actor_that_stood_still_never_speaks_again(street: Street) -> None:
    call = await talk(street)
    old = street.holder()
    marks = len(call.agent.heard), len(call.consumer.heard)
    old.process.suspend()
    try:
        for widget, mark in zip((call.agent, call.consumer), marks, strict=True):
            assert (await widget.expect("session.snapshot", after=mark))["epoch"] == 2
    finally:
        old.process.resume()
    await until(lambda: not old.alive, "the old actor is gone")
    await call.agent.insist("guest.invite")
    for widget, mark in zip((call.agent, call.consumer), marks, strict=True):
        assert {m["epoch"] for m in widget.heard[mark:] if "epoch" in m} == {2}
    street.holder()
    await call.end()
    assert check_whole(await street.record(call.session_id))["guest.invited"] == 1


@pytest.mark.parametrize("way", ["crashed", pytest.param("frozen", marks=pytest.mark.soak)])
async def test_a_call_outlives_its_database(
    street: Street, database: postgres.Server, way: str
) -> None:
    call, other = await talk(street), await talk(street)
    await other.agent.insist("guest.invite")
    if way == "crashed":
        await asyncio.to_thread(database.crash)
        frozen = []
    else:
        frozen = database.processes()
        signalled(frozen, signal.SIGSTOP)
    try:
        # What reduces exposure acts at once, whenever it is said, and the others are told.
        marked = len(call.agent.heard)
        await call.consumer.request("media.mode", mode="voice")
        told = await call.agent.expect("roster.changed", after=marked)
        assert [one["mode"] for one in told["roster"]] == ["video", "voice"]
        # What widens it is refused, to be tried again.
        with pytest.raises(Refused) as refusal:
            await call.consumer.request("media.mode", mode="video")
        assert (refusal.value.code, refusal.value.retryable) == ("ledger_away", True)
        await other.agent.request("session.end")
        await other.consumer.expect("session.ended")
    finally:
        if way == "crashed":
            await asyncio.to_thread(database.start)
        else:
            signalled(frozen, signal.SIGCONT)
    await call.consumer.insist("media.mode", mode="video")
    await call.end()
    await other.close()
    await street.check_quiet()
    record = await street.record(call.session_id)
    check_whole(record)
    changes = [one.body["mode"] for one in record.events if one.type == "participant.mode_changed"]
    assert changes == ["voice", "video"], "each acknowledged event is there, and once"
    assert check_whole(await street.record(other.session_id))["guest.invited"] == 1


@pytest.mark.soak
async def test_a_widget_that_does_not_read_is_cut_off_and_nobody_else_notices(
    street: Street,
) -> None:
    call, other = await talk(street), await talk(street)
    gateway, actor = street.parts[GATEWAYS[1]], street.of("actor")
    before = {part.name: part.weight().memory for part in [gateway, *actor]}
    slow = call.consumer
    slow._socket.transport.pause_reading()
    begun, sent, waits = time.monotonic(), 0, list[float]()
    # The gateways here keep no pace: answers fill what the kernel holds, then what a gateway does.
    with suppress(ConnectionClosed):
        async with asyncio.timeout(FLOOD_S):
            while True:
                for _ in range(FLOOD // 2):
                    await slow.send("participant.mute", participant_id="nobody", sources=["camera"])
                    sent += 1
                for widget in (call.agent, other.agent, other.consumer):
                    asked = time.monotonic()
                    await widget.request("media.mode", mode="voice")
                    waits.append(time.monotonic() - asked)
                await asyncio.sleep(max(0.0, begun + sent / FLOOD - time.monotonic()))
    slow._socket.transport.resume_reading()
    assert await slow.expect_close() in (4429, 1006), f"after {sent} requests"
    assert waits
    assert max(waits) < WAIT_S / 10
    grown = {part.name: part.weight().memory - before[part.name] for part in [gateway, *actor]}
    assert max(grown.values()) < 24 * 1024 * 1024, grown
    call.consumer = await resumed_in_time(slow, origin(street, GATEWAYS[0]))
    await call.consumer.insist("media.mode", mode="voice")
    await call.end()
    await other.end()
    for each in (call, other):
        types = check_whole(await street.record(each.session_id))
        assert types["participant.mode_changed"] == 2


async def resumed_in_time(widget: Widget, at: str) -> Widget:
    """Come back as soon as the pace of somebody who asked too much allows it."""
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await resumed(widget, at)
            except (AssertionError, Refused):
                await asyncio.sleep(0.5)


async def test_clocks_that_jump_by_an_hour_end_nothing_and_refuse_nobody(street: Street) -> None:
    names = ["ledger", *GATEWAYS, *(part.name for part in street.of("actor"))]
    for step_s in (3_600, -3_600):
        call = await talk(street)
        await call.consumer.close()
        await call.agent.expect("roster.changed", after=len(call.agent.heard) - 1)
        for index, name in enumerate(names):
            # Every second one jumps, so that they disagree, too.
            street.step_clock(name, step_s if index % 2 == 0 else 0)
        try:
            call.consumer = await resumed(call.consumer, origin(street, GATEWAYS[1]))
            late = await agent_widget(origin(street, GATEWAYS[1]), "another engagement")
            await late.close()
            await call.agent.insist("guest.invite")
            assert await street.live() == [call.session_id]
            await call.end()
        finally:
            for name in names:
                street.step_clock(name, 0)
        record = await street.record(call.session_id)
        types = check_whole(record)
        assert (types["participant.returned"], types["guest.invited"]) == (1, 1)
        assert "participant.left" not in types
        assert record.end_reason is EndReason.ENDED_BY_AGENT
        times = [one.at_ms for one in record.events]
        assert max(times) - min(times) < 600_000, "no event is dated an hour off"


async def test_an_event_that_cannot_be_replayed_costs_three_standbys(
    street: Street, database: postgres.Server
) -> None:
    call = await talk(street)
    await call.agent.insist("guest.invite")
    holder = street.holder()
    last = len((await street.record(call.session_id)).events)
    holder.process.suspend()
    await poison(f"{database.url}/postgres", call.session_id)
    idle = [part for part in street.of("actor") if part is not holder]
    assert len(idle) == STANDBYS - 1
    await street.actors(STANDBYS)
    holder.kill()
    for widget in (call.agent, call.consumer):
        assert (await widget.expect("session.ended"))["reason"] == "takeover_exhausted"
    await until(lambda: len(street.of("actor")) == STANDBYS - 3, "three standbys are used up")
    record = await street.record(call.session_id)
    assert record.end_reason is EndReason.TAKEOVER_EXHAUSTED
    assert len(record.events) == last + 2, "the journal is kept"
    assert check_whole(record)["guest.invited"] == 1
    await street.actors(STANDBYS)
    mark, marked = len(call.consumer.heard), len(call.agent.heard)
    await call.agent.insist("session.start", mode="video")
    await call.agent.expect("session.snapshot", after=marked)
    snapshot: dict[str, object] = await call.consumer.expect("session.snapshot", after=mark)
    assert snapshot["session_id"] != call.session_id
    await call.agent.insist("session.end")
    await call.close()
