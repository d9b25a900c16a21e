"""What session actors report, added up at the ledger: once, for good, and of nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.ledger.measures import KEPT_S, Measures
from actors.link import End, promise
from broker.link import ListeningEnd
from broker.measures import APPEND, LOOP, Count, Standing
from broker.messages.cluster.base import read
from broker.messages.cluster.exporting import Measured, MeasureList, MeasureQuery
from broker.messages.cluster.measures import ActorMeasured
from tests.ledger.conftest import Town
from tests.ledger.fakes import KEY, FakeActor, entry
from tests.ledger.keepers import run_keeper
from tests.patience import until

MOST_BYTES = 4_096
"""Of a report: as many sessions report every few seconds as a node has places."""


class Desk:
    """A ledger's measures with a clock that stands still, and actors that are nothing but links."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.measures = Measures(0, clock=lambda: self.now_s)

    def come(self, node: str = "n") -> End:
        end: End = ListeningEnd(KEY, b"n" * 32, lambda end, hello: None, promise)
        self.measures.come(end, node)
        return end

    def tell(self, end: End, grown: dict[str, int], standing: dict[str, int] | None = None) -> None:
        said = {"grown": grown, "standing": standing or {}}
        self.measures.on_notice(end, "actor.measured", json.dumps(said).encode())

    def node(self, name: str = "n") -> Measured | None:
        found = {each.node: each for each in self.measures.all({}, {}).measured}
        return found.get(name)

    def packets(self, name: str = "n") -> int:
        node = self.node(name)
        return 0 if node is None else node.counts.get(Count.PACKETS_IN, 0)


def test_what_a_dead_actor_told_stays_and_how_it_stood_goes() -> None:
    desk = Desk()
    one, two = desk.come(), desk.come()
    desk.tell(one, {"packets.in": 5}, {"transports.connected": 2, "resident": 70})
    desk.tell(two, {"packets.in": 7}, {"transports.connected": 1, "resident": 90})
    node = desk.node()
    assert node is not None
    assert node.counts == {Count.PACKETS_IN: 12}
    assert node.standing == {
        Standing.TRANSPORTS_CONNECTED: 3,
        Standing.RESIDENT: 160,
        Standing.RESIDENT_MOST: 90,
        Standing.ACTORS_REPORTING: 2,
    }
    desk.measures.gone(two)
    desk.measures.gone(two)
    node = desk.node()
    assert node is not None
    assert node.counts == {Count.PACKETS_IN: 12}
    assert node.standing[Standing.TRANSPORTS_CONNECTED] == 2
    desk.tell(two, {"packets.in": 100})
    assert desk.packets() == 12, "a link that is lost says nothing more"
    again = desk.come()
    desk.tell(again, {"packets.in": 1})
    assert desk.packets() == 13


def test_nodes_are_counted_apart_and_forgotten_when_they_are_long_empty() -> None:
    desk = Desk()
    east, west = desk.come("east"), desk.come("west")
    desk.tell(east, {"packets.in": 1})
    desk.tell(west, {"packets.in": 2})
    desk.measures.gone(west)
    desk.now_s = KEPT_S - 1
    assert (desk.packets("east"), desk.packets("west")) == (1, 2)
    back = desk.come("west")
    desk.now_s += 2 * KEPT_S
    assert desk.packets("west") == 2, "somebody is there"
    desk.measures.gone(back)
    desk.now_s += KEPT_S - 1
    assert desk.packets("west") == 2, "somebody was there a while ago"
    desk.now_s += 2
    assert desk.node("west") is None
    assert desk.packets("east") == 1
    desk.tell(desk.come("west"), {"packets.in": 3})
    assert desk.packets("west") == 3


STEP = st.tuples(st.sampled_from(["come", "go", "tell"]), st.integers(0, 3), st.integers(0, 9))


@given(st.lists(STEP, max_size=60))
def test_no_count_falls_whoever_comes_and_dies(steps: list[tuple[str, int, int]]) -> None:
    desk, there, told = Desk(), dict[int, End](), 0
    for what, who, count in steps:
        before = desk.packets()
        match what:
            case "come":
                # The same process may have a new link before its old one is known to be lost.
                there[who] = desk.come()
            case "go" if who in there:
                desk.measures.gone(there.pop(who))
            case "tell" if who in there:
                desk.tell(there[who], {"packets.in": count})
                told += count
            case _:
                continue
        assert before <= desk.packets() == told


