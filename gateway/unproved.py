"""Connections that have proved nothing, or not yet: few enough in all, and from one address."""

from __future__ import annotations

from collections import Counter


class Unproved:
    """Which connections have not proved who they are, and from where. Bounded by `most`.

    One address has `from_one` of them at most, so that nobody takes the room of everybody else.
    """

    def __init__(self, most: int, from_one: int) -> None:
        self._most = most
        self._from_one = from_one
        self._addresses: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def has_room(self, address: str) -> bool:
        """Whether a further one may come from there."""
        return len(self._addresses) < self._most and self._counts[address] < self._from_one

    def add(self, connection_id: str, address: str) -> None:
        """A connection came."""
        self._addresses[connection_id] = address
        self._counts[address] += 1

    def discard(self, connection_id: str) -> None:
        """It has said who it is, or is gone; harmless when that is known."""
        address = self._addresses.pop(connection_id, None)
        if address is not None:
            self._counts[address] -= 1
            if self._counts[address] == 0:
                del self._counts[address]

    def address_of(self, connection_id: str) -> str:
        """Where it came from; its own id when it is not here."""
        return self._addresses.get(connection_id, connection_id)

    def __len__(self) -> int:
        return len(self._addresses)
