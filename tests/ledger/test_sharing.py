"""What gateways know together: who lost access, which requests were answered already."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from actors.ledger.audience import Audience
from actors.ledger.database import Database
from actors.ledger.schema import answers
from actors.ledger.sharing import CLAIM_MS, KEPT_MS, Sharing
from actors.ledger.writer import Writer
from broker.errors import TooFast
from broker.messages import sharing
from broker.messages.cluster.base import Done
from broker.messages.cluster.nodes import PoolLevel
from broker.messages.sharing import Claim
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, FakeGateway
from tests.ledger.steps import Steps
from tests.patience import until

CLAIM = sharing.AnswerClaim(place="place", fingerprint="body")


def revocation(town: Town, subject: str, *, lasts_s: float = 60) -> sharing.Revocation:
    now_s = town.clock.ms / 1000
    return sharing.Revocation(
        account_id=ACCOUNT, subject_hash=subject, at_s=now_s, until_s=now_s + lasts_s
    )


async def listed(gateway: FakeGateway) -> list[sharing.Revocation]:
    found = await gateway.link.call(sharing.RevocationList(), sharing.Revocations)
    return sorted(found.revocations, key=lambda each: each.subject_hash)


async def test_a_revocation_reaches_every_gateway_and_those_that_come_later(town: Town) -> None:
    here, there = await town.gateway(), await town.gateway()
    made = revocation(town, "a")
    await here.link.call(made, Done)
    for gateway in (here, there):
        await until(partial(gateway.told, "revocation.added", sharing.Revocation), "the notice")
        assert gateway.told("revocation.added", sharing.Revocation) == [made]
    await town.ledger.close()
    await town.new_ledger()
    assert await listed(await town.gateway()) == [made]


async def test_a_later_revocation_counts_and_an_earlier_one_said_again_does_not(
    town: Town,
) -> None:
    gateway = await town.gateway()
    first = revocation(town, "a", lasts_s=10)
    town.clock.ms += 1_000
    second = revocation(town, "a", lasts_s=10)
    for each in (first, second, first):
        await gateway.link.call(each, Done)
    assert await listed(gateway) == [second]
    town.clock.ms += 10_001
    assert await listed(gateway) == []
    await gateway.link.call(revocation(town, "b"), Done)
    assert [each.subject_hash for each in await listed(gateway)] == ["b"]


async def test_the_list_comes_in_pages(town: Town) -> None:
    gateway = await town.gateway()
    for subject in "dbeac":
        await gateway.link.call(revocation(town, subject), Done)
    found: list[str] = []
    ask = sharing.RevocationList(limit=2)
    while (page := await gateway.link.call(ask, sharing.Revocations)).more:
        found += [each.subject_hash for each in page.revocations]
        last = page.revocations[-1]
        ask = sharing.RevocationList(limit=2, after=(last.account_id, last.subject_hash))
    found += [each.subject_hash for each in page.revocations]
    assert found == ["a", "b", "c", "d", "e"]


async def test_an_account_with_too_many_revocations_costs_no_other_its_own(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "MOST_REVOCATIONS", 2)
    gateway = await town.gateway()
    theirs = revocation(town, "x").model_copy(update={"account_id": "other"})
    for each in (theirs, revocation(town, "a"), revocation(town, "b")):
        await gateway.link.call(each, Done)
    with pytest.raises(TooFast):
        await gateway.link.call(revocation(town, "c"), Done)
    town.clock.ms += 1_000
    again = revocation(town, "a")
    await gateway.link.call(again, Done)
    assert {(each.account_id, each.subject_hash) for each in await listed(gateway)} == {
        ("other", "x"),
        (ACCOUNT, "a"),
        (ACCOUNT, "b"),
    }


async def claim(gateway: FakeGateway, ask: sharing.AnswerClaim = CLAIM) -> sharing.AnswerClaimed:
    return await gateway.link.call(ask, sharing.AnswerClaimed)


async def test_one_of_two_gateways_does_it_and_the_other_gets_the_answer(town: Town) -> None:
    here, there = await town.gateway(), await town.gateway()
    assert (await claim(here)).claim is Claim.FIRST
    assert (await claim(there)).claim is Claim.RUNNING
    other = CLAIM.model_copy(update={"fingerprint": "another"})
    assert (await claim(there, other)).claim is Claim.OTHER_BODY
    await here.link.call(sharing.AnswerSettle(place="place", sealed="sealed"), Done)
    again = await claim(there)
    assert (again.claim, again.sealed) == (Claim.ANSWERED, "sealed")
    # A failure that is said late does not take the answer back.
    await here.link.call(sharing.AnswerRelease(place="place"), Done)
    assert (await claim(there)).claim is Claim.ANSWERED
    town.clock.ms += KEPT_MS + 1
    assert (await claim(there)).claim is Claim.FIRST


async def test_a_failed_or_forgotten_request_leaves_its_key_to_the_next(town: Town) -> None:
    gateway = await town.gateway()
    assert (await claim(gateway)).claim is Claim.FIRST
    await gateway.link.call(sharing.AnswerRelease(place="place"), Done)
    assert (await claim(gateway)).claim is Claim.FIRST
    town.clock.ms += CLAIM_MS + 1
    assert (await claim(gateway)).claim is Claim.FIRST


async def test_a_failure_said_when_its_claim_has_lapsed_frees_nobody_elses(town: Town) -> None:
    here, there = await town.gateway(), await town.gateway()
    slow = await claim(here)
    town.clock.ms += CLAIM_MS + 1
    assert (await claim(there)).claim is Claim.FIRST
    late = sharing.AnswerRelease(place="place", begun_ms=slow.begun_ms)
    await here.link.call(late, Done)
    assert (await claim(here)).claim is Claim.RUNNING
    # A gateway of the release before does not say when its own began.
    await there.link.call(sharing.AnswerRelease(place="place"), Done)
    assert (await claim(there)).claim is Claim.FIRST


async def test_an_answer_that_comes_when_its_claim_has_lapsed_is_given_to_nobody_else(
    town: Town,
) -> None:
    """The key came again, with another body: what was made of the first is no answer to it."""
    here, there = await town.gateway(), await town.gateway()
    slow = await claim(here)
    town.clock.ms += CLAIM_MS + 1
    other = CLAIM.model_copy(update={"fingerprint": "another"})
    quick = await claim(there, other)
    assert quick.claim is Claim.FIRST
    for gateway, mine in ((here, slow), (there, quick)):
        settle = sharing.AnswerSettle(
            place="place", sealed=f"of {mine.begun_ms}", begun_ms=mine.begun_ms
        )
        await gateway.link.call(settle, Done)
        again = await claim(there, other)
        expected = None if mine is slow else settle.sealed
        assert again.sealed == expected
    # A gateway of the release before does not say when its own began.
    await there.link.call(sharing.AnswerSettle(place="place", sealed="later"), Done)
    assert (await claim(there, other)).sealed == "later"


async def test_what_was_answered_today_makes_no_claim_slower(tmp_path: Path) -> None:
    """A backend may ask 1,200 times a minute, and all accounts' calls wait for the one writer."""
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    await database.take_term(0)
    writer = Writer(database)
    writer.start()
    now_ms = 2 * KEPT_MS
    nobody = Audience(lambda: PoolLevel(standbys=0, live=0, queued=0), 1.0)
    book = Sharing(database, writer, nobody, lambda: now_ms)
    today = [
        {
            "place": f"{number}",
            "fingerprint": "body",
            "begun_ms": now_ms // 2 + number,
            "sealed": "s",
        }
        for number in range(1, 1_001)
    ]
    steps = Steps()
    try:
        await steps.of(database)
        steps.taken()
        await book.claim(CLAIM.model_copy(update={"place": "before"}))
        alone = steps.taken()
        await database.write(lambda connection: connection.execute(sa.insert(answers), today))
        steps.taken()
        await book.claim(CLAIM.model_copy(update={"place": "after"}))
        assert 0 < steps.taken() < 2 * alone
    finally:
        await writer.close()
        await database.close()
