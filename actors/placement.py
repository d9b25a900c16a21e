"""Where the next session actors are started: pure, so that it can be tried a million times."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

Standby = TypeVar("Standby")


@dataclass(frozen=True, slots=True)
class Place:
    """A node as placement sees it."""

    node: str
    label: str
    slots: int
    """Session actors that may be there."""
    used: int = 0
    """Session actors that are there or on their way, live ones included."""
    standbys: int = 0
    """Those without a session, and those on their way."""
    live: int = 0
    cordoned: bool = False

    @property
    def is_open(self) -> bool:
        """Whether one more may be started there."""
        return not self.cordoned and self.used < self.slots


def choose(places: Sequence[Place], label: str = "") -> Place | None:
    """Return the open place with the largest share of free slots; an empty label takes any.

    Spreading makes the death of a node cost the fewest sessions.
    """
    fit = [place for place in places if place.is_open and label in ("", place.label)]
    return min(fit, key=lambda place: (place.used / place.slots, place.node), default=None)


def reserve_for(places: Sequence[Place], limit: int) -> int:
    """How many sessions lose their actor at once in the worst death of one node, up to `limit`.

    Zero where there is no other node: no reserve could help there.
    """
    return min(limit, max(place.live for place in places)) if len(places) > 1 else 0


def least_loaded(
    standbys: Sequence[Standby],
    node_of: Callable[[Standby], str],
    loads: Callable[[], Mapping[str, int]],
) -> Standby | None:
    """Return the standby on the node with the fewest sessions, the oldest of several.

    `loads` counts the sessions by node, and is only asked where there is a choice.
    """
    if len({node_of(each) for each in standbys}) <= 1:
        return next(iter(standbys), None)
    counted = loads()
    return min(standbys, key=lambda each: counted.get(node_of(each), 0))


def succeeds(place: Place, lost: Place) -> bool:
    """Whether a standby on `place` may have a session of `lost`, of whatever label it is."""
    return place.node != lost.node and place.label == lost.label and not place.cordoned


def standing(places: Iterable[Place], label: str = "") -> int:
    """Count the standbys on nodes that are not cordoned; an empty label counts all."""
    return sum(
        place.standbys for place in places if not place.cordoned and label in ("", place.label)
    )


def spare(places: Iterable[Place], lost: Place) -> int:
    """Count the standbys that may have the sessions of `lost`."""
    return sum(place.standbys for place in places if succeeds(place, lost))


def plan(
    places: Sequence[Place],
    *,
    target: int,
    reserve: int,
    queued: Mapping[str, int],
    limit: int,
) -> list[str]:
    """Name the nodes on which to start a standby now, the most urgent first.

    `target` standbys are spread evenly over the labels of nodes that are not cordoned, `reserve`
    more go anywhere, and one more for each opening that waits (`queued`, by label). Each node's
    sessions, up to `reserve`, find standbys beside that node under its label: those on it would
    die with it. At most `limit` starts; a node appears once for each.
    """
    now = {place.node: place for place in places}
    starts: list[str] = []

    def waiting() -> int:
        # Who waits for a label that is full gets nothing from a start elsewhere.
        return sum(
            min(n, standing(now.values(), label)) if label else n for label, n in queued.items()
        )

    def start(label: str, count: int, beside: Place | None = None) -> None:
        for _ in range(count):
            if len(starts) >= limit:
                return
            place = choose(
                [p for p in now.values() if beside is None or succeeds(p, beside)], label
            )
            if place is None:
                return
            starts.append(place.node)
            now[place.node] = replace(place, used=place.used + 1, standbys=place.standbys + 1)

    labels = sorted({place.label for place in places if not place.cordoned})
    each = math.ceil(target / len(labels)) if labels else 0
    for label in labels:
        if label:
            start(label, queued.get(label, 0) - standing(now.values(), label))
    start("", waiting() - standing(now.values()))
    for label in labels:
        start(label, each + queued.get(label, 0) - standing(now.values(), label))
    for lost in places:
        start(lost.label, min(lost.live, reserve) - spare(now.values(), lost), beside=lost)
    start("", target + reserve + waiting() - standing(now.values()))
    return starts
