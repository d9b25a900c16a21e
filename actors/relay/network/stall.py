"""Whether the process stood still for so long that its session may be another's by now.

A process that was stopped, or had no processor, does not know it: it goes on wherever it was, and
with the packets that lay in its sockets meanwhile. So each beat of the pulse says until when there
is no doubt, and the clock is looked at before anything is read and before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf


class Stall:
    """A relay's own. Time is an argument, in seconds of the relay's clock."""

    __slots__ = ("_beaten", "_found", "_limit", "_lost", "doubted", "until")

    def __init__(self, limit: float, found: Callable[[float], None]) -> None:
        """Doubt after `limit` without a beat; `found` is told for how long there was none."""
        self._limit = limit
        self._found = found
        self._beaten = 0.0
        self.until = inf
        """From then on there is doubt."""
        self.doubted = False
        """Nothing may be read or sent until `settle`."""
        self._lost = False

    def beat(self, now: float) -> None:
        """Note that the process runs, and that the next beat is awaited."""
        if not self.doubted:
            self._beaten = now
            self.until = now + self._limit

    def rest(self) -> None:
        """Await no beat: there is nobody to forward anything to."""
        if not self.doubted:
            self.until = inf

    def look(self, now: float) -> bool:
        """Say whether there is doubt; whoever finds it first tells of it."""
        if not self.doubted and now >= self.until:
            self.doubted = True
            self._found(now - self._beaten)
        return self.doubted

    def settle(self) -> bool:
        """There is no doubt any more, and none before the next beat; False when there was none, or
        when it is certain that the session is another's."""
        if not self.doubted or self._lost:
            return False
        self.doubted = False
        self.until = inf
        return True

    def lose(self) -> None:
        """The session is another's, for good."""
        self.doubted = self._lost = True
