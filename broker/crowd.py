"""Places that cost nothing to ask for: few enough in all, and fairly divided among who asks."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

M = TypeVar("M", bound=Hashable)


class Crowd(Generic[M]):
    """Who holds one of `most` places, and from which source; one source holds `from_one` at most.

    When all places are held, the newest of the source that holds most gives way to a newcomer of a
    source that holds fewer. So a few sources cannot keep everybody else out, however many places
    each of them takes; it takes as many sources as there are places. Every step costs the same,
    however many there are.
    """

    def __init__(self, most: int, from_one: int) -> None:
        self._most = most
        self._from_one = from_one
        self._sources: dict[M, str] = {}
        self._members: dict[str, dict[M, None]] = {}
        self._holding: dict[int, dict[str, None]] = {}
        """The sources that hold so many places."""
        self._largest = 0

    def __len__(self) -> int:
        return len(self._sources)

    def has_room(self, source: str) -> bool:
        """Whether a further one may come from there, be it in place of another."""
        return self._count(source) < self._from_one and (
            len(self._sources) < self._most or self._may_displace(source)
        )

    def gives_way(self, source: str) -> M | None:
        """Return whose place a newcomer of this source takes; `None`: a free one, or none."""
        if len(self._sources) < self._most or not self._may_displace(source):
            return None
        largest = next(iter(self._holding[self._largest]))
        return next(reversed(self._members[largest]))

    def add(self, member: M, source: str) -> None:
        """Somebody came who was not there."""
        members = self._members.setdefault(source, {})
        members[member] = None
        self._sources[member] = source
        self._counted(source, len(members) - 1, len(members))

    def discard(self, member: M) -> None:
        """Somebody is gone; harmless when that is known."""
        source = self._sources.pop(member, None)
        if source is None:
            return
        members = self._members[source]
        del members[member]
        if not members:
            del self._members[source]
        self._counted(source, len(members) + 1, len(members))

    def _may_displace(self, source: str) -> bool:
        return self._largest > self._count(source) + 1

    def _count(self, source: str) -> int:
        return len(self._members.get(source, ()))

    def _counted(self, source: str, before: int, now: int) -> None:
        if before:
            held = self._holding[before]
            del held[source]
            if not held:
                del self._holding[before]
        if now:
            self._holding.setdefault(now, {})[source] = None
        # It changes by one: the source that held most holds one less, or another as many.
        if now > self._largest or self._largest not in self._holding:
            self._largest = now
