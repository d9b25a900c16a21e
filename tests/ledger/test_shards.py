"""Two ledgers share the accounts of one database, and one gateway finds both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.schema import sessions
from actors.ledger_link import LedgerLink
from broker.errors import ErrorCode, Gone, NotFound, SwitchboardError, Unavailable
from broker.measures import Count
from broker.messages.cluster.base import Done
from broker.messages.cluster.exporting import MeasureList, MeasureQuery
from broker.messages.cluster.measures import ActorMeasured
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeQuery, NodeState, NodeUndrain
from broker.messages.cluster.presence import PresenceDisplaced, PresenceState, PresenceWatch
from broker.messages.cluster.records import RecordGet, RecordQuery, RecordRate
from broker.messages.cluster.sessions import SessionAttach, SessionQueued
from broker.messages.cluster.trunk import Location
from broker.messages.colleagues import ColleagueCalled, ColleagueSettled
from broker.messages.devices import Device, EnrolmentMake, EnrolmentUse
from broker.messages.sharing import AnswerClaim, AnswerClaimed, LoginHand, Revocation
from broker.shards import Shard, shard_of
from broker.words import Reach, Role
from gateway.links.directory import Directory
from gateway.links.ledger_client import LedgerClient
from gateway.links.shards import Shards
from tests.ledger import postgres
from tests.ledger.conftest import Town, new_database
from tests.ledger.fakes import (
    KEY,
    TIMING,
    Clock,
    FakeActor,
    FakeGateway,
    entry,
    opening,
    waiting,
)
from tests.ledger.test_kill import start
from tests.ledger.test_measures import reported
from tests.patience import PATIENCE, until

EAST, WEST = "acme", "globex"
"""An account of the first shard of two, and one of the second."""


class Told:
    """A gateway's listener that remembers."""

    def __init__(self) -> None:
        self.reach: list[PresenceState] = []
        self.relocated: list[Location] = []
        self.revoked: list[Revocation] = []
        self.handed: list[LoginHand] = []

    def on_presence(self, state: PresenceState) -> None:
        self.reach.append(state)

    def on_relocated(self, location: Location) -> None:
        self.relocated.append(location)

    def on_revoked(self, revocation: Revocation) -> None:
        self.revoked.append(revocation)

    def on_handed(self, hand: LoginHand) -> None:
        self.handed.append(hand)

    def on_attach(self, attach: SessionAttach) -> None: ...
    def on_queued(self, queued: SessionQueued) -> None: ...
    def on_called(self, called: ColleagueCalled) -> None: ...
    def on_settled(self, settled: ColleagueSettled) -> None: ...
    def on_displaced(self, displaced: PresenceDisplaced) -> None: ...


@dataclass
class City:
    """A database with two ledgers, and a gateway with a link to each."""

    east: Town
    west: Town
    links: list[LedgerClient]
    directory: Shards
    told: Told

    async def hold(self, account_id: str, key: str = "eng-1") -> FakeActor:
        """Open a session of an account, on a standby of its own; returns its actor."""
        town = (self.east, self.west)[shard_of(account_id, 2)]
        actor = await town.actor()
        await self.directory.open_session(opening(key, account_id))
        assert actor.session_id is not None, "it went to the account's own ledger"
        return actor

    async def links_up(self) -> None:
        await until(lambda: all(each.ready for each in self.links), "both links")

    async def end_ledger(self, town: Town) -> None:
        await town.ledger.close()
        link = self.links[town.shard.number]
        await until(lambda: not link.ready, "the loss of the link")


@pytest.fixture
async def city(postgres_server: str) -> AsyncIterator[City]:
    assert (shard_of(EAST, 2), shard_of(WEST, 2)) == (0, 1)
    url, clock = await new_database(postgres_server), Clock()
    async with AsyncExitStack() as stack:
        east, west = (Town(url, stack, clock=clock, shard=Shard(n, 2)) for n in range(2))
        await asyncio.gather(east.new_ledger(), west.new_ledger())
        hello = LinkHello(kind="gateway", member_id="gateway", node="n", shards=2)
        links = [LedgerClient(town.home, KEY, hello) for town in (east, west)]
        directory, told = Shards(links), Told()
        directory.listen(told)
        running = asyncio.create_task(directory.run())
        stack.push_async_callback(end, running)
        city = City(east, west, links, directory, told)
        await city.links_up()
        yield city


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def keeper(town: Town) -> LedgerLink:
    hello = LinkHello(kind="keeper", member_id="keeper", node="n", shards=2)
    link = LedgerLink(town.home, KEY, hello, timing=TIMING)
    town.stack.push_async_callback(link.close)
    await link.start()
    return link


