"""Webhooks and retention: a keeper against a ledger and a receiver."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from actors.keeper import DeliveryPolicy, Keeper
from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.endpoints import KEPT_MS, UNDELIVERED
from actors.ledger.schema import endpoints
from actors.ledger.schema import sessions as sessions_table
from actors.ledger_link import LedgerLink
from broker.errors import NotFound, SwitchboardError
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, FakeActor, entry
from tests.ledger.keepers import QUICK, keeper_link, run_keeper, sessions
from tests.ledger.receiver import Receiver
from tests.patience import until

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def receiver(town: Town) -> Receiver:
    receiver = Receiver()
    receiver.now_s = town.clock.ms // 1000
    await receiver.start()
    town.stack.push_async_callback(receiver.stop)
    return receiver


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
    assert DAY_MS <= town.clock.ms - began < 28 * HOUR_MS
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
    town.clock.ms += DAY_MS + 1
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


async def dead_letters(link: LedgerLink) -> list[int]:
    """The numbers of the events that were given up."""
    page = await link.call(upkeep.DeadLetters(), upkeep.DeadLetterPage)
    return sorted(letter.seq for letter in page.letters)


async def failed_for_a_day(
    town: Town, receiver: Receiver, last: int
) -> tuple[FakeActor, LedgerLink]:
    """Events up to `last` of one session, of which the first has failed for a day."""
    receiver.status = lambda event: 500
    await run_keeper(town, receiver.port)
    link = await keeper_link(town)
    (actor,) = await sessions(town, 1)
    await actor.append(*map(entry, range(2, last + 1)))
    await until(lambda: _moved(town) and receiver.tries >= 2, "a second try")
    town.clock.ms += DAY_MS + 1
    return actor, link


async def test_a_receiver_that_is_gone_for_good_holds_a_session_up_for_one_day(
    town: Town, receiver: Receiver
) -> None:
    actor, link = await failed_for_a_day(town, receiver, 4)
    began = town.clock.ms
    while await dead_letters(link) != [1, 2, 3, 4]:
        town.clock.ms += 50
        assert town.clock.ms - began < HOUR_MS // 6
    least = DeliveryPolicy().least_tries
    assert receiver.tries >= 4 * least, "none was given up at its first try"
    # What did not wait behind them has a day of its own.
    tries = receiver.tries
    await actor.append(entry(5))
    await until(lambda: _moved(town) and receiver.tries >= tries + 2 * least, "many tries")
    assert await dead_letters(link) == [1, 2, 3, 4]


async def test_a_receiver_that_comes_back_behind_a_dead_letter_gets_the_next_event(
    town: Town, receiver: Receiver
) -> None:
    _, link = await failed_for_a_day(town, receiver, 3)
    failures = 3

    def comes_back(event: dict[str, Any]) -> int:
        nonlocal failures
        failures -= event["seq"] == 2
        return 500 if event["seq"] == 1 or failures >= 0 else 200

    receiver.status = comes_back
    await until(lambda: _moved(town) and len(receiver.events) == 2, "both that waited")
    assert [event["seq"] for event in receiver.events] == [2, 3]
    assert await dead_letters(link) == [1]


@pytest.mark.parametrize(("status", "is_refusal"), [(400, True), (422, True), (404, False)])
async def test_an_event_that_its_receiver_refuses_holds_the_others_up_for_an_hour(
    town: Town, receiver: Receiver, status: int, is_refusal: bool
) -> None:
    receiver.status = lambda event: status if event["seq"] == 2 else 200
    await run_keeper(town, receiver.port)
    link = await keeper_link(town)
    (actor,) = await sessions(town, 1)
    await actor.append(entry(2), entry(3))
    most = 2 * DeliveryPolicy().least_tries
    await until(lambda: _moved(town) and receiver.tries >= most, "many tries")
    assert await dead_letters(link) == []
    town.clock.ms += HOUR_MS
    tries = receiver.tries + 3
    await until(
        lambda: _moved(town) and (receiver.tries >= tries or len(receiver.events) == 2),
        "a few more, or the event behind it",
    )
    assert [event["seq"] for event in receiver.events] == ([1, 3] if is_refusal else [1])
    assert await dead_letters(link) == ([2] if is_refusal else [])


async def test_what_failed_for_an_hour_has_an_hour_more_once_it_is_refused(
    town: Town, receiver: Receiver
) -> None:
    """Who comes back from an outage with a mistake has refused nothing before."""
    receiver.status = lambda event: 503 if event["seq"] == 2 else 200
    await run_keeper(town, receiver.port)
    link = await keeper_link(town)
    (actor,) = await sessions(town, 1)
    await actor.append(entry(2), entry(3))
    most = 2 * DeliveryPolicy().least_tries
    await until(lambda: _moved(town) and receiver.tries >= most, "many tries")
    town.clock.ms += HOUR_MS
    await until(lambda: _moved(town) and receiver.tries >= most + 2, "tries after an hour")

    async def answered(status: int, ms: int) -> list[int]:
        """Answer so for a time, at some tries before and after it; returns the dead letters."""
        receiver.status = lambda event: status if event["seq"] == 2 else 200
        for passes in (ms, 0):
            tries = receiver.tries + 3
            await until(
                lambda least=tries: (
                    _moved(town)  # type: ignore[misc]
                    and (receiver.tries >= least or len(receiver.events) == 2)
                ),
                "some tries, or the event behind it",
            )
            town.clock.ms += passes
        return await dead_letters(link)

    assert await answered(400, HOUR_MS * 2 // 3) == []
    # An outage in between, and it begins anew.
    assert await answered(503, 0) == []
    assert await answered(400, HOUR_MS * 2 // 3) == []
    assert await answered(400, HOUR_MS // 3) == [2]
    assert [event["seq"] for event in receiver.events] == [1, 3]


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
    town.clock.ms += DAY_MS + 1
    await until(lambda: len(receiver.events) == 1, "the event that failed for a day")
    due = None
    while due is None:
        due = (await link.call(ask, keeping.OutboxParcels)).next_due_in_ms
        page = await link.call(upkeep.DeadLetters(), upkeep.DeadLetterPage)
        assert page.letters == []
    receiver.status = lambda event: 200
    await until(lambda: _moved(town) and len(receiver.events) == 2, "the event behind it")


async def test_what_another_keeper_has_sent_meanwhile_did_not_fail(town: Town) -> None:
    """Two may be at work for a moment: where the accounts file changes, or a node is cut off."""
    [actor] = await sessions(town, 1)
    assert actor.session_id is not None
    await actor.append(entry(2))
    link = await keeper_link(town)
    sent = keeping.OutboxSettle(
        endpoint_id="e", session_id=actor.session_id, delivered_seq=1, endpoints=["e"]
    )
    given_up = sent.model_copy(update={"delivered_seq": 0, "dead": "status 500", "failed_seq": 1})
    await link.call(sent, Done)
    await link.call(given_up, Done)
    take = keeping.OutboxTake(endpoint_id="e", account_id=ACCOUNT)
    [parcel] = (await link.call(take, keeping.OutboxParcels)).parcels
    assert [each.seq for each in parcel.entries] == [2]
    letters = upkeep.DeadLetters(account_id=ACCOUNT)
    assert (await link.call(letters, upkeep.DeadLetterPage)).letters == []
    # And what does fail is given up, in its turn.
    await link.call(given_up.model_copy(update={"delivered_seq": 1, "failed_seq": 2}), Done)
    [letter] = (await link.call(letters, upkeep.DeadLetterPage)).letters
    assert letter.seq == 2
    assert (await link.call(take, keeping.OutboxParcels)).parcels == []


async def undelivered(town: Town) -> int:
    """How many sessions the outbox's index holds."""
    database = Database(town.url)
    found = sa.select(sa.func.count()).select_from(sessions_table).where(UNDELIVERED)
    count = await database.read(lambda connection: connection.scalar(found))
    await database.close()
    assert count is not None
    return count


