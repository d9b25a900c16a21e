"""The slope kept up to date in constant time is that of least squares over the same points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.relay.congestion.regression import Regression


def least_squares(points: list[tuple[float, float]]) -> float:
    count = len(points)
    middle_x = sum(x for x, _ in points) / count
    middle_y = sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


@given(
    st.floats(0, 1e6),
    st.lists(st.tuples(st.floats(0.001, 3.0), st.floats(-0.5, 0.5)), min_size=2, max_size=200),
)
def test_any_points_at_any_time(start: float, steps: list[tuple[float, float]]) -> None:
    line, points, x = Regression(20), [], start
    for step, y in steps:
        x += step
        line.add(x, y)
        points.append((x, y))
    points = points[-20:]
    assert len(line) == len(points)
    assert line.slope() == pytest.approx(least_squares(points), rel=1e-4, abs=1e-5)


def test_points_at_one_time_have_no_slope_and_clearing_forgets() -> None:
    line = Regression(4)
    for value in (1.0, 2.0, 3.0):
        line.add(7.0, value)
    assert line.slope() == 0.0
    line.clear()
    assert len(line) == 0
    line.add(1.0, 1.0)
    line.add(2.0, 3.0)
    assert line.slope() == pytest.approx(2.0)