async def test_everything_of_an_account_is_with_its_own_ledger(city: City) -> None:
    directory = city.directory
    for account_id, town in ((EAST, city.east), (WEST, city.west)):
        actor = await city.hold(account_id)
        assert town.ledger.level().live == 1
        assert actor.session_id is not None
        for said in (account_id, None):
            place = await directory.locate(actor.session_id, said)
            assert (place.account_id, place.port) == (account_id, actor.port)
        with pytest.raises(NotFound):
            await directory.locate(actor.session_id, WEST if account_id == EAST else EAST)
        assert (await directory.takeover(place)).epoch == 1
        watch = PresenceWatch(connection_id=f"w-{account_id}", account_id=account_id, key="eng-2")
        assert (await directory.watch_presence(watch)).reach is Reach.ABSENT
        put = waiting(f"c-{account_id}", "eng-2").model_copy(update={"account_id": account_id})
        await directory.put_presence(put)
        await until(lambda: city.told.reach, "news of the consumer")
        assert city.told.reach.pop().connection_id == f"w-{account_id}"
        directory.forget(put.connection_id)
        await until(lambda: city.told.reach, "news that the consumer is gone")
        assert city.told.reach.pop().reach is Reach.ABSENT
    everybody = await directory.list_records(RecordQuery())
    assert {each.account_id for each in everybody.records} == {EAST, WEST}


async def test_what_gateways_share_reaches_them_by_any_ledger(city: City) -> None:
    now_s = city.east.clock.ms / 1000
    revocation = Revocation(account_id=WEST, subject_hash="h", at_s=now_s, until_s=now_s + 60)
    assert await city.directory.revoke(revocation)
    hand = LoginHand(flow_id="f", sealed="s")
    await city.directory.ask(hand, Done)
    await until(lambda: city.told.revoked and city.told.handed, "both notices")
    assert (city.told.revoked, city.told.handed) == ([revocation], [hand])
    await city.end_ledger(city.west)
    claim = AnswerClaim(place="place", fingerprint="body", account_id=EAST)
    await city.directory.ask(claim, AnswerClaimed)
    with pytest.raises(Unavailable):
        await city.directory.ask(
            claim.model_copy(update={"account_id": WEST}), AnswerClaimed, timeout_s=0.1
        )


async def test_what_each_ledger_has_counted_is_shown_beside_the_others(city: City) -> None:
    for number, town in enumerate((city.east, city.west), start=1):
        report = ActorMeasured(grown={Count.PACKETS_IN: number})
        (await town.actor(node="n")).link.notify("actor.measured", report)

    async def counted(timeout_s: float = 10 * PATIENCE) -> dict[tuple[int, str], int]:
        said = await city.directory.ask(MeasureQuery(), MeasureList, timeout_s=timeout_s)
        return {
            (each.ledger, each.node): each.counts.get(Count.PACKETS_IN, 0) for each in said.measured
        }

    towns = (city.east, city.west)
    await until(lambda: [reported(town, "n") for town in towns] == [1, 2], "both reports")
    assert await counted() == {(0, ""): 0, (0, "n"): 1, (1, ""): 0, (1, "n"): 2}
    await city.end_ledger(city.west)
    # That is waited for in vain.
    assert await counted(0.5 * PATIENCE) == {(0, ""): 0, (0, "n"): 1}, (
        "one that is away hides nothing"
    )