@pytest.mark.parametrize("beside", [False, True], ids=["the only one", "one of two"])
async def test_a_webhook_that_is_away_for_a_minute_gets_what_happened_meanwhile(
    town: Town, receiver: Receiver, beside: bool
) -> None:
    """A mistake in the accounts file costs no event, also of sessions that are over by then."""
    other = Receiver()
    other.now_s = receiver.now_s
    ports = [receiver.port, await other.start()] if beside else [receiver.port]
    town.stack.push_async_callback(other.stop)
    keeper = await run_keeper(town, *ports)
    before, after = await sessions(town, 2)
    while await undelivered(town):
        pass
    await keeper.close()
    receiver.events.clear()

    # "endpoint-0" is named no more; the other one is, where there is one.
    link = await keeper_link(town)
    without = {ACCOUNT: ["endpoint-1"]} if beside else {}
    skip = keeping.OutboxSkip(accounts=[*without], endpoints=without)
    await link.call(skip, Done)
    for actor in (before, after):
        await actor.append(entry(2), entry(3, "session.ended", reason="ended_by_agent"))
    if beside:
        settled = keeping.OutboxSettle(
            endpoint_id="endpoint-1",
            session_id=str(before.session_id),
            delivered_seq=3,
            endpoints=["endpoint-1"],
        )
        await link.call(settled, Done)
    town.clock.ms += KEPT_MS - 1
    await link.call(skip, Done)

    await run_keeper(town, *ports)
    await until(lambda: len(receiver.events) == 4, "what happened meanwhile")
    for actor in (before, after):
        assert actor.session_id is not None
        assert receiver.of(actor.session_id) == [2, 3]
    while await undelivered(town):
        pass


