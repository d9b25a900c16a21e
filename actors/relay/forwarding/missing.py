"""Packets of one layer that should have come: when to ask for them again (RFC 4585 §6.2.1)."""

from __future__ import annotations

_MOST = 256
"""More missing at once is an outage, not loss; a key frame repairs it better."""
_INTERVAL = 0.1
"""Between two requests for one packet, in seconds; about a round trip."""
_TRIES = 8
_PATIENCE = 1.0
"""Nobody keeps a packet longer (the relay's own history neither)."""


class Missing:
    """Bounded memory of holes; sequences do not wrap here."""

    __slots__ = ("_holes",)

    def __init__(self) -> None:
        self._holes: dict[int, list[float]] = {}
        """Sequence → [first missed, last asked, times asked]."""

    def __len__(self) -> int:
        return len(self._holes)

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._holes

    def skipped(self, first: int, end: int, now: float) -> bool:
        """Note that `first` to `end` - 1 were jumped over; False when they are too many."""
        if end - first + len(self._holes) > _MOST:
            self._holes.clear()
            return False
        for sequence in range(first, end):
            self._holes[sequence] = [now, -1e9, 0]
        return True

    def arrived(self, sequence: int) -> bool:
        """Note a late packet or a repair; True when it had been missed."""
        return self._holes.pop(sequence, None) is not None

    def due(self, now: float) -> list[int]:
        """Return what to ask for now, ascending, and forget what is beyond hope."""
        asked: list[int] = []
        for sequence, hole in list(self._holes.items()):
            if now - hole[0] > _PATIENCE or hole[2] >= _TRIES:
                del self._holes[sequence]
            elif now - hole[1] >= _INTERVAL:
                hole[1] = now
                hole[2] += 1
                asked.append(sequence)
        return sorted(asked)