async def test_calls_go_on_while_the_other_accounts_ledger_is_killed(
    city: City, processes: ExitStack
) -> None:
    await city.end_ledger(city.east)
    process = await start(city.east, processes)
    await city.links_up()
    here, there = await city.hold(EAST), await city.hold(WEST)
    process.kill()
    await until(lambda: not city.links[0].ready, "the loss of the link")
    await there.append(entry(2, word="goes on"))
    another = await city.hold(WEST, "eng-2")
    assert another.session_id is not None
    assert there.session_id is not None
    ask = RecordGet(session_id=there.session_id, account_id=WEST)
    assert len((await city.directory.get_record(ask)).events) == 2
    assert city.directory.ready
    assert len((await city.directory.list_records(RecordQuery())).records) == 3
    assert here.session_id is not None
    lost = RecordGet(session_id=here.session_id, account_id=EAST)
    assert (await city.directory.get_record(lost)).account_id == EAST
    with pytest.raises(Unavailable) as away:
        await city.links[0].ask(NodeQuery(), NodeList, timeout_s=0.1)
    assert away.value.code is ErrorCode.LEDGER_AWAY
    # Its next ledger has the sessions of its accounts and no others.
    await city.east.new_ledger()
    await until(lambda: here.kept == [True, True], "the actor at its next ledger")
    await here.append(entry(2, word="goes on"))
    assert (city.east.ledger.level().live, city.west.ledger.level().live) == (1, 2)
    await there.append(entry(3))
    assert there.kept == [True]


async def test_a_term_taken_for_one_shard_ends_nothing_in_the_other(city: City) -> None:
    here, there = await city.hold(EAST), await city.hold(WEST)
    old, new = city.east.ledger, await city.east.new_ledger()
    assert (old.term, new.term, city.west.ledger.term) == (1, 2, 1)
    with pytest.raises(SwitchboardError):
        await here.append(entry(2, word="written by nobody"))
    await asyncio.wait_for(old.stopped.wait(), 5 * PATIENCE)
    await there.append(entry(2))
    assert not city.west.ledger.stopped.is_set()
    await until(lambda: here.link.term == 2 and here.link.is_up, "the actor at the new ledger")
    await here.append(entry(2))
    assert there.link.term == 1


async def test_a_drained_node_loses_the_sessions_of_both(city: City) -> None:
    for account_id in (EAST, WEST):
        await city.hold(account_id)
    for town in (city.east, city.west):
        await town.actor(node="node-2")
    ask = city.directory.ask
    state = await ask(NodeDrain(node="node-1", deadline_s=30), NodeState)
    assert (state.drain, state.live) == ("moving", 2)
    await until(lambda: len(city.told.relocated) == 2, "both moves")
    assert {each.account_id for each in city.told.relocated} == {EAST, WEST}
    nodes = {each.node: each for each in (await ask(NodeQuery(), NodeList)).nodes}
    assert (nodes["node-1"].moved, nodes["node-1"].live, nodes["node-2"].live) == (2, 0, 2)
    # The cordon outlives both ledgers, whichever of them wrote it.
    await city.end_ledger(city.west)
    await city.west.new_ledger()
    await city.links_up()
    assert city.west.ledger.nodes().nodes[0].drain != "no"
    await ask(NodeUndrain(node="node-1"), Done)
    found = (await ask(NodeQuery(), NodeList)).nodes
    assert {each.drain for each in found} == {"no"}


async def test_a_node_that_one_ledger_knows_is_drained_at_both(city: City) -> None:
    await city.west.actor(node="node-3")
    await city.directory.ask(NodeDrain(node="node-3", deadline_s=30), NodeState)
    for town in (city.east, city.west):
        assert [each.drain for each in town.ledger.nodes().nodes] != ["no"]
    with pytest.raises(NotFound):
        await city.directory.ask(NodeDrain(node="node-9", deadline_s=30), NodeState)


