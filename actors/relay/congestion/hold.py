"""When a slot's picture is held back, because its subscriber's line does not carry it."""

from __future__ import annotations

_PATIENCE = 1.5
"""Seconds for which a picture may be too much: a key frame is, and a page turned on a screen."""
_LEAST = 3.0
"""Seconds that it is held back at least: each return begins with a key frame."""


class Hold:
    """One slot's, for as long as it shows one publication."""

    __slots__ = ("_since", "held")

    def __init__(self) -> None:
        self.held = False
        """Whether nothing of the picture is sent."""
        self._since: float | None = None
        """Since when it is held, or else since when it has been too much."""

    @property
    def pressed(self) -> bool:
        """Whether it is held, or will be if the picture goes on being too much."""
        return self.held or self._since is not None

    def note(self, fits: bool, now: float, *, asked: float | None = None) -> bool:
        """Take whether the line carries the picture; True when that changes what is done.

        `asked` says when its sender was asked for less, who needs a moment for that.
        """
        if self.held:
            if not fits or (self._since is not None and now - self._since < _LEAST):
                return False
            self.held, self._since = False, None
            return True
        if fits:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - max(self._since, asked or self._since) >= _PATIENCE:
            self.held, self._since = True, now
            return True
        return False
