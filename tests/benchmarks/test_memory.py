"""What `memory` weighs, and against what."""

from __future__ import annotations

import pytest

from benchmarks.command import parser
from benchmarks.result import ScenarioResult
from benchmarks.scenarios.memory import over_bare, tell


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


def test_a_hundred_sessions_of_four_are_reckoned_from_sessions_of_four_only() -> None:
    found = {"standby": [66.0], "bare actor": [60.0], "session of 2": [70.0]}
    without = ScenarioResult("memory", "", {})
    tell(without, found, [2])
    assert [target.name for target in without.targets] == ["idle session actor over a bare actor"]
    whole = ScenarioResult("memory", "", {})
    tell(whole, {**found, "session of 4": [102.4]}, [2, 4])
    assert whole.targets[1].value == pytest.approx(10.0)
    assert whole.facts["session of 4 over a standby, MB"] == 36.4
