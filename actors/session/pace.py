"""How often one person may do something."""

from __future__ import annotations

from collections import deque


class Pace:
    """Lets at most `count` through in any `ms` milliseconds, for each window `(count, ms)`.

    Bounded by the largest count. The caller gives time, in milliseconds.
    """

    __slots__ = ("_taken_ms", "_windows")

    def __init__(self, *windows: tuple[int, int]) -> None:
        self._windows = windows
        self._taken_ms: deque[int] = deque(maxlen=max(count for count, _ in windows))

    def take(self, now_ms: int) -> bool:
        """Take one; False when it comes too soon, and then it does not count."""
        if self.wait_ms(now_ms) > 0:
            return False
        self._taken_ms.append(now_ms)
        return True

    def wait_ms(self, now_ms: int) -> int:
        """How long until one may be taken; 0: now."""
        return max(
            (
                ms - (now_ms - self._taken_ms[-count])
                for count, ms in self._windows
                if len(self._taken_ms) >= count
            ),
            default=0,
        )
