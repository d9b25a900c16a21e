"""What is given up after a time, and what waits behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.keeper import DeliveryPolicy
from actors.ledger import keeping, outbox
from actors.ledger_link import LedgerLink
from broker.errors import NotFound
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, FakeActor, entry
from tests.ledger.keepers import QUICK, keeper_link, moved, run_keeper, sessions
from tests.ledger.receiver import Receiver
from tests.patience import PATIENCE, until

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


async def second_of_three(town: Town, receiver: Receiver, status: int) -> LedgerLink:
    """Deliver three events of a session, the second answered so; returns a link of a keeper."""
    answer(receiver, status)
    await run_keeper(town, receiver.port)
    link = await keeper_link(town)
    (actor,) = await sessions(town, 1)
    await actor.append(entry(2), entry(3))
    return link


def answer(receiver: Receiver, status: int) -> None:
    """Answer so to the second event from now on."""
    receiver.status = lambda event: status if event["seq"] == 2 else 200


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
    link = await second_of_three(town, receiver, 500)
    await until(lambda: moved(town) and receiver.tries >= 3, "a second try")
    assert [event["seq"] for event in receiver.events] == [1]
    town.clock.ms += DAY_MS + 1
    await until(lambda: moved(town) and len(receiver.events) == 2, "the event after it")
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


async def test_many_letters_are_made_due_in_many_transactions(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one, whatever calls write would wait for all of it."""
    monkeypatch.setattr(outbox, "LETTERS_AT_ONCE", 2)
    link = await keeper_link(town)
    for actor in await sessions(town, 5):
        given_up = keeping.OutboxSettle(
            endpoint_id="endpoint-0",
            session_id=str(actor.session_id),
            delivered_seq=0,
            dead="status 500",
            endpoints=["endpoint-0"],
        )
        await link.call(given_up, Done)
    before = town.ledger.transactions
    again = upkeep.Redeliver(endpoint_id="endpoint-0")
    assert (await link.call(again, upkeep.Redelivered)).count == 5
    assert town.ledger.transactions - before == 3
    ask = keeping.OutboxTake(endpoint_id="endpoint-0", account_id=ACCOUNT)
    assert len((await link.call(ask, keeping.OutboxParcels)).parcels) == 5
    assert (await link.call(again, upkeep.Redelivered)).count == 5, "those that are due still"


async def test_an_endpoint_that_another_account_has_now_gets_no_letter_of_the_one_before(
    town: Town,
) -> None:
    link = await keeper_link(town)
    (actor,) = await sessions(town, 1)
    given_up = keeping.OutboxSettle(
        endpoint_id="endpoint-0",
        session_id=str(actor.session_id),
        delivered_seq=0,
        dead="status 500",
        endpoints=["endpoint-0"],
    )
    await link.call(given_up, Done)
    await link.call(upkeep.Redeliver(endpoint_id="endpoint-0"), upkeep.Redelivered)
    due = {}
    for account_id in (ACCOUNT, "other"):
        ask = keeping.OutboxTake(endpoint_id="endpoint-0", account_id=account_id)
        found = await link.call(ask, keeping.OutboxParcels)
        due[account_id] = [parcel.again for parcel in found.parcels]
    assert due == {ACCOUNT: [True], "other": []}


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
    await until(lambda: moved(town) and receiver.tries >= 2, "a second try")
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
    await until(
        lambda: moved(town) and receiver.tries >= tries + 2 * least, "many tries", 60 * PATIENCE
    )
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
    await until(
        lambda: moved(town) and len(receiver.events) == 2, "both that waited", 60 * PATIENCE
    )
    assert [event["seq"] for event in receiver.events] == [2, 3]
    assert await dead_letters(link) == [1]


@pytest.mark.parametrize(("status", "is_refusal"), [(400, True), (422, True), (404, False)])
async def test_an_event_that_its_receiver_refuses_holds_the_others_up_for_an_hour(
    town: Town, receiver: Receiver, status: int, is_refusal: bool
) -> None:
    link = await second_of_three(town, receiver, status)
    most = 2 * DeliveryPolicy().least_tries
    await until(lambda: moved(town) and receiver.tries >= most, "many tries", 60 * PATIENCE)
    assert await dead_letters(link) == []
    town.clock.ms += HOUR_MS
    tries = receiver.tries + 3
    await until(
        lambda: moved(town) and (receiver.tries >= tries or len(receiver.events) == 2),
        "a few more, or the event behind it",
    )
    assert [event["seq"] for event in receiver.events] == ([1, 3] if is_refusal else [1])
    assert await dead_letters(link) == ([2] if is_refusal else [])


async def test_what_failed_for_an_hour_has_an_hour_more_once_it_is_refused(
    town: Town, receiver: Receiver
) -> None:
    """Who comes back from an outage with a mistake has refused nothing before."""
    link = await second_of_three(town, receiver, 503)
    most = 2 * DeliveryPolicy().least_tries
    await until(lambda: moved(town) and receiver.tries >= most, "many tries", 60 * PATIENCE)
    town.clock.ms += HOUR_MS
    await until(lambda: moved(town) and receiver.tries >= most + 2, "tries after an hour")

    async def answered(status: int, ms: int) -> list[int]:
        """Answer so for a time, at some tries before and after it; returns the dead letters."""
        answer(receiver, status)
        for passes in (ms, 0):
            tries = receiver.tries + 3
            await until(
                lambda least=tries: (
                    moved(town)  # type: ignore[misc]
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
    await until(lambda: moved(town) and len(receiver.events) == 2, "the event behind it")


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
