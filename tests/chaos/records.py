"""What a session's record must be, whatever happened while it was written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def numbered(events: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Check that no number is missing or comes twice; returns how many there are of each type."""
    said = [(event["seq"], str(event["type"])) for event in events]
    assert [seq for seq, _ in said] == list(range(1, len(said) + 1)), said
    return Counter(type_ for _, type_ in said)


def whole(events: Iterable[Mapping[str, Any]], *, people: int = 2) -> Counter[str]:
    """The same of a session that has ended: it began and ended once, and nobody joined twice."""
    types = numbered(events)
    assert types["session.started"] == types["session.ended"] == 1, types
    assert types["participant.joined"] == people, types
    return types
