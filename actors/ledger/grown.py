"""Which sessions an endpoint may have something new of, so that a look for it reads only those.

All sessions of a day wait for a webhook that is down: they are found by when each is to be tried
again, by an index. What is due beside them is of sessions that have grown, or been settled, since
all were looked through; the ledger writes all of them itself, so it knows which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

MOST = 1_000
"""Sessions kept in mind for one endpoint. Where there are more, all are looked through."""
FULL_MS = 15_000
"""How often all are looked through in any case: a write that was given up may be there."""


@dataclass(slots=True)
class _Look:
    """What one endpoint's next look is to read."""

    among: set[str] | None = None
    """`None`: all sessions."""
    full_ms: int = 0
    came: set[str] = field(default_factory=set)
    """What has grown while looks are at work; two keepers may look at once."""

    def add(self, session_id: str) -> None:
        for known in (self.came, self.among):
            if known is not None and len(known) <= MOST:
                known.add(session_id)


class Grown:
    """Remembers sessions for endpoints that were looked through. Of those taken away since it keeps
    `MOST` ids each."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._of: dict[str, dict[str, _Look]] = {}
        """By account and endpoint."""

    def add(self, account_id: str, session_id: str) -> None:
        """A session has more to send, or has to be looked at once more."""
        for look in self._of.get(account_id, {}).values():
            look.add(session_id)

    def begin(self, account_id: str, endpoint_id: str) -> frozenset[str] | None:
        """Say what to look through, `None`: all. Until `end` all is what the next one has to."""
        look = self._of.setdefault(account_id, {}).setdefault(endpoint_id, _Look())
        among, look.among = look.among, None
        if among is not None:
            look.came = set()
        now_ms = self._now_ms()
        if among is not None and len(among) <= MOST and now_ms - look.full_ms < FULL_MS:
            return frozenset(among)
        look.full_ms = now_ms
        return None

    def end(self, account_id: str, endpoint_id: str, left: Iterable[str]) -> None:
        """Say of which sessions the look has found something: it is there until it is settled."""
        look = self._of[account_id][endpoint_id]
        look.among = look.came.union(left, look.among or ())
