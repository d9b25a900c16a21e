"""The slope of a line through the last few points, kept up to date in constant time."""

from __future__ import annotations

from collections import deque

_FAR = 5.0
"""Seconds from the origin after which it moves, before the sums lose digits."""


class Regression:
    """Least squares through at most `most` points (seconds, value). Adding drops the oldest."""

    __slots__ = ("_most", "_origin", "_points", "_x", "_xx", "_xy", "_y")

    def __init__(self, most: int) -> None:
        self._most = most
        self._points: deque[tuple[float, float]] = deque()
        self._origin = (0.0, 0.0)
        self._x = self._y = self._xx = self._xy = 0.0

    def __len__(self) -> int:
        return len(self._points)

    def clear(self) -> None:
        self._points.clear()
        self._x = self._y = self._xx = self._xy = 0.0

    def add(self, x: float, y: float) -> None:
        points = self._points
        if not points:
            self._origin = (x, y)
        elif len(points) == self._most:
            self._count(*points.popleft(), -1.0)
        points.append((x, y))
        if abs(x - self._origin[0]) > _FAR:
            self._move_origin()
        else:
            self._count(x, y, 1.0)

    def slope(self) -> float:
        """Return the value's growth per second; 0 while all points have the same time."""
        count = len(self._points)
        spread = count * self._xx - self._x * self._x
        if spread <= 1e-9:
            return 0.0
        return (count * self._xy - self._x * self._y) / spread

    def _count(self, x: float, y: float, sign: float) -> None:
        x -= self._origin[0]
        y -= self._origin[1]
        self._x += sign * x
        self._y += sign * y
        self._xx += sign * x * x
        self._xy += sign * x * y

    def _move_origin(self) -> None:
        self._origin = self._points[0]
        self._x = self._y = self._xx = self._xy = 0.0
        for point in self._points:
            self._count(*point, 1.0)
