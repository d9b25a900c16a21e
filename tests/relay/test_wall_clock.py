"""A publisher's wall clock: believed by the fastest report, approached in steps, followed."""

from __future__ import annotations

import itertools

from actors.relay.forwarding.wall_clock import WallClock


def test_a_clock_that_is_known_is_corrected_by_small_steps() -> None:
    """A jump would put sound and picture apart in whoever fits a line through the reports."""
    clock = WallClock()
    clock.reported(0.0, 100.2)
    # In the first two seconds whatever travelled faster is believed.
    clock.reported(1.0, 101.1)
    assert clock.offset is not None
    assert abs(clock.offset - 100.1) < 1e-9
    readings = [clock.offset]
    for second in range(4, 44):
        clock.reported(second, second + 100.05)
        readings.append(clock.offset)
    assert all(0 <= a - b < 0.0021 for a, b in itertools.pairwise(readings))
    assert abs(readings[-1] - 100.05) < 1e-9
    # What travelled slower changes next to nothing, a clock that was set does, either way.
    clock.reported(50, 150.9)
    assert 0 <= clock.offset - readings[-1] < 0.02
    clock.reported(50, 170.0)
    assert clock.offset == 120.0
    clock.reported(90, 180.0)
    assert clock.offset == 90.0


def test_a_clock_that_is_too_slow_is_followed() -> None:
    """A ten-thousandth is a second in three hours: then it would be taken for one that was set."""
    clock = WallClock()
    for second in range(4 * 3600):
        clock.reported(second * (1 - 1e-4), second + 100.0)
        assert clock.offset is not None
        assert abs(clock.offset - 100.0 - second * 1e-4) < 0.001