@pytest.mark.parametrize("beside", [False, True], ids=["the only one", "one of two"])
async def test_a_webhook_that_is_gone_for_a_day_is_waited_for_no_longer(
    town: Town, beside: bool
) -> None:
    await sessions(town, 2)
    link = await keeper_link(town)
    named = {ACCOUNT: ["gone", "there"] if beside else ["gone"]}
    without = {ACCOUNT: ["there"]} if beside else {}
    found = await link.call(
        keeping.OutboxTake(endpoint_id="gone", account_id=ACCOUNT), keeping.OutboxParcels
    )
    for parcel in found.parcels:
        for name in named[ACCOUNT]:
            settled = keeping.OutboxSettle(
                endpoint_id=name,
                session_id=parcel.session_id,
                delivered_seq=1 if name == "there" else 0,
                retry_in_ms=None if name == "there" else 1_000,
                endpoints=named[ACCOUNT],
            )
            await link.call(settled, Done)
    skip = keeping.OutboxSkip(accounts=[*without], endpoints=without)
    await link.call(skip, Done)
    town.clock.ms += KEPT_MS - 1
    await link.call(skip, Done)
    assert await undelivered(town) == 2
    town.clock.ms += 1
    await link.call(skip, Done)
    assert await undelivered(town) == 0
    # It is forgotten, too: what happens from now on does not wait for it.
    database = Database(town.url)
    rows = await database.rows(sa.select(endpoints.c.endpoint_id))
    await database.close()
    assert [row.endpoint_id for row in rows] == (["there"] if beside else [])


async def test_a_keeper_of_the_release_before_takes_no_events_from_a_webhook(
    town: Town, receiver: Receiver
) -> None:
    """It names accounts only, so that which endpoints they have may not be known."""
    (actor,) = await sessions(town, 1)
    link = await keeper_link(town)
    await link.call(keeping.OutboxSkip(accounts=[ACCOUNT]), Done)
    assert await undelivered(town) == 1
    keeper = await run_keeper(town, receiver.port)
    while await undelivered(town):
        pass
    await keeper.close()
    await actor.append(entry(2))
    for accounts in ([ACCOUNT], []):
        await link.call(keeping.OutboxSkip(accounts=accounts), Done)
        assert await undelivered(town) == 1


async def test_accounts_without_an_endpoint_do_not_fill_the_outbox(
    town: Town, receiver: Receiver
) -> None:
    await sessions(town, 2)
    link = await keeper_link(town)
    await link.call(keeping.OutboxSkip(accounts=["other"]), Done)
    take = keeping.OutboxTake(endpoint_id="new", account_id=ACCOUNT)
    assert (await link.call(take, keeping.OutboxParcels)).parcels == []


@pytest.mark.parametrize("knows_all", [True, False])
async def test_only_a_keeper_that_knows_all_endpoints_lets_events_wait_for_none(
    town: Town, monkeypatch: pytest.MonkeyPatch, knows_all: bool
) -> None:
    """An account that could not be read has endpoints all the same."""
    await sessions(town, 1)
    link, looks = await keeper_link(town), 0
    reconcile = Keeper._reconcile

    async def counted(keeper: Keeper) -> None:
        nonlocal looks
        await reconcile(keeper)
        looks += 1

    monkeypatch.setattr(Keeper, "_reconcile", counted)
    await run_keeper(town, knows_all=knows_all)
    # What is due as often has been done, too.
    await until(lambda: looks >= 3, "three looks")
    take = keeping.OutboxTake(endpoint_id="of an account", account_id=ACCOUNT)
    parcels = (await link.call(take, keeping.OutboxParcels)).parcels
    assert len(parcels) == (0 if knows_all else 1)


async def test_records_are_deleted_when_their_time_is_over(town: Town) -> None:
    old, kept = await sessions(town, 2)
    gateway = await town.gateway()
    assert old.session_id is not None
    assert kept.session_id is not None
    await old.append(entry(2, "session.ended", reason="ended_by_agent"))
    await run_keeper(town, policy=replace(QUICK, retention_days={ACCOUNT: 1}))
    town.clock.ms = 1_002 + DAY_MS + 1

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
