"""The pool against a real ledger, with starts that are fakes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from actors.demand import Demand
from actors.placement import Place
from actors.pool import Pool, PoolPolicy
from broker.errors import Unavailable
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.trunk import Location
from gateway.compose.pool_host import policy_of
from gateway.compose.settings import ClusterSettings
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, BRIEF, KEY, POLICY, TIMING, FakeActor, entry, opening
from tests.patience import PATIENCE, until

HELLO = LinkHello(kind="pool", member_id="pool", node="n")


class Starter:
    """Starts standbys in this process, or fails as told."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.places: dict[str, Place] = {}
        self.actors: list[FakeActor] = []
        self.nodes: list[str | None] = []
        self.started = 0
        self.at_once = 0
        self.most_at_once = 0
        self.failing = False
        self.dead: set[str] = set()
        """Nodes on which a start fails."""
        self.hanging: set[str] = set()
        """Nodes on which a start never returns."""
        self.coming = True
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, node: str | None) -> None:
        self.started += 1
        self.nodes.append(node)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            if node in self.hanging:
                await asyncio.Event().wait()
            if self.failing or node in self.dead:
                raise RuntimeError("No process to be had.")
            if self.coming:
                place = self.places.get(node or "")
                self.actors.append(
                    await self.town.actor(
                        node=node or "node-1", label="" if place is None else place.label
                    )
                )
        finally:
            self.at_once -= 1


async def run_pool(
    town: Town,
    starter: Starter,
    target: int = 3,
    backoff_first_s: float = 0.01,
    arrival_s: float = 5.0,
    overdue_s: float = 5.0,
    vacate_below: float = 0.0,
    target_limit: int = 64,
    policy: PoolPolicy | None = None,
) -> Pool:
    policy = policy or PoolPolicy(
        target=target,
        target_limit=target_limit,
        backoff_first_s=backoff_first_s,
        arrival_s=arrival_s,
        overdue_s=overdue_s,
        vacate_below=vacate_below,
        vacate_after_s=0.0,
    )
    pool = Pool(
        starter,
        town.home,
        KEY,
        HELLO,
        policy=policy,
        timing=TIMING,
        places=lambda: list(starter.places.values()),
    )
    town.stack.push_async_callback(pool.close)
    await pool.start()
    return pool


def standbys(town: Town) -> int:
    return town.ledger.level().standbys