async def test_a_guest_link_is_found_by_any_ledger(city: City) -> None:
    actor = await city.hold(EAST)
    invited = {"guest_invitation_id": "g", "code_hash": "h", "uses": 1}
    await actor.append(entry(2, "guest.invited", **invited))
    here, other = city.links
    finders: tuple[Directory, ...] = (here, other, city.directory)
    for link in finders:
        found = await link.locate_guest("h")
        assert (found.guest_invitation_id, found.location.account_id) == ("g", EAST)
        assert (found.location.session_id, found.location.port) == (actor.session_id, actor.port)
    await city.end_ledger(city.east)
    assert (await city.directory.locate_guest("h")).location.session_id == actor.session_id
    await city.east.new_ledger()
    await until(lambda: actor.kept == [True, True], "the actor at its next ledger")
    with pytest.raises(NotFound):
        await other.locate_guest("none")
    for seq, type_, code in (
        (3, "participant.joined", ErrorCode.LINK_USED),
        (4, "session.ended", ErrorCode.SESSION_ENDED),
    ):
        body = {"guest_invitation_id": "g"} if seq == 3 else {"reason": "ended_by_agent"}
        await actor.append(entry(seq, type_, **body))
        with pytest.raises(Gone) as gone:
            await other.locate_guest("h")
        assert gone.value.code is code


async def test_a_code_used_at_two_ledgers_at_once_enrols_one_device(city: City) -> None:
    for number in range(10):
        code = f"e{number}"
        make = EnrolmentMake(
            enrolment_id=code,
            account_id=WEST,
            agent_id=code,
            name="Ann",
            role=Role.AGENT,
            secret_hash="right",
            expires_ms=city.east.clock.ms + 1_000,
            tries=10,
        )
        await city.directory.ask(make, Done)
        uses = [
            EnrolmentUse(
                enrolment_id=code, secret_hash="right", device_id=f"{code}-{n}", public_key="k"
            )
            for n in range(2)
        ]
        came = await asyncio.gather(
            *(link.ask(use, Device) for link, use in zip(city.links, uses, strict=True)),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in came) == ["Device", "NotFound"]


async def test_a_ledger_keeps_house_for_its_own_accounts_only(city: City) -> None:
    held = [await city.hold(account_id) for account_id in (EAST, WEST)]
    for actor in held:
        await actor.append(entry(2, "session.ended", reason="ended_by_agent"))
        await postgres.execute(
            city.east.url,
            "INSERT INTO erasures (session_id, participant_id, erased_ms, noted)"
            f" VALUES ('{actor.session_id}', 'p1', 1, false)",
        )
    before = city.east.ledger.transactions
    assert held[1].session_id is not None
    rating = RecordRate(session_id=held[1].session_id, participant_id="p1", stars=5)
    await city.directory.rate(rating.model_copy(update={"account_id": WEST}))
    assert city.east.ledger.transactions == before, "the other one wrote it"
    reading = Database(city.east.url)
    city.east.stack.push_async_callback(reading.close)

    async def behind() -> set[str]:
        """The accounts whose webhooks have events to come."""
        waiting_ = sa.select(sessions.c.account_id).where(
            sessions.c.last_seq > sessions.c.delivered_seq
        )
        return {row.account_id for row in await reading.rows(waiting_)}

    async def noted() -> list[bool]:
        found = []
        for account_id, actor in zip((EAST, WEST), held, strict=True):
            assert actor.session_id is not None
            ask = RecordGet(session_id=actor.session_id, account_id=account_id)
            events = (await city.directory.get_record(ask)).events
            found.append(events[-1].type == "subject.erased")
        return found

    assert (await behind(), await noted()) == ({EAST, WEST}, [False, False])
    skip = keeping.OutboxSkip(accounts=[])
    reconcile = keeping.Reconcile()
    links = [await keeper(town) for town in (city.east, city.west)]
    await links[0].call(skip, Done)
    assert await behind() == {WEST}
    await links[0].call(reconcile, keeping.Reconciled)
    assert await noted() == [True, False]
    await links[1].call(reconcile, keeping.Reconciled)
    assert await noted() == [True, True]


async def test_who_counts_other_ledgers_than_there_are_gets_no_link(city: City) -> None:
    for shards, is_up in ((1, False), (3, False), (2, True)):
        gateway = FakeGateway(city.east.home, shards)
        city.east.stack.push_async_callback(gateway.link.close)
        await gateway.link.start()
        came = gateway.link.wait_up(5.0 * PATIENCE if is_up else 0.2)
        if is_up:
            await came
        else:
            with pytest.raises(Unavailable):
                await came
