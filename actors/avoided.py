"""Nodes on which starts fail or hang: pure, so the time comes as an argument, in seconds.

Ray goes on naming a node that has died until it declares it dead, 14 s by default. A start there
hangs or fails; the pool tries elsewhere meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from actors.placement import Place


class Avoided:
    """Which nodes get no start now: those where one hangs, and for a pause those where one failed.

    The pause doubles with each failure in a row, from `first_s` to `last_s`.
    """

    def __init__(self, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._hanging: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._until: dict[str, float] = {}

    def hang(self, node: str) -> None:
        """Note that a start there takes far too long."""
        self._hanging[node] += 1

    def end_hang(self, node: str) -> None:
        """Note that such a start came to an end, good or bad."""
        self._hanging[node] -= 1

    def fail(self, node: str, now: float) -> float:
        """Note that a start failed there; return how long the node is avoided."""
        pause_s = min(self._first_s * 2.0 ** min(self._failures[node], 16), self._last_s)
        self._failures[node] += 1
        self._until[node] = now + pause_s
        return pause_s

    def succeed(self, node: str) -> None:
        """Note that a start went well there."""
        self._failures.pop(node, None)
        self._until.pop(node, None)

    def cordon(self, places: Sequence[Place], now: float) -> list[Place]:
        """Return the places, those to be avoided as cordoned; forget nodes that are gone."""
        names = {place.node for place in places}
        for node in [each for each in self._failures if each not in names]:
            self.succeed(node)
        return [
            replace(place, cordoned=True)
            if self._hanging[place.node] > 0 or self._until.get(place.node, now) > now
            else place
            for place in places
        ]
