"""What an operator may write to drain a node."""

from __future__ import annotations

import pytest

from gateway.compose.ray_runtime import RayNode
from gateway.drain import find_node, read_seconds
from gateway.settings import BadSettings

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
