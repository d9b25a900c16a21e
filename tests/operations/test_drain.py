"""What an operator may write to drain a node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest

from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeState
from gateway.commands import drain
from gateway.commands.drain import find_node, read_seconds
from gateway.commands.operation import left_on
from gateway.compose.ray_runtime import RayNode
from gateway.settings import Away, BadSettings

NODES = [
    RayNode("abcd11112222", "abcd11112222eeee", "10.0.0.1", "media-1", "", 8),
    RayNode("abcd33334444", "abcd33334444eeee", "10.0.0.2", "media-2", "", 8),
]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("60s", 60.0), ("10m", 600.0), ("1h", 3600.0)]
)
def test_a_deadline_is_read_with_its_unit(text: str, seconds: float) -> None:
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "5d", "1 m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadSettings):
        read_seconds(text)


@pytest.mark.parametrize(
    "wanted", ["10.0.0.2", "media-2", "abcd33334444", "abcd3333", NODES[1].address]
)
def test_a_node_is_found_by_address_host_name_or_id(wanted: str) -> None:
    assert find_node(NODES, wanted) == "abcd33334444"


@pytest.mark.parametrize("wanted", ["abcd", "media-3", "ab"])
def test_a_word_for_no_node_or_for_two_is_refused(wanted: str) -> None:
    with pytest.raises(BadSettings):
        find_node(NODES, wanted)


class DrainingLedger:
    """Says how a node of three sessions stands, a look at a time; sometimes it is away."""

    def __init__(self, *first: None) -> None:
        self.looks = [*first, (3, 4), (2, 5), None, (1, 6), (0, 7)]
        self.asked: list[NodeDrain] = []
        self.drain = SimpleNamespace(remote=self._drain)
        self.nodes = SimpleNamespace(remote=self._nodes)

    def _state(self) -> NodeState:
        look = self.looks.pop(0)
        if look is None:
            raise Away("The ledger does not answer; try again in a moment.")
        live, moved = look
        return NodeState(
            node="n-1", label="", drain="moving" if live else "drained", live=live, moved=moved
        )

    async def _drain(self, ask: NodeDrain) -> NodeState:
        self.asked.append(ask)
        return self._state()

    async def _nodes(self) -> NodeList:
        return NodeList(nodes=[self._state()])

    async def ask_ledgers(self, question: Callable[[Any], Awaitable[Any]]) -> list[Any]:
        return [await question(self)]


@pytest.mark.parametrize("show", [True, False])
def test_a_drain_is_watched_to_its_end_and_shown_as_it_goes(
    show: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drain, "LOOK_S", 0.001)
    monkeypatch.setenv("COLUMNS", "80")
    ledger = DrainingLedger()
    state = asyncio.run(drain._drain(cast(Any, ledger), "n-1", 60.0, show=show))
    assert (state.drain, state.live) == ("drained", 0)
    assert [(ask.node, ask.deadline_s) for ask in ledger.asked] == [("n-1", 60.0)]
    said = capsys.readouterr()
    assert said.out == "", "programs read this"
    # Those it had moved before this drain do not count.
    assert ("draining n-1" in said.err, "3/3" in said.err) == (show, show)


@pytest.mark.parametrize(
    ("drain", "live", "unheld", "members", "said"),
    [
        ("drained", 0, 0, 0, "nothing is left on n"),
        ("late", 2, 0, 5, "2 sessions are left on n"),
        (
            "late",
            0,
            1,
            0,
            "0 sessions are left on n, and 1 may be, whose actors have no link to the ledger",
        ),
        ("late", 0, 0, 3, "3 session actors without a session are left on n"),
    ],
)
def test_what_keeps_a_node_from_being_drained_is_said(
    drain: Literal["drained", "late"], live: int, unheld: int, members: int, said: str
) -> None:
    state = NodeState(node="n", drain=drain, live=live, unheld=unheld, members=members)
    assert left_on(state) == said


def test_a_drain_begins_when_the_ledger_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit of a node asks once, as it is stopped: the ledger may have gone with another."""
    monkeypatch.setattr(drain, "LOOK_S", 0.001)
    ledger = DrainingLedger(None, None)
    state = asyncio.run(drain._drain(cast(Any, ledger), "n-1", 60.0, show=False))
    assert (state.drain, len(ledger.asked)) == ("drained", 3)
    assert ledger.asked[-1].deadline_s <= 60.0


def test_a_drain_that_no_ledger_begins_in_time_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "LOOK_S", 0.001)
    ledger = DrainingLedger(*[None] * 100_000)
    with pytest.raises(Away):
        asyncio.run(drain._drain(cast(Any, ledger), "n-1", 0.05, show=False))
    left = [ask.deadline_s for ask in ledger.asked]
    assert left == sorted(left, reverse=True), "each has what is left"
    assert left[0] > left[-1]
