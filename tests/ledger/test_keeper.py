"""Webhooks, the reconciler, retention: a keeper against a ledger and a receiver."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from actors.keeper import DeliveryPolicy, Endpoint, Keeper, KeeperPolicy
from actors.ledger import keeping
from actors.ledger_link import LedgerLink
from broker.errors import Conflict, NotFound, SwitchboardError, Unavailable
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.sessions import SessionRelocated
from broker.words import EndReason, SessionPhase
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, HOST, KEY, POLICY, TIMING, FakeActor, entry
from tests.ledger.receiver import SECRET, Receiver
from tests.patience import until

HELLO = LinkHello(kind="keeper", member_id="keeper", node="n")
QUICK = KeeperPolicy(
    delivery=DeliveryPolicy(
        attempt_s=2.0, backoff_first_s=0.01, backoff_last_s=0.02, loopback_allowed=True
    ),
    poll_s=0.05,
    reconcile_s=0.05,
    expire_s=0.05,
)


@pytest.fixture
async def receiver(town: Town) -> Receiver:
    receiver = Receiver()
    receiver.now_s = town.clock.ms // 1000
    await receiver.start()
    town.stack.push_async_callback(receiver.stop)
    return receiver


async def run_keeper(
    town: Town, *ports: int, policy: KeeperPolicy = QUICK, account_id: str = ACCOUNT
) -> Keeper:
    endpoints = [
        Endpoint(f"endpoint-{number}", account_id, f"http://localhost:{port}/hook?x=1", SECRET)
        for number, port in enumerate(ports)
    ]
    keeper = Keeper(
        town.home,
        KEY,
        HELLO,
        now_ms=town.clock,
        endpoints=endpoints,
        policy=policy,
        timing=TIMING,
    )
    town.stack.push_async_callback(keeper.close)
    await keeper.start()
    return keeper


async def keeper_link(town: Town) -> LedgerLink:
    link = LedgerLink(town.home, KEY, HELLO, timing=TIMING)
    town.stack.push_async_callback(link.close)
    await link.start()
    return link


async def sessions(town: Town, count: int) -> list[FakeActor]:
    """Return actors, each with a session of its own."""
    gateway = await town.gateway()
    actors = []
    for number in range(count):
        actors.append(await town.actor())
        await gateway.open(f"eng-{number}")
    return sorted(actors, key=lambda actor: str(actor.session_id))


async def test_every_event_is_delivered_signed_and_in_order(town: Town, receiver: Receiver) -> None:
    await run_keeper(town, receiver.port)
    (actor,) = await sessions(town, 1)
    await actor.append(entry(2, word="déjà"), entry(3))
    await actor.append(entry(4, "session.ended", reason="ended_by_agent"))
    await until(lambda: len(receiver.events) == 4, "four events")
    assert actor.session_id is not None
    assert receiver.of(actor.session_id) == [1, 2, 3, 4]
    assert receiver.events[1] == {
        "id": f"{actor.session_id}:2",
        "type": "test.noted",
        "version": 1,
        "at_ms": 1_002,
        "account_id": ACCOUNT,
        "session_id": actor.session_id,
        "engagement_key": "eng-0",
        "seq": 2,
        "body": {"word": "déjà"},
    }
    assert receiver.unsigned == 0
    assert receiver.heads[0]["host"] == f"localhost:{receiver.port}"


async def test_a_receiver_that_fails_half_of_the_time_gets_everything_in_order(
    town: Town, receiver: Receiver
) -> None:
    chance = random.Random(7)
    receiver.status = lambda event: chance.choice((200, 500))
    await run_keeper(town, receiver.port)
    actors = await sessions(town, 3)
    for seq in range(2, 6):
        for actor in actors:
            await actor.append(entry(seq))
        town.clock.ms += 1_000  # back-off is wall time
    await until(lambda: _moved(town) and len(receiver.events) >= 15, "all events")
    for actor in actors:
        assert actor.session_id is not None
        assert receiver.of(actor.session_id) == list(range(1, 6))


def _moved(town: Town) -> bool:
    town.clock.ms += 50
    return True


async def test_a_receiver_that_is_down_loses_nothing_and_stops_nobody_else(
    town: Town, receiver: Receiver
) -> None:
    down = Receiver()
    down.now_s = receiver.now_s
    port = await down.start()
    await down.stop()
    keeper = await run_keeper(town, receiver.port, port)
    (actor,) = await sessions(town, 1)
    await actor.append(entry(2))
    await until(lambda: len(receiver.events) == 2, "the other's events")
    # Neither the keeper's memory nor the ledger's holds what is due.
    await keeper.close()
    await town.ledger.close()
    await town.new_ledger()
    await down.start(port)
    town.stack.push_async_callback(down.stop)
    await run_keeper(town, receiver.port, port)
    await until(lambda: _moved(town) and len(down.events) == 2, "the late events")
    assert [event["seq"] for event in down.events] == [1, 2]
    # A keeper that dies between delivery and note delivers again; the ids tell.
    assert {event["seq"] for event in receiver.events} == {1, 2}


async def test_a_redirect_is_a_failure(town: Town, receiver: Receiver) -> None:
    elsewhere = Receiver()
    elsewhere.now_s = receiver.now_s
    port = await elsewhere.start()
    town.stack.push_async_callback(elsewhere.stop)
    receiver.status = lambda event: 307
    receiver.location = f"http://127.0.0.1:{port}/"
    await run_keeper(town, receiver.port)
    await sessions(town, 1)
    await until(lambda: _moved(town) and receiver.tries >= 2, "another try")
    assert (receiver.events, elsewhere.tries) == ([], 0)


async def test_what_fails_is_tried_for_a_whole_day(town: Town, receiver: Receiver) -> None:
    receiver.status = lambda event: 500
    # From ten minutes to four hours, so that the day is over soon; how it doubles is known.
    patient = DeliveryPolicy(loopback_allowed=True, backoff_first_s=600, backoff_last_s=14_400)
    await run_keeper(town, receiver.port, policy=replace(QUICK, delivery=patient, poll_s=0.01))
    link = await keeper_link(town)
    await sessions(town, 1)
    began, waits = town.clock.ms, []
    ask = keeping.OutboxTake(endpoint_id="endpoint-0", account_id=ACCOUNT)
    while True:
        found = await link.call(ask, keeping.OutboxParcels)
        if found.parcels:
            continue  # it is being tried
        if found.next_due_in_ms is None:
            break
        waits.append(found.next_due_in_ms)
        town.clock.ms += found.next_due_in_ms
    assert len(waits) == receiver.tries - 1
    assert 300_000 <= waits[0] <= 600_000
    assert 7_200_000 <= max(waits) <= 14_400_000
    assert 24 * 3_600_000 <= town.clock.ms - began < 28 * 3_600_000
    page = await link.call(upkeep.DeadLetters(), upkeep.DeadLetterPage)
    assert [letter.seq for letter in page.letters] == [1]


async def test_what_fails_for_a_day_is_a_dead_letter_that_can_be_sent_again(
    town: Town, receiver: Receiver
) -> None:
    receiver.status = lambda event: 500 if event["seq"] == 2 else 200
    await run_keeper(town, receiver.port)
    link = await keeper_link(town)
    (actor,) = await sessions(town, 1)
    await actor.append(entry(2), entry(3))
    await until(lambda: _moved(town) and receiver.tries >= 3, "a second try")
    assert [event["seq"] for event in receiver.events] == [1]
    town.clock.ms += 24 * 3_600_000 + 1
    await until(lambda: _moved(town) and len(receiver.events) == 2, "the event after it")
    assert [event["seq"] for event in receiver.events] == [1, 3]
    page = await link.call(upkeep.DeadLetters(), upkeep.DeadLetterPage)
    assert [(one.seq, one.why) for one in page.letters] == [(2, "status 500")]
    assert page.letters[0].type == "test.noted"
    strangers = await link.call(upkeep.DeadLetters(account_id="other"), upkeep.DeadLetterPage)
    assert strangers.letters == []
    letter = page.letters[0]
    with pytest.raises(NotFound):
        await link.call(
            upkeep.Redeliver(account_id="other", endpoint_id=letter.endpoint_id),
            upkeep.Redelivered,
        )
    again = upkeep.Redeliver(
        endpoint_id=letter.endpoint_id, session_id=letter.session_id, seq=letter.seq
    )

    async def due() -> list[bool]:
        page = await link.call(upkeep.DeadLetters(), upkeep.DeadLetterPage)
        return [letter.again for letter in page.letters]

    # Refused once more it stays where it was, and is not sent by itself.
    tries = receiver.tries
    await link.call(again, upkeep.Redelivered)
    while await due() != [False]:
        pass
    assert receiver.tries == tries + 1
    receiver.status = lambda event: 200
    await link.call(again, upkeep.Redelivered)
    await until(lambda: len(receiver.events) == 3, "the dead letter")
    while await due():
        pass
    with pytest.raises(NotFound):
        await link.call(again, upkeep.Redelivered)


async def test_what_waited_behind_a_failing_event_has_a_day_of_its_own(
    town: Town, receiver: Receiver
) -> None:
    receiver.status = lambda event: 500
    await run_keeper(town, receiver.port)
    link = await keeper_link(town)
    (actor,) = await sessions(town, 1)
    await actor.append(entry(2))
    ask = keeping.OutboxTake(endpoint_id="endpoint-0", account_id=ACCOUNT)
    while (await link.call(ask, keeping.OutboxParcels)).next_due_in_ms is None:
        pass
    receiver.status = lambda event: 200 if event["seq"] == 1 else 500
    town.clock.ms += 24 * 3_600_000 + 1
    await until(lambda: len(receiver.events) == 1, "the event that failed for a day")
    due = None
    while due is None:
        due = (await link.call(ask, keeping.OutboxParcels)).next_due_in_ms
        page = await link.call(upkeep.DeadLetters(), upkeep.DeadLetterPage)
        assert page.letters == []
    receiver.status = lambda event: 200
    await until(lambda: _moved(town) and len(receiver.events) == 2, "the event behind it")


async def test_accounts_without_an_endpoint_do_not_fill_the_outbox(
    town: Town, receiver: Receiver
) -> None:
    await sessions(town, 2)
    link = await keeper_link(town)
    await link.call(keeping.OutboxSkip(accounts=["other"]), Done)
    take = keeping.OutboxTake(endpoint_id="new", account_id=ACCOUNT)
    assert (await link.call(take, keeping.OutboxParcels)).parcels == []


async def test_a_session_that_nobody_owns_is_ended_as_lost(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, lost_after_ms=200))
    (actor,) = await sessions(town, 1)
    gateway = await town.gateway()
    assert actor.session_id is not None
    await run_keeper(town)
    await actor.die()
    with pytest.raises(Conflict):
        await gateway.open("eng-0")
    town.clock.ms += 201

    async def phase() -> SessionPhase:
        assert actor.session_id is not None
        return (await gateway.record(actor.session_id)).phase

    while await phase() is not SessionPhase.ENDED:
        pass
    record = await gateway.record(actor.session_id)
    assert record.end_reason is EndReason.LOST
    assert [one.type for one in record.events] == ["session.started", "session.ended"]
    await town.actor()
    await gateway.open("eng-0")


async def test_a_session_whose_people_still_ask_is_not_lost_and_one_nobody_asks_for_is(
    bare_town: Town,
) -> None:
    """More sessions than standbys: the death of a node beyond its reserve."""
    town = bare_town
    ledger = await town.new_ledger(replace(POLICY, settle_s=0.01))
    dead = [await town.actor() for _ in range(3)]
    gateway, keeper = await town.gateway(), await keeper_link(town)
    asked, left, stuck = [(await gateway.open(f"eng-{n}")).session_id for n in range(3)]
    for actor in dead:
        await actor.die()
    await until(lambda: ledger.level().queued == 3, "all wait for a standby")

    async def ask(session_id: str) -> None:
        with pytest.raises(Unavailable):
            await gateway.takeover(session_id, 1)

    async def reconcile() -> list[str]:
        return (await keeper.call(keeping.Reconcile(), keeping.Reconciled)).ended

    town.clock.ms += POLICY.lost_after_ms - 1
    await ask(asked)
    await ask(stuck)
    assert await reconcile() == []
    town.clock.ms += 1
    assert await reconcile() == [left]
    begun_ms = town.clock.ms - POLICY.lost_after_ms
    # Its people come back again and again; somebody's forgotten window, too, but not for ever.
    while town.clock.ms < begun_ms + POLICY.lost_at_last_ms - 10_000:
        town.clock.ms += 10_000
        await ask(asked)
        await ask(stuck)
        assert await reconcile() == []
    standby = await town.actor()
    await until(lambda: bool(standby.committed), "the first standby that was started")
    assert standby.session_id == asked
    town.clock.ms += 10_000
    await ask(stuck)
    assert await reconcile() == [stuck]
    assert (await gateway.record(stuck)).end_reason is EndReason.LOST
    assert (await gateway.record(asked)).end_reason is None


@pytest.mark.parametrize("way", ["alive", "silent"])
async def test_a_session_whose_actor_cannot_reach_a_new_ledger_is_continued(
    bare_town: Town, way: str
) -> None:
    """Its trunks stand, so no gateway asks where it is."""
    town = bare_town
    first = await town.new_ledger()
    (actor,) = await sessions(town, 1)
    await first.close()
    await actor.link.close()
    async with AsyncExitStack() as stack:
        if way == "silent":
            await actor._listener.close()
            loop = asyncio.get_running_loop()
            mute = await loop.create_server(asyncio.Protocol, HOST, actor.port)
            stack.callback(mute.close)
        await town.new_ledger()
        gateway, keeper = await town.gateway(), await keeper_link(town)
        town.clock.ms += POLICY.lost_after_ms
        assert (await keeper.call(keeping.Reconcile(), keeping.Reconciled)).ended == []
        standby = await town.actor()
        news = "session.relocated"
        await until(lambda: bool(gateway.told(news, SessionRelocated)), "another continues it")
        assert standby.session_id == actor.session_id
        (moved,) = gateway.told(news, SessionRelocated)
        assert (moved.location.session_id, moved.location.epoch) == (actor.session_id, 2)


async def test_a_session_that_is_looked_for_in_vain_is_lost(bare_town: Town) -> None:
    town = bare_town
    first = await town.new_ledger()
    (actor,) = await sessions(town, 1)
    await first.close()
    await actor.link.close()
    await town.new_ledger()
    keeper = await keeper_link(town)
    for ended in ([], [actor.session_id]):
        town.clock.ms += POLICY.lost_after_ms
        assert (await keeper.call(keeping.Reconcile(), keeping.Reconciled)).ended == ended


async def test_a_session_with_an_actor_is_not_lost(town: Town) -> None:
    (actor,) = await sessions(town, 1)
    link = await keeper_link(town)
    town.clock.ms += 10_000_000
    found = await link.call(keeping.Reconcile(), keeping.Reconciled)
    assert found.ended == []
    await actor.append(entry(2))


async def test_records_are_deleted_when_their_time_is_over(town: Town) -> None:
    old, kept = await sessions(town, 2)
    gateway = await town.gateway()
    assert old.session_id is not None
    assert kept.session_id is not None
    await old.append(entry(2, "session.ended", reason="ended_by_agent"))
    await run_keeper(town, policy=replace(QUICK, retention_days={ACCOUNT: 1}))
    town.clock.ms = 1_002 + 24 * 3_600_000 + 1

    async def is_there(session_id: str) -> bool:
        try:
            await gateway.record(session_id)
        except SwitchboardError:
            return False
        return True

    while await is_there(old.session_id):
        pass
    assert await is_there(kept.session_id)


async def test_only_the_keeper_may_keep(town: Town) -> None:
    gateway = await town.gateway()
    with pytest.raises(SwitchboardError, match="may not"):
        await gateway.link.call(keeping.Reconcile(), keeping.Reconciled)


async def test_a_chore_that_breaks_is_done_again(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replies: list[bytes] = []

    class Unreadable(keeping.Reconciled):
        @classmethod
        def model_validate_json(cls, json_data: Any, **_: Any) -> Any:
            replies.append(json_data)
            if len(replies) == 1:
                raise ValueError("made for this test")
            return keeping.Reconciled(ended=[])

    monkeypatch.setattr(keeping, "Reconciled", Unreadable)
    await run_keeper(town)
    await until(lambda: len(replies) > 1, "the reconciler asked again")
    assert "A chore of the keeper broke." in caplog.messages
