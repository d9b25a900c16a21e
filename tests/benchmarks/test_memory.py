"""What `memory` weighs, and against what."""

from __future__ import annotations

import pytest

from benchmarks.command import parser
from benchmarks.scenarios.memory import over_bare


def test_eight_are_alive_at_once_and_sessions_have_three_sizes() -> None:
    options = parser().parse_args(["memory"])
    assert options.alive == 8
    assert options.sizes == "2,4,8"


@pytest.mark.parametrize(("ratios", "met"), [([1.2, 1.3, 1.9], True), ([1.2, 1.31, 1.32], False)])
def test_a_standby_is_held_against_a_bare_actor_round_by_round(
    ratios: list[float], met: bool
) -> None:
    target = over_bare("idle", {"standby": 66.0, "bare actor": 50.0}, ratios)
    assert target.ratio == ratios[1]
    assert target.met is met
    assert target.spread == (ratios[0], ratios[2])
    assert (target.value, target.reference_value) == (66.0, 50.0)
