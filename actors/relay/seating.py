"""Who sits in which seat of one subscriber: people keep their places (design-media §3)."""

from __future__ import annotations

from collections.abc import Sequence


def arrange(seated: Sequence[str | None], wanted: Sequence[str]) -> list[str | None]:
    """Return the new occupants of the seats.

    Whoever is still wanted stays where they are; those who are not leave an empty seat, which
    the first of `wanted` without a seat takes. Whoever finds none is left out.
    """
    result = [person if person in wanted else None for person in seated]
    standing = [person for person in wanted if person not in result]
    for index, person in enumerate(result):
        if person is None and standing:
            result[index] = standing.pop(0)
    return result
