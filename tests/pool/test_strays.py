"""Which session actors are ended because no ledger has heard of them for long."""

from __future__ import annotations

from actors.strays import LOST_S, UNKNOWN_S, Strays
from broker.messages.cluster.nodes import PoolLevel


def level(*processes: str, queued: int = 0, unnamed: int = 0) -> PoolLevel:
    members = [*(f"m-{name}" for name in processes), *("old" for _ in range(unnamed))]
    return PoolLevel(standbys=0, live=0, queued=queued, members=members, processes=list(processes))


def test_one_that_lost_its_link_is_ended_unless_it_comes_back() -> None:
    strays = Strays()
    assert strays.look(["a", "b"], [level("a", "b")], 0.0) == []
    assert strays.look(["a", "b"], [level("a")], 1.0) == []
    assert strays.look(["a", "b"], [level("a", "b")], LOST_S) == [], "it came back"
    assert strays.look(["a", "b"], [level("a")], LOST_S + 1) == []
    assert strays.look(["a", "b"], [level("a")], 2 * LOST_S + 1) == ["b"]
    assert strays.look(["a"], [level("a")], 2 * LOST_S + 2) == [], "it is gone"


def test_one_whose_link_came_and_went_between_two_looks_is_not_unknown() -> None:
    strays = Strays()
    assert strays.look(["a", "b"], [level()], 0.0, linked_since=["a"]) == []
    assert strays.look(["a", "b"], [level()], LOST_S) == ["a"]
    assert strays.look(["b"], [level()], UNKNOWN_S - 1) == []


def test_one_that_is_being_started_or_waited_for_gets_longer() -> None:
    strays = Strays()
    strays.look(["held", "new"], [level("held")], 0.0)
    strays.look(["held", "new"], [level(queued=1)], 1.0)
    # Somebody waits for a standby: the one that was lost may be the holder, and serve.
    assert strays.look(["held", "new"], [level(queued=1)], UNKNOWN_S - 1) == []
    assert strays.look(["held", "new"], [level()], UNKNOWN_S - 1) == ["held"]
    assert strays.look(["new"], [level(queued=1)], UNKNOWN_S) == ["new"]


def test_nobody_is_ended_while_a_ledger_is_away_or_says_too_little() -> None:
    strays = Strays()
    strays.look(["a", "b"], [level("a"), level("b")], 0.0)
    assert strays.look(["a", "b"], [level("a"), level()], 1.0) == []
    assert strays.look(["a", "b"], [level("a"), None], UNKNOWN_S + 1) == []
    # From then on it has its time again.
    assert strays.look(["a", "b"], [level("a"), level()], UNKNOWN_S + 2) == []
    assert strays.look(["a", "b"], [level("a"), level()], UNKNOWN_S + 2 + LOST_S) == ["b"]
    # A member of the release before does not say which process it is in.
    assert strays.look(["a", "b"], [level("a"), level(unnamed=1)], 3 * UNKNOWN_S) == []
