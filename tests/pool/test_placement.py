"""The pure placement: what it may never do, whatever the nodes are like."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actors.arrivals import Arrivals, standbys_for
from actors.avoided import Avoided
from actors.placement import Place, choose, plan, reserve_for, succeeds

LABELS = ("", "eu", "us")


@st.composite
def places(draw: st.DrawFn) -> list[Place]:
    found = []
    for number in range(draw(st.integers(0, 5))):
        slots = draw(st.integers(1, 8))
        live = draw(st.integers(0, slots))
        standbys = draw(st.integers(0, slots - live))
        found.append(
            Place(
                node=f"node-{number}",
                label=draw(st.sampled_from(LABELS)),
                slots=slots,
                used=live + standbys,
                standbys=standbys,
                live=live,
                cordoned=draw(st.booleans()),
            )
        )
    return found


QUEUES = st.dictionaries(st.sampled_from(LABELS), st.integers(0, 6))


@given(places(), st.integers(0, 10), st.integers(0, 5), QUEUES, st.integers(0, 20))
def test_a_plan_fits_the_nodes_and_starts_no_more_than_is_wanted(
    nodes: list[Place], target: int, reserve: int, queued: dict[str, int], limit: int
) -> None:
    starts = plan(nodes, target=target, reserve=reserve, queued=queued, limit=limit)
    assert len(starts) <= limit
    by_name = {place.node: place for place in nodes}
    for name, count in Counter(starts).items():
        assert not by_name[name].cordoned
        assert by_name[name].used + count <= by_name[name].slots
    labels = {place.label for place in nodes if not place.cordoned}
    # A start beside one node makes `reserve` standbys on the others of its label at most; should
    # one of those die, the start beside it makes `reserve` more, and then any node has them beside
    # it. So a label has its share and a reserve, or two reserves where that is more.
    share = math.ceil(target / max(1, len(labels)))
    most = len(labels) * (reserve + max(share, reserve)) + sum(queued.values())
    assert len(starts) <= most


def test_two_nodes_that_are_full_of_sessions_are_each_other_s_reserve() -> None:
    nodes = [Place(node, "eu", slots=8, used=3, live=3) for node in ("a", "b")]
    starts = plan(nodes, target=1, reserve=3, queued={}, limit=100)
    assert Counter(starts) == {"a": 3, "b": 3}, "twice the reserve, and no more for the target"


@given(places(), st.integers(0, 10), st.integers(0, 5))
def test_the_reserve_of_a_node_does_not_die_with_it(
    nodes: list[Place], target: int, reserve: int
) -> None:
    starts = Counter(plan(nodes, target=target, reserve=reserve, queued={}, limit=1_000))
    for lost in nodes:
        others = [place for place in nodes if succeeds(place, lost)]
        spare = sum(place.standbys + starts[place.node] for place in others)
        room = sum(place.slots - place.used - starts[place.node] for place in others)
        assert spare >= min(lost.live, reserve) or room == 0


def test_an_empty_node_gets_the_reserve_of_its_neighbour() -> None:
    nodes = [
        Place("a", "eu", slots=8),
        Place("b", "eu", slots=8, used=2, standbys=1, live=1),
        Place("c", "us", slots=8, used=2, standbys=2),
    ]
    assert plan(nodes, target=2, reserve=1, queued={}, limit=10) == ["a"]


@given(places(), st.integers(0, 10), QUEUES)
def test_what_is_wanted_is_started_wherever_there_is_room(
    nodes: list[Place], target: int, queued: dict[str, int]
) -> None:
    starts = plan(nodes, target=target, reserve=0, queued=queued, limit=1_000)
    open_slots = sum(place.slots - place.used for place in nodes if not place.cordoned)
    standing = sum(place.standbys for place in nodes if not place.cordoned)
    wanted = max(0, target + queued.get("", 0) - standing)
    assert len(starts) >= min(wanted, open_slots)
    by_name = {place.node: place for place in nodes}
    for label in LABELS[1:]:
        here = [place for place in nodes if place.label == label and not place.cordoned]
        started = sum(by_name[name].label == label for name in starts)
        room = sum(place.slots - place.used for place in here)
        short = queued.get(label, 0) - sum(place.standbys for place in here)
        assert started >= min(room, short)


@given(places(), st.sampled_from(LABELS))
def test_the_emptiest_open_place_of_the_label_is_chosen(nodes: list[Place], label: str) -> None:
    chosen = choose(nodes, label)
    fit = [place for place in nodes if place.is_open and label in ("", place.label)]
    if chosen is None:
        assert fit == []
    else:
        assert chosen in fit
        assert all(chosen.used / chosen.slots <= place.used / place.slots for place in fit)


def test_three_nodes_two_labels_one_full() -> None:
    nodes = [
        Place("a", "eu", slots=4, used=4, live=4),
        Place("b", "eu", slots=4, used=1, live=1),
        Place("c", "us", slots=4),
    ]
    starts = plan(nodes, target=4, reserve=0, queued={"eu": 1}, limit=10)
    assert Counter(starts) == {"b": 3, "c": 2}
    assert (reserve_for(nodes, 16), reserve_for(nodes, 3)) == (4, 3)
    assert reserve_for(nodes[:1], 16) == 0, "with one node a reserve helps nobody"


def test_a_full_label_leaves_its_openings_waiting_and_nobody_elsewhere_pays() -> None:
    nodes = [Place("a", "eu", slots=2, used=2, live=2), Place("c", "us", slots=4)]
    assert plan(nodes, target=0, reserve=0, queued={"eu": 3}, limit=10) == []


@given(st.floats(0, 1_000), st.floats(0, 60), st.integers(0, 50), st.integers(0, 500))
def test_the_size_stays_within_its_bounds(
    per_s: float, start_s: float, floor: int, ceiling: int
) -> None:
    size = standbys_for(per_s, start_s, floor=floor, ceiling=ceiling)
    assert min(floor, ceiling) <= size <= max(floor, ceiling)
    assert size <= ceiling
    assert size <= standbys_for(per_s + 1, start_s, floor=floor, ceiling=ceiling)


def test_steady_arrivals_are_learnt_and_forgotten() -> None:
    arrivals = Arrivals(memory_s=60.0)
    for second in range(600):
        arrivals.observe(2 * second, float(second))
    assert abs(arrivals.per_s - 2.0) < 0.05
    assert standbys_for(arrivals.per_s, 1.5, floor=2, ceiling=100) == 7
    arrivals.observe(0, 600.0)
    assert abs(arrivals.per_s - 2.0) < 0.05, "a new ledger's total proves nothing"
    for second in range(601, 1_200):
        arrivals.observe(0, float(second))
    assert arrivals.per_s < 0.01


def test_a_node_is_avoided_for_longer_each_time_and_forgiven_at_once() -> None:
    avoided = Avoided(first_s=1.0, last_s=3.0)
    nodes = [Place("a", "", 4), Place("b", "", 4)]

    def open_at(now: float) -> list[str]:
        return [place.node for place in avoided.cordon(nodes, now) if not place.cordoned]

    assert [avoided.fail("a", 10.0) for _ in range(3)] == [1.0, 2.0, 3.0]
    assert (open_at(12.9), open_at(13.0)) == (["b"], ["a", "b"])
    avoided.succeed("a")
    assert avoided.fail("a", 20.0) == 1.0
    avoided.hang("b")
    assert open_at(20.5) == []
    avoided.end_hang("b")
    assert open_at(20.5) == ["b"]
    nodes.pop(0)
    assert open_at(20.5) == ["b"]
    nodes.append(Place("a", "", 4))
    assert avoided.fail("a", 30.0) == 1.0, "a node that was gone meanwhile is a new one"
