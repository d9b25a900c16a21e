"""Places that cost nothing to ask for: who gives way to whom, and that it is counted right."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from broker.crowd import Crowd


def filled(most: int, *sources: str, from_one: int = 99) -> Crowd[int]:
    crowd: Crowd[int] = Crowd(most, from_one)
    for number, source in enumerate(sources):
        crowd.add(number, source)
    return crowd


def test_while_there_is_room_nobody_gives_way() -> None:
    crowd = filled(4, "a", "a", "a")
    assert crowd.has_room("b")
    assert crowd.gives_way("b") is None


def test_the_newest_of_the_largest_source_gives_way_to_one_that_holds_fewer() -> None:
    crowd = filled(4, "b", "a", "a", "a")
    assert crowd.has_room("c")
    assert crowd.gives_way("c") == 3
    assert crowd.gives_way("b") == 3
    assert not crowd.has_room("a")
    assert crowd.gives_way("a") is None


def test_nobody_gives_way_to_an_equal() -> None:
    crowd = filled(4, "a", "a", "b", "b")
    assert not crowd.has_room("a")
    assert crowd.gives_way("c") == 1, "with two each, a third may have one"
    equal = filled(2, "a", "b")
    assert not equal.has_room("c")
    assert equal.gives_way("c") is None


def test_one_source_holds_so_many_at_most() -> None:
    crowd = filled(10, "a", "a", from_one=2)
    assert not crowd.has_room("a")
    assert crowd.has_room("b")


steps = st.lists(st.one_of(st.sampled_from("abcd"), st.integers(0, 60)), max_size=60)
"""From where somebody comes, or who goes."""


@given(steps=steps)
def test_whoever_comes_and_goes_the_largest_gives_way(steps: list[str | int]) -> None:
    crowd: Crowd[int] = Crowd(6, 4)
    held: dict[int, str] = {}
    for number, who in enumerate(steps):
        if isinstance(who, int):
            crowd.discard(who)
            held.pop(who, None)
            continue
        counts = Counter(held.values())
        largest = max(counts.values(), default=0)
        full = len(held) == 6
        room = counts[who] < 4 and (not full or largest > counts[who] + 1)
        assert crowd.has_room(who) == room
        if not room:
            continue
        other = crowd.gives_way(who)
        assert (other is not None) == full
        if other is not None:
            assert counts[held[other]] == largest
            assert other == max(each for each in held if held[each] == held[other])
            crowd.discard(other)
            del held[other]
        crowd.add(number, who)
        held[number] = who
        assert len(crowd) == len(held) <= 6
