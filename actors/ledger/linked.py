"""The session actors that have a link to the ledger now, and those that had one for a moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from actors.ledger.standbys import Actor
from actors.link import End

CAME_LIMIT = 256
"""Processes that came and are remembered until the pools are told; of more the oldest are not."""


class Linked:
    """Finds actors by member and by link."""

    def __init__(self) -> None:
        self._by_member: dict[str, Actor] = {}
        self._by_end: dict[End, Actor] = {}
        self._came: deque[str] = deque(maxlen=CAME_LIMIT)

    def add(self, actor: Actor) -> None:
        """Take note of an actor whose member has no other link."""
        self._by_member[actor.member.member_id] = actor
        self._by_end[actor.end] = actor
        if actor.member.account_id is None:
            self._came.append(actor.member.member_id)

    def remove(self, actor: Actor) -> None:
        """Forget an actor that was added."""
        del self._by_member[actor.member.member_id]
        del self._by_end[actor.end]

    def of_member(self, member_id: str) -> Actor | None:
        """Return a member's actor."""
        return self._by_member.get(member_id)

    def of_end(self, end: End) -> Actor | None:
        """Return the actor at the other end of a link."""
        return self._by_end.get(end)

    def all(self) -> Collection[Actor]:
        """Return them all, in the order in which they came."""
        return self._by_member.values()

    def passed(self) -> list[str]:
        """Name the members that came and went since this was last asked.

        One whose process had held a session before is not among them: nobody started it.
        """
        gone = [member_id for member_id in self._came if member_id not in self._by_member]
        self._came.clear()
        return gone
