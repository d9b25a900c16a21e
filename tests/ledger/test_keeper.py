"""Webhooks and retention: a keeper against a ledger and a receiver."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.erasure import Erasing
from actors.ledger.grown import Grown
from actors.ledger.outbox import Outbox
from broker.errors import ErrorCode, Internal, SwitchboardError, Unavailable
from broker.measures import Standing
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, entry
from tests.ledger.keepers import QUICK, moved, run_keeper, sessions
from tests.ledger.receiver import Receiver
from tests.ledger.test_erasure import VISITOR, a_record
from tests.patience import PATIENCE, until

DAY_MS = 24 * 3_600_000


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
    await until(lambda: moved(town) and len(receiver.events) >= 15, "all events")
    for actor in actors:
        assert actor.session_id is not None
        assert receiver.of(actor.session_id) == list(range(1, 6))


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
    await until(lambda: moved(town) and len(down.events) == 2, "the late events")
    assert [event["seq"] for event in down.events] == [1, 2]
    # A keeper that dies between delivery and note delivers again; the ids tell.
    assert {event["seq"] for event in receiver.events} == {1, 2}


async def sent(receiver: Receiver, count: int) -> None:
    await until(lambda: len(receiver.events) == count, "what another is sent")


async def test_what_cannot_be_settled_is_not_sent_over_and_over(
    town: Town, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a full disk: the ledger can read what is due, and not write that it was sent."""
    other = Receiver()
    other.now_s = receiver.now_s
    town.stack.push_async_callback(other.stop)
    settle = Outbox.settle

    async def full(self: Outbox, ask: keeping.OutboxSettle) -> Done:
        if ask.endpoint_id == "endpoint-0":
            raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger cannot write now.")
        return await settle(self, ask)

    monkeypatch.setattr(Outbox, "settle", full)
    patient = replace(QUICK.delivery, backoff_first_s=600, backoff_last_s=600)
    policy = replace(QUICK, delivery=patient, poll_s=0.01)
    await run_keeper(town, receiver.port, await other.start(), policy=policy)
    (actor,) = await sessions(town, 1)
    for seq in range(2, 7):
        await sent(other, seq - 1)
        await actor.append(entry(seq))
    await sent(other, 6)
    assert [event["seq"] for event in receiver.events] == [1]


async def test_a_redirect_is_a_failure(town: Town, receiver: Receiver) -> None:
    elsewhere = await town.receiver()
    receiver.status = lambda event: 307
    receiver.location = f"http://127.0.0.1:{elsewhere.port}/"
    await run_keeper(town, receiver.port)
    await sessions(town, 1)
    await until(lambda: moved(town) and receiver.tries >= 2, "another try")
    assert (receiver.events, elsewhere.tries) == ([], 0)


@pytest.mark.parametrize("ended_by_then", [True, False])
async def test_an_erasure_is_told_as_soon_as_it_is_noted(
    town: Town, receiver: Receiver, ended_by_then: bool
) -> None:
    """Not when all sessions are looked through the next time, for which no clock goes on here."""
    actor, _, link = await a_record(town, ended=ended_by_then)
    await run_keeper(town, receiver.port)
    told = 3 if ended_by_then else 2
    await until(lambda: len(receiver.events) == told, "what was there before")
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    if not ended_by_then:
        await actor.append(entry(3, "session.ended", reason="ended_by_agent"))
    await until(lambda: len(receiver.events) == 4, "the erasure")
    assert receiver.events[-1]["type"] == "subject.erased"


async def test_records_are_deleted_when_their_time_is_over(town: Town) -> None:
    old, kept = await sessions(town, 2)
    gateway = await town.gateway()
    assert old.session_id is not None
    assert kept.session_id is not None
    await old.append(entry(2, "session.ended", reason="ended_by_agent"))
    await run_keeper(town, policy=replace(QUICK, retention_days={ACCOUNT: 1}))
    town.clock.ms += DAY_MS + 1

    async def is_there(session_id: str) -> bool:
        try:
            await gateway.record(session_id)
        except SwitchboardError:
            return False
        return True

    while await is_there(old.session_id):
        pass
    assert await is_there(kept.session_id)


