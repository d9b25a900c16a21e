"""Session actors that Ray has and no ledger knows: they hang, and keep memory and a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from broker.messages.cluster.nodes import PoolLevel

LOST_S = 20.0
"""One that had a link to its ledger and lives brings it back within a few seconds."""
UNKNOWN_S = 90.0
"""Longer than a start may take, and than a ledger waits for the holder of a session."""


class Strays:
    """Says which processes to end, from what is there and what each ledger has a link with.

    Each is given `LOST_S` to come back, and `UNKNOWN_S` while it is being started or somebody waits
    for a standby: it may hold the session that is waited for, and serve it. While a ledger is away
    nobody is counted, and none where members do not say which process they are in, as those of the
    release before this one.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._linked: set[str] = set()

    def look(
        self,
        present: Iterable[str],
        levels: Sequence[PoolLevel | None],
        now: float,
        *,
        linked_since: Iterable[str] = (),
    ) -> list[str]:
        """Name those to end now; `present` are the names of all that are there.

        `linked_since` had a link at some time since the last look.
        """
        there = set(present)
        told = [level for level in levels if level is not None]
        linked = {name for level in told for name in level.processes}
        self._linked = ((self._linked | set(linked_since)) & there) | linked
        missing = there - linked
        if len(told) < len(levels) or any(len(x.processes) < len(x.members) for x in told):
            missing.clear()
        self._since = {name: self._since.get(name, now) for name in missing}
        waits = any(level.queued for level in told)
        return [
            name
            for name, since in sorted(self._since.items())
            if now - since >= (LOST_S if name in self._linked and not waits else UNKNOWN_S)
        ]
