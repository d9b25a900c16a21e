"""Which nodes run empty so that an autoscaler can take them away: pure, with times in seconds.

An autoscaler removes nodes on which nothing runs, and a standby is something. So a node that the
others can do without is closed: no standby is started there and a session is given to one there
last. Its sessions end by themselves; then its standbys may go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from actors.placement import Place, plan, spare, standing

KEPT = 2
"""Open nodes left to each label: each is the other's reserve."""


@dataclass(frozen=True, slots=True)
class Need:
    """The standbys that are wanted."""

    target: int
    reserve: int
    waiting: bool = False
    """Somebody waits for one."""

    def share(self, places: Sequence[Place]) -> int:
        """How many of the target each label has."""
        return math.ceil(self.target / max(1, len({p.label for p in places if not p.cordoned})))

    def is_met(self, places: Sequence[Place], label: str) -> bool:
        """Whether there are as many as are wanted, those of this label where they are wanted."""
        return (
            standing(places) >= self.target + self.reserve
            and standing(places, label) >= self.share(places)
            and all(
                spare(places, lost) >= min(lost.live, self.reserve)
                for lost in places
                if lost.label == label
            )
        )

    def fill(self, places: Sequence[Place], label: str) -> float:
        """The share of a label's open slots that its sessions and its standbys take."""
        here = [place for place in places if place.label == label]
        slots = sum(place.slots for place in here if not place.cordoned)
        taken = sum(place.live for place in here) + self.share(places) + self.reserve
        return taken / slots if slots else math.inf

    def started(self, places: Sequence[Place]) -> list[Place]:
        """The places with the standbys that are still to be started there."""
        starts = Counter(
            plan(places, target=self.target, reserve=self.reserve, queued={}, limit=10_000)
        )
        return [
            replace(
                place,
                used=place.used + starts[place.node],
                standbys=place.standbys + starts[place.node],
            )
            for place in places
        ]

    def fits(self, places: Sequence[Place], label: str, most: float) -> bool:
        """Whether the open nodes of a label do, filled to at most this share of their slots."""
        nodes = sum(place.label == label and not place.cordoned for place in places)
        return (
            nodes >= KEPT
            and self.fill(places, label) <= most
            and self.is_met(self.started(places), label)
        )


class Vacating:
    """Closes a node when it could be spared for `after_s`, and opens it when it is needed.

    A node can be spared while the others of its label would be filled to at most `below` of their
    slots; 0: never. It is needed again beyond the middle between that and full, when standbys
    would be missing, and when somebody waits. One is closed at a time: the next when nothing runs
    on those closed before. `spared` is never closed: what runs there besides keeps it busy.
    """

    def __init__(self, below: float, after_s: float, spared: str = "") -> None:
        self._below = below
        self._after_s = after_s
        self._spared = spared
        self._since: float | None = None
        self.closed: frozenset[str] = frozenset()
        """Nodes that get nothing new."""

    def look(self, places: Sequence[Place], need: Need, now: float) -> None:
        """Open what is needed, and close what is not. Call it now and then: time passes."""
        self.closed &= {place.node for place in places}
        if self._below <= 0:
            return
        if self._open(places, need) or self._busy(places) or need.waiting:
            self._since = None
            return
        node = self._spare(self.cordon(places), need)
        if node is None:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= self._after_s:
            self._since = None
            self.closed |= {node}

    def cordon(self, places: Sequence[Place]) -> list[Place]:
        """Return the places, the closed ones as cordoned."""
        return [
            replace(place, cordoned=True) if place.node in self.closed else place
            for place in places
        ]

    def retired(self, places: Sequence[Place], need: Need) -> str:
        """Name a closed node whose standbys may go now, empty if none: the others stand already.

        `places` must hold what is there, without what is on its way.
        """
        shut = self.cordon(places)
        for place in places:
            if place.node in self.closed and place.used > 0 and place.live == 0:
                if not need.waiting and need.is_met(shut, place.label):
                    return place.node
        return ""

    def _open(self, places: Sequence[Place], need: Need) -> bool:
        """Open the closed node that can serve soonest, if one is needed; say whether one was."""
        shut, most = self.cordon(places), (1 + self._below) / 2
        for place in sorted(places, key=lambda each: (-each.used, each.node)):
            if place.node not in self.closed or place.cordoned:
                continue
            if need.waiting or not need.fits(shut, place.label, most):
                self.closed -= {place.node}
                return True
        return False

    def _busy(self, places: Sequence[Place]) -> bool:
        return any(place.node in self.closed and place.used > 0 for place in places)

    def _spare(self, places: Sequence[Place], need: Need) -> str | None:
        """Name the node with the fewest sessions of those that the others can do without."""
        for place in sorted(places, key=lambda each: (each.live, each.used, each.node)):
            if place.cordoned or place.node == self._spared:
                continue
            rest = [replace(each, cordoned=True) if each is place else each for each in places]
            if need.fits(rest, place.label, self._below):
                return place.node
        return None
