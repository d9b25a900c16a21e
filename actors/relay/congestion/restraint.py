"""How much a picture may take at most, where nothing smaller is to be had of what is sent.

A picture without simulcast is all or nothing for each line, so what some line does not carry is
asked to be less of its sender (`Asking`).
"""

from __future__ import annotations

from collections.abc import Sequence

LEAST = 150_000
"""Bits per second below which nobody is asked to go: less is hardly a picture."""
LEAST_FOR_OTHERS = 400_000
"""The same where somebody's line carries more: they pay for it with sharpness, and no more than
down to this, whatever another line tells of itself."""
FILLED = 0.9
"""How much of a line's room is asked for: encoders go beyond what they are given for moments."""
_PATIENCE, _FALLING = 0.5, 0.9
"""Seconds for which a line must be too narrow before those with a better one pay for it, and no
narrower than it was a moment before: as an estimate falls it passes through what would be enough.
"""
_LAPSE = 5.0
"""Seconds for which it goes on being asked when a line has become too narrow to be helped, or when
nobody sees it: an estimate falls for a moment, and the sender would begin anew with all of it."""


def limit_of(rooms: Sequence[tuple[float, bool]], *, others: bool = False) -> float | None:
    """Return what a picture may take, so that more lines carry it; None: as much as it does.

    `rooms` has for each who is to see it what may be asked for their line, in bits per second, and
    whether the picture is too much for it. Of those lines the narrowest counts that carries
    `LEAST_FOR_OTHERS`. Where none does, it is the widest, but only if nobody else's carries more:
    so all who see less see it for the sake of a picture, and nobody sees less than they need to.
    `others` says that somebody's line carries more of another picture of its sender, who has one
    bound for all.
    """
    narrow = [room for room, too_much in rooms if too_much]
    enough = [room for room in narrow if room >= LEAST_FOR_OTHERS]
    if enough:
        return min(enough)
    if narrow and len(narrow) == len(rooms) and not others:
        return max(LEAST, *narrow)
    return None


class Restraint:
    """What one publication is asked to take at most."""

    __slots__ = ("_lately", "_natural", "_since", "_unseen", "asked", "limit")

    def __init__(self) -> None:
        self._since: float | None = None
        """Since when less, or nothing any more, would be asked."""
        self._lately = 0.0
        """What would have been asked when it was looked at last."""
        self._unseen: float | None = None
        """Since when nobody is to see it."""
        self.asked: float | None = None
        """When it was first asked for less than it takes; None: nothing is asked."""
        self.limit: float | None = None
        """Bits per second; None: nothing is asked."""
        self._natural = 0.0
        """What it took when nothing was asked."""

    def note(
        self,
        rooms: Sequence[tuple[float, bool]],
        sent: float,
        now: float,
        *,
        others: bool = False,
    ) -> None:
        """Take the rooms of those who are to see it (`limit_of`), and what it takes now.

        What is asked follows their lines, up and down, until they carry what it took before.
        """
        if self.limit is None:
            self._consider(rooms, sent, now, others)
        elif rooms:
            self._unseen = None
            self._natural = max(self._natural, sent)
            rooms = [(room, too_much or room < self._natural) for room, too_much in rooms]
            self._follow(rooms, now, others)
        elif self._unseen is None:
            self._unseen = now
        elif now - self._unseen >= _LAPSE:
            self.lift()

    def would_take_more_than(self, room: float) -> bool:
        """Whether it is less than it would be, and this line had no room for that."""
        return self.limit is not None and room < self._natural

    def _consider(
        self, rooms: Sequence[tuple[float, bool]], sent: float, now: float, others: bool
    ) -> None:
        limit = limit_of(rooms, others=others)
        if limit is None or limit >= sent:
            self._since = None
            return
        if self._since is None or limit < _FALLING * self._lately:
            self._since = now
        self._lately = limit
        costs_nobody = not others and all(too_much for _, too_much in rooms)
        if costs_nobody or now - self._since >= _PATIENCE:
            self._natural = sent
            self._since, self.asked, self.limit = None, now, limit

    def _follow(self, rooms: Sequence[tuple[float, bool]], now: float, others: bool) -> None:
        limit = limit_of(rooms, others=others)
        if limit is not None:
            self._since, self.limit = None, limit
        elif not any(too_much for _, too_much in rooms):
            self.lift()
        else:
            self.limit = LEAST_FOR_OTHERS
            self._since = self._since or now
            if now - self._since >= _LAPSE:
                self.lift()

    def lift(self) -> None:
        """Ask nothing any more."""
        self.limit = self.asked = self._since = self._unseen = None
