"""What is longer than a frame holds, in parts that it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.tenure import JournalEntry, SessionPast, Subject
from broker.trunk import MAX_FRAME_BYTES

PART_BYTES = MAX_FRAME_BYTES // 4
M = TypeVar("M", bound=ClusterMessage)


def split(messages: Iterable[M], part_bytes: int = PART_BYTES) -> list[list[M]]:
    """Cut a list into parts of at most `part_bytes`, or of one message; at least one part."""
    parts: list[list[M]] = [[]]
    filled = 0
    for message in messages:
        size = size_of(message)
        if parts[-1] and filled + size > part_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(message)
        filled += size
    return parts


def size_of(message: ClusterMessage) -> int:
    """Bytes that it takes."""
    return len(message.to_bytes())


def before_the_last(
    session_id: str,
    epoch: int,
    journal: Sequence[list[JournalEntry]],
    people: Sequence[list[Subject]],
) -> Iterator[SessionPast]:
    """Give a session's parts but the last of each kind, which `session.continue` holds."""
    for entries in journal[:-1]:
        yield SessionPast(session_id=session_id, epoch=epoch, entries=entries)
    for subjects in people[:-1]:
        yield SessionPast(session_id=session_id, epoch=epoch, entries=[], subjects=subjects)
