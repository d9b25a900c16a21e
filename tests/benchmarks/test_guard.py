"""The guard against lost speed: a tiny signalling run, by ratio to the floor of the same moment.

The bound is several times the target and the best round counts, so a busy machine cannot break it;
a message that goes through Ray calls, or waits for a timer or a disk, does.
"""

from __future__ import annotations

from benchmarks.command import parser
from benchmarks.result import Measurement, compared, percentile_of
from benchmarks.scenarios.signaling import Signaling

WITHOUT = ["--sessions", "1", "--without-naive", "--loads", ""]
MOST = 6.0
"""Times the floor, at p50; the target is 1.5."""


async def test_signalling_stays_near_the_floor() -> None:
    arguments = ["--rounds", "2", "--seconds", "1", "--warm-up", "0.5", "--rate", "100", "--once"]
    options = parser().parse_args(["signaling", *arguments, *WITHOUT])
    result = await Signaling().run(options, lambda what, share: None)
    assert [m.missing for m in result.measurements] == [0] * 4
    rounds: dict[int, list[Measurement]] = {}
    for measurement in result.measurements:
        rounds.setdefault(measurement.round, []).append(measurement)
    assert min(map(ratio_of, rounds.values())) <= MOST


def ratio_of(measurements: list[Measurement]) -> float:
    target = compared("p50", measurements, "switchboard", "floor", percentile_of("reply", 50), MOST)
    assert target.ratio is not None
    return target.ratio
