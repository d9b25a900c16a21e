"""Which webhook endpoints events wait for: those there are, and those there were until lately."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from actors.keeper import Keeper
from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.endpoints import KEPT_MS
from actors.ledger.schema import UNDELIVERED, endpoints
from actors.ledger.schema import sessions as sessions_table
from broker.messages.cluster.base import Done
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, entry
from tests.ledger.keepers import keeper_link, run_keeper, sessions
from tests.ledger.receiver import Receiver
from tests.patience import until


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
    ports = [receiver.port, (await town.receiver()).port] if beside else [receiver.port]
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
    # It skips if it may; what is due as often tells when it would have.
    chore = "_skip" if knows_all else "_reconcile"
    do = getattr(Keeper, chore)

    async def counted(keeper: Keeper) -> None:
        nonlocal looks
        await do(keeper)
        looks += 1

    monkeypatch.setattr(Keeper, chore, counted)
    await run_keeper(town, knows_all=knows_all)
    await until(lambda: looks >= 3, "three looks")
    take = keeping.OutboxTake(endpoint_id="of an account", account_id=ACCOUNT)
    parcels = (await link.call(take, keeping.OutboxParcels)).parcels
    assert len(parcels) == (0 if knows_all else 1)