async def test_the_pool_keeps_its_target(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    pool = await run_pool(town, starter)
    await until(lambda: standbys(town) == 3, "three standbys")
    assert (starter.started, starter.most_at_once) == (3, 2)
    await gateway.open()
    await until(lambda: standbys(town) == 3 and starter.started == 4, "the refill")
    pool.set_target(5)
    await until(lambda: standbys(town) == 5, "five standbys")
    assert starter.started == 6


async def test_a_new_pool_adopts_the_standbys_that_are_there(town: Town) -> None:
    for _ in range(3):
        await town.actor()
    starter = Starter(town)
    pool = await run_pool(town, starter)
    await until(lambda: pool.level is not None, "the level")
    assert pool.level is not None
    assert (pool.level.standbys, len(pool.level.members), starter.started) == (3, 3, 0)


async def test_a_dead_standby_is_replaced(town: Town) -> None:
    standby, starter = await town.actor(), Starter(town)
    await run_pool(town, starter, target=1)
    await standby.die()
    await until(lambda: starter.started == 1 and standbys(town) == 1, "the replacement")


async def test_who_had_a_link_is_known_also_when_it_has_gone_by_the_time_that_is_asked(
    town: Town,
) -> None:
    standby, starter = await town.actor(), Starter(town)
    pool = await run_pool(town, starter, target=1)
    await until(lambda: pool.level is not None, "the level")
    await standby.die()
    await until(lambda: len(starter.actors) == 1 and standbys(town) == 1, "the next one")
    [other] = starter.actors
    await until(lambda: pool.level and other.member_id in pool.level.members, "its link is told")
    assert pool.take_linked() == {standby.member_id, other.member_id}
    assert pool.take_linked() == set()


async def test_openings_that_wait_are_served_beyond_the_target(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    await run_pool(town, starter, target=0)
    places = await asyncio.gather(*(gateway.open(f"eng-{number}") for number in range(4)))
    assert len({place.port for place in places}) == 4
    assert starter.started >= 4


async def test_where_no_standby_is_wanted_each_session_starts_its_own(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    none = ClusterSettings("secret", "sqlite:///none", "https://x", standbys=0)
    await run_pool(town, starter, policy=policy_of(none))
    for number in range(1, 4):
        await gateway.open(f"eng-{number}")
        level = town.ledger.level()
        assert (level.waited, level.standbys, starter.started) == (number, 0, number)


async def test_a_pool_that_cannot_start_tries_again_later(town: Town) -> None:
    starter = Starter(town)
    starter.failing = True
    await run_pool(town, starter, target=1)
    await until(lambda: starter.started >= 3, "three tries")
    starter.failing = False
    await until(lambda: standbys(town) == 1, "a standby")


async def test_a_standby_that_never_comes_is_started_again(town: Town) -> None:
    starter = Starter(town)
    starter.coming = False
    await run_pool(town, starter, target=1, arrival_s=0.05)
    await until(lambda: starter.started == 2, "another start")
    starter.coming = True
    await until(lambda: standbys(town) == 1, "a standby")


async def test_nothing_is_started_while_the_ledger_is_away(town: Town) -> None:
    starter = Starter(town)
    pool = await run_pool(town, starter, target=1)
    await until(lambda: standbys(town) == 1, "a standby")
    await town.ledger.close()
    await until(lambda: pool.level is None, "the loss")
    pool.set_target(4)
    assert starter.started == 1
    await town.new_ledger()
    await until(lambda: standbys(town) == 4, "four standbys")


async def test_killing_the_pool_changes_nothing_for_a_call(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    actor = await town.actor()
    pool = await run_pool(town, starter, target=0)
    session_id = (await gateway.open()).session_id
    await pool.close()
    await pool.close()
    await actor.append(entry(2))
    assert len((await gateway.record(session_id)).events) == 2


async def test_two_hundred_openings_on_a_pool_of_ten_all_get_an_answer(town: Town) -> None:
    await town.new_ledger(BRIEF)
    starter, gateway = Starter(town), await town.gateway()
    for _ in range(10):
        await town.actor()
    starter.gate.clear()  # nothing more comes within the bound
    await run_pool(town, starter, target=10)
    outcomes = await asyncio.gather(
        *(gateway.open(f"eng-{number}") for number in range(200)), return_exceptions=True
    )
    codes = [str(getattr(one, "code", "session")) for one in outcomes]
    assert {code: codes.count(code) for code in codes} == {"session": 10, "no_capacity": 190}


def spread(starter: Starter, **slots: int) -> None:
    """Give the starter nodes; their label is their name's first part."""
    for name, count in slots.items():
        starter.places[name] = Place(name, name.split("_")[0], count)


async def test_standbys_are_spread_over_nodes_and_labels(town: Town) -> None:
    starter = Starter(town)
    spread(starter, eu_1=1, eu_2=8, us_1=8)
    await run_pool(town, starter, target=6)
    await until(lambda: standbys(town) == 6, "six standbys")
    assert Counter(starter.nodes) == {"eu_1": 1, "eu_2": 2, "us_1": 3}


async def test_an_opening_gets_its_label_or_no_capacity(town: Town) -> None:
    await town.new_ledger(replace(POLICY, capacity_wait_s=1.0 * PATIENCE))
    starter, gateway = Starter(town), await town.gateway()
    spread(starter, eu_1=1, us_1=8)
    await run_pool(town, starter, target=0)

    async def opened(key: str, label: str) -> str:
        ask = opening(key).model_copy(update={"label": label})
        try:
            place = await gateway.link.call(ask, Location)
        except Unavailable as refusal:
            return str(refusal.code)
        held = next(live for live in town.ledger._sessions.directory if live.port == place.port)
        assert held.holder is not None
        return held.holder.member.node

    assert await opened("eng-1", "eu") == "eu_1"
    assert await opened("eng-2", "eu") == "no_capacity", "its only node is full"
    assert await opened("eng-3", "us") == "us_1"
    assert await opened("eng-4", "") == "us_1"
    assert "eu_1" not in starter.nodes[1:]


async def test_a_drained_node_gets_no_standby_and_the_others_get_its_sessions(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    spread(starter, a_1=8, b_1=8)
    await run_pool(town, starter, target=2)
    await until(lambda: standbys(town) == 2, "a standby on each node")
    await asyncio.gather(*(gateway.open(f"eng-{number}") for number in range(2)))
    await until(lambda: standbys(town) >= 2, "the refill")
    await gateway.drain("a_1")
    await until(
        lambda: town.ledger._sessions.directory.loads().get("b_1") == 2, "both on the other node"
    )
    settled = len(starter.nodes)
    await until(lambda: standbys(town) >= 2, "the refill elsewhere")
    assert "a_1" not in starter.nodes[settled:]


async def test_a_reserve_is_kept_for_the_fullest_node(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    spread(starter, a_1=8, b_1=8)
    await run_pool(town, starter, target=1)

    def fullest() -> int:
        return max(town.ledger._sessions.directory.loads().values(), default=0)

    for number in range(4):
        # Whoever comes sooner takes what there is, wherever it is.
        await until(lambda: standbys(town) >= 1 + fullest(), "target and reserve")
        await gateway.open(f"eng-{number}")
    await until(lambda: standbys(town) >= 1 + fullest(), "target and reserve")
    assert fullest() == 2, "openings are spread"


async def test_a_process_that_stands_by_again_is_no_start_that_came(town: Town) -> None:
    starter, gateway = Starter(town), await town.gateway()
    pool = await run_pool(town, starter, target=1)
    await until(lambda: standbys(town) == 1, "the standby")
    starter.gate.clear()
    await gateway.open("one")
    await until(lambda: pool.starting == 1, "the refill under way")
    for _ in range(2):
        await town.actor(account_id=ACCOUNT)
    await until(lambda: len(town.ledger.level().reused) == 2, "two that are back")
    await until(lambda: pool.level is not None and len(pool.level.reused) == 2, "the pool's word")
    starter.gate.set()
    await until(lambda: standbys(town) == 1, "the refill")
    assert starter.started == 2


async def test_a_failed_start_is_tried_elsewhere_and_its_node_is_avoided(town: Town) -> None:
    starter = Starter(town)
    spread(starter, a_1=8, a_2=8)
    starter.dead = {"a_1"}  # Ray has not declared it dead yet
    await run_pool(town, starter, target=4, backoff_first_s=60.0)
    await until(lambda: standbys(town) == 4, "four standbys on the other node")
    assert Counter(starter.nodes)["a_1"] <= 2, "tried once for each start at work, then avoided"


async def test_a_node_that_failed_is_tried_again_later(town: Town) -> None:
    starter = Starter(town)
    spread(starter, a_1=8)
    starter.dead = {"a_1"}
    await run_pool(town, starter, target=1)
    await until(lambda: len(starter.nodes) >= 3, "more tries")
    starter.dead = set()
    await until(lambda: standbys(town) == 1, "a standby on it")


async def test_a_start_that_hangs_holds_up_neither_the_others_nor_their_number(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter = Starter(town)
    spread(starter, a_1=8, a_2=8, a_3=8)
    starter.hanging = {"a_1", "a_2"}
    pool = await run_pool(town, starter, target=4, overdue_s=0.02)
    monkeypatch.setattr(Demand, "start_s", 0.0)
    await until(lambda: standbys(town) == 4, "four standbys on the node that lives")
    tried = Counter(starter.nodes)
    assert tried["a_1"] <= 2
    assert tried["a_2"] <= 2
    starter.hanging = set()
    starter.places.pop("a_1")
    starter.places.pop("a_2")
    pool.set_target(6)
    await until(lambda: standbys(town) == 6, "two more")


async def test_a_node_that_can_be_spared_runs_empty_and_serves_again_when_it_is_needed(
    town: Town,
) -> None:
    starter, gateway = Starter(town), await town.gateway()
    spread(starter, a_1=8, a_2=8, a_3=8)
    actors = [await town.actor(node=node, label="a") for node in starter.places for _ in "ab"]
    for number in range(3):
        await gateway.open(f"early-{number}")
    pool = await run_pool(town, starter, target=1, vacate_below=0.5)
    closed = town.ledger._sessions.standbys

    async def looks_until(condition: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            pool.refill()
            return condition()

        await until(look, what)

    def loads() -> dict[str, int]:
        return town.ledger._sessions.directory.loads()

    await looks_until(lambda: closed.closed == {"a_1"}, "the closing of one of three alike")
    for number in range(2):
        await gateway.open(f"later-{number}")
    assert (loads()["a_1"], sum(loads().values())) == (1, 5), "who comes is served elsewhere"
    await looks_until(lambda: standbys(town) >= 4, "the refill elsewhere, for the one that is left")
    first = [actor for actor in actors if actor.node == "a_1"]
    assert not any(actor.stopped for actor in first), "it has a session"

    (holder,) = (actor for actor in first if actor.session_id)
    (idle,) = (actor for actor in first if not actor.session_id)
    await holder.append(entry(2, "session.ended", reason="ended_by_agent"))
    await holder.die()
    await looks_until(lambda: idle.stopped, "the end of its standby")
    await idle.die()
    await looks_until(lambda: len(town.ledger.level().nodes) == 2, "nothing there")
    assert standbys(town) >= 1 + max(loads().values())
    assert "a_1" not in starter.nodes
    assert not any(actor.stopped for actor in (*actors, *starter.actors) if actor is not idle)

    for number in range(8):
        await until(lambda: standbys(town) >= 1, "a standby")
        await gateway.open(f"rush-{number}")
    await looks_until(lambda: "a_1" in starter.nodes, "a start there, as the others fill")
    assert closed.closed == set()