async def test_an_account_whose_records_cannot_be_deleted_keeps_no_others(
    bare_town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expire, asked = Erasing.expire, []

    async def failing(self: Erasing, ask: keeping.RecordExpire) -> keeping.Expired:
        asked.append(ask.account_id)
        if ask.account_id == "first":
            raise Internal(ErrorCode.INTERNAL, "made for this test")
        return await expire(self, ask)

    monkeypatch.setattr(Erasing, "expire", failing)
    await bare_town.new_ledger()
    policy = replace(QUICK, retention_days={"first": 1, ACCOUNT: 1})
    await run_keeper(bare_town, policy=policy)
    await until(lambda: asked[2:4] == ["first", ACCOUNT], "a second round")
    assert asked[:2] == ["first", ACCOUNT]
    [said, *_] = [each for each in caplog.records if each.message == "Records were not deleted."]
    assert said.__dict__["account_id"] == "first"


async def test_what_the_keeper_could_not_take_over_of_the_accounts_is_shown(town: Town) -> None:
    def shown() -> int | None:
        own = next(each for each in town.ledger.measured().measured if not each.node)
        return own.standing.get(Standing.ACCOUNT_FAULTS)

    keeper = await run_keeper(town)
    for faults in (2, 0):
        keeper.account_faults = faults
        await until(lambda faults=faults: shown() == faults, "how many there are")  # type: ignore[misc]


async def test_what_one_account_sends_has_no_others_webhooks_looked_after(
    town: Town, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: Counter[str] = Counter()
    begin = Grown.begin

    def counted(self: Grown, account_id: str, endpoint_id: str) -> frozenset[str] | None:
        looks[account_id] += 1
        return begin(self, account_id, endpoint_id)

    monkeypatch.setattr(Grown, "begin", counted)
    seldom = replace(QUICK, poll_s=600.0)
    for account_id in (ACCOUNT, "other"):
        await run_keeper(town, receiver.port, policy=seldom, account_id=account_id, knows_all=False)
    await until(lambda: looks["other"] and looks[ACCOUNT], "the first looks")
    (actor,) = await sessions(town, 1)
    for seq in range(2, 6):
        await actor.append(entry(seq))
        await until(lambda seq=seq: len(receiver.events) == seq, "what was appended")  # type: ignore[misc]
    assert (looks["other"], looks[ACCOUNT] > 4) == (1, True)


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


async def test_a_webhook_with_much_to_look_through_is_looked_at_less_often(
    town: Town, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is down for a day has all sessions of the day; others write on meanwhile."""
    looks, look_s = 0, 0.05
    begin, read = Grown.begin, Database.read

    def counted(self: Grown, account_id: str, endpoint_id: str) -> frozenset[str] | None:
        nonlocal looks
        looks += 1
        return begin(self, account_id, endpoint_id)

    async def slow(self: Database, work: Any) -> Any:
        await asyncio.sleep(look_s)
        return await read(self, work)

    receiver.status = lambda event: 500
    patient = replace(QUICK.delivery, backoff_first_s=600, backoff_last_s=600)
    await run_keeper(town, receiver.port, policy=replace(QUICK, delivery=patient))
    (actor,) = await sessions(town, 1)
    await until(lambda: receiver.tries == 1, "the only try")
    monkeypatch.setattr(Grown, "begin", counted)
    monkeypatch.setattr(Database, "read", slow)
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    for seq in itertools.count(2):
        await actor.append(entry(seq))
        if loop.time() - begun_s > 0.6 and looks >= 2:
            break
    assert looks < (loop.time() - begun_s) / look_s / 2
