"""What one participant has been told in one tenure, kept for whichever of their widgets comes back.

`seq` counts all of it. Most is for every widget of the person; replies, a snapshot or the word that
somebody answered elsewhere are for one alone, and no other gets them on coming back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

REPLAY_MESSAGES = 128
REPLAY_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class _Message:
    seq: int
    data: bytes
    widget_id: str | None
    """For this widget alone; `None`: for all."""

    def is_for(self, widget_id: str) -> bool:
        return self.widget_id is None or self.widget_id == widget_id


class Told:
    """Numbers messages and remembers the latest, at most `REPLAY_MESSAGES` and `REPLAY_BYTES`."""

    __slots__ = ("_bytes", "_kept", "seq")

    def __init__(self) -> None:
        self.seq = 0
        """The number of the last message."""
        self._kept: deque[_Message] = deque()
        self._bytes = 0

    def add(self, body: bytes, widget_id: str | None = None) -> bytes:
        """Number a message and keep it; returns what to send."""
        self.seq += 1
        data = b'{"seq":%d,%b' % (self.seq, body[1:])
        self._kept.append(_Message(self.seq, data, widget_id))
        self._bytes += len(data)
        while len(self._kept) > REPLAY_MESSAGES or self._bytes > REPLAY_BYTES:
            self._bytes -= len(self._kept.popleft().data)
        return data

    def missed_since(self, last_seq: int, widget_id: str) -> list[bytes] | None:
        """What a widget has missed, in order; `None` when a snapshot is needed instead."""
        if last_seq == self.seq:
            return []
        if last_seq > self.seq or not self._kept or self._kept[0].seq > last_seq + 1:
            return None
        return [each.data for each in self._kept if each.seq > last_seq and each.is_for(widget_id)]

    def alone_since(self, last_seq: int, widget_id: str) -> list[bytes]:
        """What one widget alone was told after `last_seq`."""
        return [
            each.data for each in self._kept if each.seq > last_seq and each.widget_id == widget_id
        ]
