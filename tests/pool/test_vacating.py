"""Nodes that run empty for an autoscaler: what may never happen, and that it comes to an end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from actors.placement import Place, plan, reserve_for
from actors.vacating import KEPT, Need, Vacating

AFTER_S = 120.0
LOOK_S = 60.0
BELOW = st.sampled_from((0.25, 0.5, 0.8))


@st.composite
def places(draw: st.DrawFn) -> list[Place]:
    """More nodes than two under a label, most of them."""
    found = []
    for number in range(draw(st.integers(0, 7))):
        slots = draw(st.integers(1, 24))
        live = draw(st.integers(0, min(slots, 8)))
        standbys = draw(st.integers(0, min(slots - live, 4)))
        found.append(
            Place(
                node=f"node-{number}",
                label=draw(st.sampled_from(("", "", "eu"))),
                slots=slots,
                used=live + standbys,
                standbys=standbys,
                live=live,
                cordoned=draw(st.integers(0, 7)) == 0,
            )
        )
    return found


@dataclass
class World:
    """Nodes whose sessions stay, and a pool whose stops are done at once."""

    nodes: list[Place]
    target: int
    below: float
    now: float = 0.0
    waiting: bool = False
    starts: int = 1_000
    """At most so many from one look to the next."""
    retired: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vacating = Vacating(self.below, AFTER_S)

    @property
    def need(self) -> Need:
        return Need(self.target, reserve_for(self.nodes, 1_000), self.waiting)

    @property
    def labels(self) -> set[str]:
        return {place.label for place in self.nodes}

    def met(self) -> set[str]:
        """The labels that have what they want; closed nodes serve when there are no others."""
        return {label for label in self.labels if self.need.is_met(self.nodes, label)}

    def fill(self) -> None:
        """Start what the pool would."""
        shut = self.vacating.cordon(self.nodes)
        starts = Counter(
            plan(
                shut,
                target=self.target,
                reserve=self.need.reserve,
                queued={},
                limit=self.starts,
            )
        )
        self.nodes = [
            replace(p, used=p.used + starts[p.node], standbys=p.standbys + starts[p.node])
            for p in self.nodes
        ]

    def look(self) -> None:
        """Let time pass, and the pool act once."""
        self.now += LOOK_S
        self.vacating.look(self.nodes, self.need, self.now)
        self.fill()
        node = self.vacating.retired(self.nodes, self.need)
        if node:
            self.retired.append(node)
            self.nodes = [
                replace(p, used=p.live, standbys=0) if p.node == node else p for p in self.nodes
            ]

    def of(self, node: str) -> Place:
        return next(place for place in self.nodes if place.node == node)

    def open_nodes(self, label: str) -> int:
        shut = self.vacating.cordon(self.nodes)
        return sum(place.label == label and not place.cordoned for place in shut)


def settled(world: World) -> World:
    """Look until nothing is left to do."""
    for _ in range(2 * len(world.nodes) * round(AFTER_S / LOOK_S) + 2):
        world.look()
    return world


@given(places(), st.integers(0, 10), BELOW, st.sampled_from((1, 1_000)))
def test_what_is_wanted_stands_and_sessions_are_left_alone(
    nodes: list[Place], target: int, below: float, starts: int
) -> None:
    world = World(nodes, target, below)
    world.fill()
    world.starts, before = starts, world.met()
    sessions = {place.node: place.live for place in nodes}
    kept = {label: min(KEPT, world.open_nodes(label)) for label in world.labels}
    for _ in range(8 * len(nodes)):
        closed, begun = world.vacating.closed, len(world.retired)
        world.look()
        assert {place.node: place.live for place in world.nodes} == sessions
        assert all(sessions[node] == 0 for node in world.retired[begun:])
        assert before <= world.met(), "never fewer than wanted"
        assert len(world.vacating.closed - closed) <= 1, "one at a time"
        assert all(world.open_nodes(label) >= kept[label] for label in world.labels)


@given(places(), st.integers(0, 10), BELOW)
def test_at_steady_load_it_comes_to_an_end_and_nothing_moves(
    nodes: list[Place], target: int, below: float
) -> None:
    world = settled(World(nodes, target, below))
    closed, standing, retired = world.vacating.closed, world.nodes, len(world.retired)
    settled(world)
    assert (world.vacating.closed, world.nodes, len(world.retired)) == (closed, standing, retired)


@given(places(), st.integers(0, 10), BELOW, st.data())
def test_a_node_that_was_closed_is_not_opened_by_one_session_more_or_less(
    nodes: list[Place], target: int, below: float, data: st.DataObject
) -> None:
    world = settled(World([replace(place, slots=64) for place in nodes], target, below))
    closed = world.vacating.closed
    for _ in range(4):
        open_ = [p.node for p in world.vacating.cordon(world.nodes) if not p.cordoned]
        if not open_:
            return
        node, change = data.draw(st.sampled_from(open_)), data.draw(st.sampled_from((1, -1)))
        live = max(0, world.of(node).live + change)
        world.nodes = [
            replace(p, live=live, used=live + p.standbys) if p.node == node else p
            for p in world.nodes
        ]
        settled(world)
        assert closed <= world.vacating.closed


def flat(count: int, *, live: int = 0, standbys: int = 1, slots: int = 20) -> list[Place]:
    return [
        Place(f"n{number}", "", slots, used=live + standbys, standbys=standbys, live=live)
        for number in range(count)
    ]


def test_an_idle_cluster_shrinks_to_two_nodes_that_have_all_standbys() -> None:
    world = settled(World(flat(6), target=4, below=0.5))
    busy = [place.standbys for place in world.nodes if place.used]
    assert (len(busy), sum(busy)) == (2, 4)
    assert len(world.retired) == 4


def test_a_node_is_closed_only_when_it_could_be_spared_for_a_while() -> None:
    world = World(flat(3), target=3, below=0.5)
    world.look()
    assert world.vacating.closed == set()
    world.waiting = True
    world.look()
    world.waiting = False
    world.look()
    world.look()
    assert world.vacating.closed == set(), "somebody waited: the time began anew"
    world.look()
    assert world.vacating.closed == {"n0"}


def test_the_fewest_sessions_are_waited_for_and_then_the_standbys_go() -> None:
    nodes = [*flat(2, live=5, standbys=4), *flat(3, live=1, standbys=4)[2:]]
    world = settled(World(nodes, target=2, below=0.5))
    assert world.vacating.closed == {"n2"}
    assert (world.of("n2").used, world.retired) == (5, []), "its session and its standbys stay"
    world.nodes = [replace(p, live=0, used=4) if p.node == "n2" else p for p in world.nodes]
    world.look()
    assert (world.of("n2").used, world.retired) == (0, ["n2"])


def test_the_next_is_closed_when_nothing_is_left_on_the_one_before() -> None:
    world = settled(World(flat(5, live=1), target=3, below=0.5))
    assert world.vacating.closed == {"n0"}
    world.nodes = [
        replace(p, live=0, used=p.standbys) if p.node == "n0" else p for p in world.nodes
    ]
    assert settled(world).vacating.closed == {"n0", "n1"}


def test_standbys_stay_until_the_others_have_as_many() -> None:
    world = World(flat(3, standbys=3), target=9, below=0.8, starts=1)
    for _ in range(3):
        world.look()
    assert world.vacating.closed == {"n0"}
    for started in (8, 9):
        assert (world.of("n0").standbys, world.retired) == (3, [])
        world.look()
        assert sum(place.standbys for place in world.nodes if place.node != "n0") == started
    assert (world.of("n0").standbys, world.retired) == (0, ["n0"])


def test_a_closed_node_is_opened_when_the_others_fill() -> None:
    world = settled(World(flat(3), target=2, below=0.5))
    assert world.vacating.closed == {"n0"}

    def grown(live: int) -> World:
        world.nodes = [
            replace(p, live=live, used=live + p.standbys) if p.node != "n0" else p
            for p in world.nodes
        ]
        return settled(world)

    # Of 40 slots 2 x 9 are sessions, 9 the reserve, 2 the target: less than three quarters.
    assert grown(9).vacating.closed == {"n0"}
    assert grown(10).vacating.closed == set()
    assert grown(7).vacating.closed == set(), "more than a half"
    assert grown(6).vacating.closed == {"n0"}


def test_somebody_who_waits_opens_it_at_once() -> None:
    world = settled(World(flat(3), target=2, below=0.5))
    world.waiting = True
    world.look()
    assert world.vacating.closed == set()


def test_the_node_of_the_pool_itself_is_never_closed() -> None:
    world = World(flat(3), target=2, below=0.5)
    world.vacating = Vacating(0.5, AFTER_S, spared="n0")
    assert settled(world).vacating.closed == {"n1"}


def test_without_the_policy_nothing_is_closed() -> None:
    assert settled(World(flat(6), target=2, below=0.0)).vacating.closed == set()


def test_each_label_keeps_two_nodes_and_its_share() -> None:
    eu = [replace(place, node=f"eu-{place.node}", label="eu") for place in flat(4)]
    us = [replace(place, node=f"us-{place.node}", label="us") for place in flat(2)]
    world = settled(World([*eu, *us], target=4, below=0.5))
    assert Counter(place.label for place in world.nodes if place.used) == {"eu": 2, "us": 2}
    assert sum(place.standbys for place in world.nodes if place.label == "eu") >= 2