def test_words_of_the_next_release_are_left_out_and_nonsense_counts_for_nothing() -> None:
    desk = Desk()
    actor = desk.come()
    desk.tell(actor, {"packets.in": 3, "packets.a-session's-id": 4}, {"mood": 1, "unsaved": 1})
    for nonsense in (
        b"",
        b"{",
        b'{"grown": 7}',
        b'{"grown": {"packets.in": -1}}',
        b'{"grown": []}',
    ):
        with pytest.raises(ValidationError):
            desk.measures.on_notice(actor, "actor.measured", nonsense)
    desk.measures.on_notice(actor, "actor.unheard_of", b"?")
    node = desk.node()
    assert node is not None
    assert node.counts == {Count.PACKETS_IN: 3}
    assert node.standing == {Standing.UNSAVED: 1, Standing.ACTORS_REPORTING: 1}


def test_a_report_is_bounded_and_says_nothing_but_numbers() -> None:
    most = 2**53
    report = ActorMeasured(grown=dict.fromkeys(Count, most), standing=dict.fromkeys(Standing, most))
    body = report.to_bytes()
    assert len(body) < MOST_BYTES
    assert read(ActorMeasured, body) == report
    for told in json.loads(body).values():
        assert set(told) <= {*map(str, Count), *map(str, Standing)}
        assert all(isinstance(each, int) for each in told.values())


def test_something_counts_in_the_first_bucket_that_holds_it() -> None:
    assert [LOOP.of(each) for each in (-0.1, 0.005, 0.0051, 0.9, 60.0)] == [
        Count.LOOP_5_MS,
        Count.LOOP_5_MS,
        Count.LOOP_20_MS,
        Count.LOOP_1_S,
        Count.LOOP_MORE,
    ]
    for buckets in (LOOP, APPEND):
        bounds = [float(word.which) for word in buckets.words]
        assert bounds == sorted(set(bounds))
        assert bounds[-1] == float("inf")


def reported(town: Town, node: str) -> int:
    """How many packets its ledger has heard of from the actors of a node."""
    found = (each.counts for each in town.ledger.measured().measured if each.node == node)
    return sum(each.get(Count.PACKETS_IN, 0) for each in found)


def report(actor: FakeActor, grown: int) -> None:
    assert actor.link.notify("actor.measured", ActorMeasured(grown={Count.PACKETS_IN: grown}))


async def test_a_gateway_reads_what_actors_report_on_their_own_links(town: Town) -> None:
    one, two, silent = [await town.actor(node=node) for node in ("east", "east", "west")]
    gateway = await town.gateway()
    gateway.link.notify("actor.measured", ActorMeasured(grown={Count.PACKETS_IN: 99}))
    report(one, 5)
    report(two, 6)
    await until(lambda: reported(town, "east") == 11, "both reports")

    async def asked() -> dict[str, Measured]:
        said = await gateway.link.call(MeasureQuery(), MeasureList)
        return {each.node: each for each in said.measured}

    found = await asked()
    assert set(found) == {"", "east", "west"}, "nobody else reports"
    assert found["west"].counts == {}, "one of the release before says nothing"
    assert found["west"].standing == {Standing.ACTORS_SILENT: 1}
    assert found[""].standing[Standing.LINKS_SESSION] == 3
    assert found[""].standing[Standing.LINKS_GATEWAY] == 1
    await one.die()
    await silent.die()
    await until(lambda: len(town.ledger.level().members) == 1, "the losses are known")
    found = await asked()
    assert found["east"].counts == {Count.PACKETS_IN: 11}
    assert found["west"].standing == {}
    old = town.ledger
    await town.new_ledger()
    await old.close()
    await until(lambda: town.ledger.level().members, "the actor is at the next ledger")
    assert reported(town, "east") == 0
    report(two, 4)
    await until(lambda: reported(town, "east") == 4, "what was told once is not told again")


async def test_the_ledger_counts_what_it_and_the_keeper_do(town: Town) -> None:
    actor, gateway = await town.actor(), await town.gateway()
    await gateway.open()
    await actor.append(entry(2, "test.noted"))
    await actor.append(entry(3, "test.noted"))
    await run_keeper(town)

    def own() -> Any:
        return next(each.counts for each in town.ledger.measured().measured if not each.node)

    await until(lambda: own().get(Count.RECONCILES, 0) > 1, "the keeper's second look")
    assert sum(own().get(word, 0) for word in APPEND.words) == 2
    assert own()[Count.APPEND_US] > 0
    assert own()[Count.TRANSACTIONS] >= 3
    assert own().get(Count.GHOSTS, 0) == 0
    assert not own().get(Count.DATABASE_ERRORS_READ)
    await actor.die()
    await until(lambda: not town.ledger.level().members, "the loss is known")
    town.clock.ms += 3_600_000
    await until(lambda: own().get(Count.GHOSTS), "the session that nobody holds is ended")
    assert own()[Count.GHOSTS] == 1
