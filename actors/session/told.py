"""What one participant has been told in one tenure, kept for whichever of their widgets comes back.

`seq` counts all of it. Most is for every widget of the person; replies, a snapshot or the word that
somebody answered elsewhere are for one alone, and no other gets them on coming back.
"""

from __future__ import annotations

from collections import deque

REPLAY_MESSAGES = 128
REPLAY_BYTES = 512 * 1024


class Told:
    """Numbers messages and remembers the latest, at most `REPLAY_MESSAGES` and `REPLAY_BYTES`."""

    __slots__ = ("_bytes", "_kept", "seq")

    def __init__(self) -> None:
        self.seq = 0
        """The number of the last message."""
        self._kept: deque[tuple[int, bytes, str | None]] = deque()
        """Number, message, and the widget that alone was told it; `None`: all were. Bare tuples:
        one is made for each message to each person."""
        self._bytes = 0

    def add(self, body: bytes, widget_id: str | None = None) -> bytes:
        """Number a message and keep it; returns what to send."""
        self.seq += 1
        data = b'{"seq":%d,%b' % (self.seq, body[1:])
        self._kept.append((self.seq, data, widget_id))
        self._bytes += len(data)
        while len(self._kept) > REPLAY_MESSAGES or self._bytes > REPLAY_BYTES:
            self._bytes -= len(self._kept.popleft()[1])
        return data

    def missed_since(self, last_seq: int, widget_id: str) -> list[bytes] | None:
        """What a widget has missed, in order; `None` when a snapshot is needed instead."""
        if last_seq == self.seq:
            return []
        if last_seq > self.seq or not self._kept or self._kept[0][0] > last_seq + 1:
            return None
        return [
            data for seq, data, only in self._kept if seq > last_seq and only in (None, widget_id)
        ]

    def alone_since(self, last_seq: int, widget_id: str) -> list[bytes]:
        """What one widget alone was told after `last_seq`."""
        return [data for seq, data, only in self._kept if seq > last_seq and only == widget_id]
