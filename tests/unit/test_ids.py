"""Ids of the two host SDKs in every form they come in (`sdk-reference` §3)."""

from __future__ import annotations

import pytest

from broker.ids import engagement_keys, normal_agent_id, normal_id, same_agent


@pytest.mark.parametrize(
    ("said", "normal"),
    [(4711, "4711"), ("4711", "4711"), (" 4711 ", "4711"), ("a b", "a b"), (0, "0")],
)
def test_an_id_is_a_trimmed_string(said: object, normal: str) -> None:
    assert normal_id(said) == normal


@pytest.mark.parametrize("said", [None, "", "  ", True, False, 4.0, {}, ["7"]])
def test_what_is_no_id_is_none(said: object) -> None:
    assert normal_id(said) is None
    assert not same_agent(said, said)


@pytest.mark.parametrize("said", [7, "7", " 7 ", "acc.7", "acc:7", "site:acc.7"])
def test_an_agent_is_known_by_the_last_part(said: object) -> None:
    assert normal_agent_id(said) == "7"
    assert same_agent(said, 7)
    assert not same_agent(said, "acc.77")
    assert not same_agent(said, None)


def test_an_agent_id_without_a_last_part_is_nobody() -> None:
    assert normal_agent_id("acc.") is None
    assert not same_agent("acc.", "acc.")


def test_a_window_is_found_by_either_of_its_ids_once_each() -> None:
    assert engagement_keys("w-1", None, " c-1 ", "w-1", "") == ("w-1", "c-1")
