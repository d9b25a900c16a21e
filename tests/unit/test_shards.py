"""Which ledger an account belongs to, and what all ledgers together say."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.messages.cluster.nodes import NodeList, NodeState, PoolLevel
from broker.shards import WHOLE, Shard, shard_of


@given(st.text(), st.integers(1, 12))
def test_every_account_has_one_shard(account_id: str, shards: int) -> None:
    having = [n for n in range(shards) if Shard(n, shards).has(account_id)]
    assert having == [shard_of(account_id, shards)]
    assert WHOLE.has(account_id)


def test_a_release_finds_an_account_where_the_one_before_left_it() -> None:
    names = ["12345678", "acme", "eastern", "Müller & Söhne"]
    assert [shard_of(name, 2) for name in names] == [1, 0, 1, 0]
    assert [shard_of(name, 7) for name in names] == [4, 2, 0, 1]


@pytest.mark.parametrize("shards", [2, 3, 8])
def test_accounts_are_spread_evenly(shards: int) -> None:
    # LivePerson's ids are numbers that follow one another.
    counts = Counter(shard_of(str(number), shards) for number in range(10_000_000, 10_020_000))
    assert len(counts) == shards
    fair = 20_000 / shards
    assert max(abs(count - fair) for count in counts.values()) < 0.08 * fair


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (("no", "no"), "no"),
        (("drained", "moving"), "moving"),
        (("late", "drained"), "late"),
        (("moving", "late"), "moving"),
        (("drained", "drained"), "drained"),
        (("no", "drained"), "drained"),
    ],
)
def test_a_node_is_drained_when_all_ledgers_say_so(words: tuple[str, ...], word: str) -> None:
    for order in (words, words[::-1]):
        lists = [
            NodeList(nodes=[NodeState.model_validate({"node": "n", "drain": each})])
            for each in order
        ]
        assert [state.drain for state in NodeList.of_all(lists).nodes] == [word]


def test_levels_add_up_and_nodes_are_named_once() -> None:
    def node(name: str, live: int, deadline_ms: int | None = None) -> NodeState:
        return NodeState(
            node=name,
            label="eu" if live else "",
            deadline_ms=deadline_ms,
            standbys=1,
            reusable=2,
            live=live,
            members=live + 3,
            moved=live,
        )

    one = PoolLevel(
        standbys=1,
        live=2,
        queued=3,
        members=["a"],
        nodes=[node("n2", 0, 5), node("n1", 1)],
        queued_for={"": 1, "eu": 2},
        taken=4,
        reused=["a"],
        failed=1,
        waited=2,
    )
    other = PoolLevel(
        standbys=2,
        live=1,
        queued=1,
        members=["b", "c"],
        nodes=[node("n2", 4, 9)],
        queued_for={"eu": 1},
        taken=1,
        failed=2,
        waited=5,
    )
    both = PoolLevel.of_all([one, other])
    assert (both.standbys, both.live, both.queued, both.taken, both.failed) == (3, 3, 4, 5, 3)
    assert both.waited == 7
    assert (both.members, both.reused) == (["a", "b", "c"], ["a"])
    assert both.queued_for == {"": 1, "eu": 3}
    assert both.nodes == [
        node("n1", 1),
        NodeState(
            node="n2",
            label="eu",
            deadline_ms=9,
            standbys=2,
            reusable=4,
            live=4,
            members=10,
            moved=4,
        ),
    ]
