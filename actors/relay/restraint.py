"""Asking a sender for less, where nothing smaller is to be had of what it sends.

A picture without simulcast is all or nothing for each line, so what some line does not carry is
asked to be less of its sender, by REMB (draft-alvestrand-rmcat-remb-03). Browsers take that as an
upper bound beside what transport-wide feedback tells them; it is one for all that a peer sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .rtcp import receiver_estimate

if TYPE_CHECKING:
    from .outlet import Outlet
    from .publication import Publication

LEAST = 150_000
"""Bits per second below which nobody is asked to go: less is hardly a picture."""
LEAST_FOR_OTHERS = 400_000
"""The same where somebody's line carries more: they pay for it with sharpness, and no more than
down to this, whatever another line tells of itself."""
FILLED = 0.9
"""How much of a line's room is asked for: encoders go beyond what they are given for moments."""
_HEADERS = 1.05
_VOICE = 60_000
"""Left for a voice: Chromium's takes 48 kbit/s with headers, 81 where each frame comes twice."""
_PATIENCE, _FALLING = 0.5, 0.9
"""Seconds for which a line must be too narrow before those with a better one pay for it, and no
narrower than it was a moment before: as an estimate falls it passes through what would be enough.
"""
_LAPSE = 5.0
"""Seconds for which it goes on being asked when a line has become too narrow to be helped, or when
nobody sees it: an estimate falls for a moment, and the sender would begin anew with all of it."""
_REPEAT = 1.0
"""Seconds: what was asked may have been lost."""
_CHANGED = 0.03
_MOST_GOODBYES = 3
"""How often the bound is lifted, for the same reason."""


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


class Asking:
    """What one peer has been asked to send at most. Belongs to its transport."""

    __slots__ = ("_goodbyes", "_outlet", "_said", "_said_at")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._said: float | None = None
        self._said_at = 0.0
        self._goodbyes = 0

    def tick(self, publications: Sequence[Publication], most: float, now: float) -> None:
        """Say what has changed, and again each second; `most` lifts the bound."""
        asked = _asked_of(publications, now)
        if asked is None and self._said is not None:
            self._goodbyes, self._said = _MOST_GOODBYES, None
        elif asked is not None:
            before, self._goodbyes = self._said, 0
            if before is not None and abs(asked - before) < _CHANGED * before:
                asked = before
            if asked != before or now - self._said_at >= _REPEAT:
                self._said = asked
                self._say(publications, asked, now)
            return
        if self._goodbyes and (self._goodbyes == _MOST_GOODBYES or now - self._said_at >= _REPEAT):
            self._goodbyes -= 1
            self._say(publications, most, now)

    def _say(self, publications: Sequence[Publication], bitrate: float, now: float) -> None:
        self._said_at = now
        ssrcs = [layer.ssrc for each in publications for layer in each.layers.values()]
        outlet = self._outlet
        outlet.send_rtcp(receiver_estimate(outlet.feedback_ssrc, round(bitrate), ssrcs))


def _asked_of(publications: Sequence[Publication], now: float) -> float | None:
    """Return the bound for all that a peer sends; None while nothing is asked of it.

    Browsers divide what they are given evenly among their pictures, as far as those want it. So
    none may want more than the one that is to be less; what it does not want it leaves.
    """
    limits = [each.restraint.limit for each in publications if each.restraint.limit is not None]
    if not limits:
        return None
    limit = min(limits)
    voices = _VOICE * sum(not each.video for each in publications)
    return voices + _HEADERS * sum(
        limit if each.restraint.limit is not None else min(limit, each.sent(now))
        for each in publications
        if each.video
    )
