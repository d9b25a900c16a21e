"""Two runs are compared by their rounds: what moved, what is noise, what cannot be told."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import pytest

from benchmarks.command import main
from benchmarks.compare import MOST_CHANCE, SavedRun, cautions, chance_of, change, changes, load
from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.result import ScenarioResult

RECORDED = Path(__file__).parent / "recorded"
"""Runs of `signaling` on one quiet machine: two of the same code, and one whose floor sleeps 2 ms
with every message; and one run that others disturbed."""


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([1.0, 1.1, 1.0, 1.0], [1.0, 1.05, 1.0, 1.0], "the same"),
        ([1.0, 2.0, 3.0, 4.0], [1.5, 2.5, 3.5, 4.5], "within the noise"),
        ([1.0, 1.1, 1.0, 1.2], [2.0, 2.1, 2.0, 1.9], "more"),
        ([2.0, 2.1, 2.0, 1.9], [1.0, 1.1, 1.0, 1.2], "less"),
        ([1.0, 1.1, 1.0], [9.0, 9.1, 9.2], "too few rounds to tell"),
        # One round on each side of the others: three of four apart are not enough.
        ([1.0, 1.1, 1.0, 5.0], [2.0, 2.1, 2.0, 0.9], "within the noise"),
        ([0.0] * 5, [0.0] * 5, "the same"),
        ([0.0] * 5, [1.0] * 5, "more"),
    ],
)
def test_a_change_is_told_from_noise(before: list[float], after: list[float], verdict: str) -> None:
    assert change("p50", before, after).verdict == verdict


@pytest.mark.parametrize(
    ("one", "other", "chance"),
    [
        # All four above all four: 2 of the 70 ways to divide eight ranks.
        ([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], 2 / 70),
        ([1.0, 2.0, 3.0, 5.0], [4.0, 6.0, 7.0, 8.0], 4 / 70),
        ([1.0, 4.0], [2.0, 3.0], 1.0),
        ([1.0, 1.0], [1.0, 1.0], 1.0),
    ],
)
def test_the_chance_is_the_share_of_ways_that_are_as_far_apart(
    one: list[float], other: list[float], chance: float
) -> None:
    assert chance_of(one, other) == pytest.approx(chance)
    assert chance_of(other, one) == pytest.approx(chance)


def test_many_rounds_are_judged_by_the_normal_law_as_few_are_by_counting() -> None:
    one, other = [float(n) for n in range(0, 18, 2)], [n + 4.5 for n in range(0, 18, 2)]
    counted = chance_of(one, other)
    by_law = chance_of([*one, *one], [*other, *other])
    assert by_law < counted, "twice as many rounds, as far apart, are less probable"
    assert chance_of([1.0] * 40, [1.0] * 40) == 1.0
    alike = random.Random(1)
    chances = [
        chance_of([alike.random() for _ in range(15)], [alike.random() for _ in range(15)])
        for _ in range(400)
    ]
    assert sum(chance <= MOST_CHANCE for chance in chances) <= 0.08 * len(chances)
    assert statistics.median(chances) == pytest.approx(0.5, abs=0.1)


def run_of(ours: list[float], floors: list[float]) -> SavedRun:
    """A run whose sides had these p50 in its rounds."""
    measurements = [
        {
            "side": side,
            "round": number,
            "summary": {"reply": {"count": 100, "p50": value}},
            "processor_share": 0.1,
            "memory_mb": 1.0,
        }
        for number, pair in enumerate(zip(ours, floors, strict=True))
        for side, value in zip(("switchboard", "floor"), pair, strict=True)
    ]
    against = [{"subject": "switchboard", "reference": "floor"}]
    scenario = {"name": "s", "noise": [], "measurements": measurements, "targets": against}
    return SavedRun.model_validate({"at": "now", "machine": {}, "scenarios": [scenario]})


OURS, FLOORS = [1.5, 1.6, 1.4, 1.5], [1.0, 1.05, 0.95, 1.0]


@pytest.mark.parametrize(
    ("ours", "floors", "said"),
    [
        # An hour in which all is twice as slow says nothing about the code.
        ([3.0, 3.3, 2.9, 3.1], [2.0, 2.2, 1.9, 2.1], ("as floor did", "more", "the same")),
        # Slower than the hour explains.
        ([6.0, 6.3, 5.9, 6.1], [2.0, 2.2, 1.9, 2.1], ("more", "more", "more")),
        # Faster than the hour explains, though as fast as before.
        ([1.5, 1.6, 1.4, 1.5], [2.0, 2.2, 1.9, 2.1], ("the same", "more", "less")),
        # The floor did not move, and one of its rounds makes the ratio uncertain.
        ([3.0, 3.3, 2.9, 3.1], [1.0, 1.05, 3.9, 1.0], ("more", "the same", "within the noise")),
    ],
)
def test_a_slow_hour_is_told_from_slow_code(
    ours: list[float], floors: list[float], said: tuple[str, ...]
) -> None:
    found = {c.name: c.verdict for c in changes(run_of(OURS, FLOORS), run_of(ours, floors))}
    names = (
        "switchboard, reply p50 ms",
        "floor, reply p50 ms",
        "switchboard over floor, reply p50",
    )
    assert tuple(found[f"s, {name}"] for name in names) == said


def test_ratios_are_compared_though_one_run_was_too_noisy_to_have_targets() -> None:
    silent = run_of(OURS, FLOORS)
    silent.scenarios[0].targets.clear()
    for pair in ((silent, run_of(OURS, FLOORS)), (run_of(OURS, FLOORS), silent)):
        assert "s, switchboard over floor, reply p50" in [each.name for each in changes(*pair)]


def verdicts(before: str, after: str) -> dict[str, str]:
    found = changes(load(RECORDED / f"{before}.json"), load(RECORDED / f"{after}.json"))
    return {each.name: each.verdict for each in found}


def test_the_same_code_twice_has_not_moved() -> None:
    found = verdicts("quiet", "quiet-again")
    assert len(found) == 11, "four numbers of two sides, and the ratios of three"
    told = found["signaling, switchboard, reply p99 ms"]
    assert told == "too few rounds to tell", "three of five had fewer than a hundred requests"
    assert not {"more", "less"} & set(found.values())


def test_what_became_slower_is_named_and_nothing_else() -> None:
    found = verdicts("quiet", "slower-floor")
    moved = {name for name, verdict in found.items() if verdict in ("more", "less")}
    assert "signaling, floor, reply p50 ms" in moved
    whose = ("signaling, floor, reply ", "signaling, switchboard over floor, reply ")
    assert all(name.startswith(whose) for name in moved)
    back = verdicts("slower-floor", "quiet")
    assert back["signaling, floor, reply p50 ms"] == "less"


def test_of_a_run_that_named_noise_only_memory_is_compared() -> None:
    found = verdicts("quiet", "disturbed")
    memory = {name for name in found if name.endswith("memory MB")}
    assert {found[name] for name in memory} == {"the same"}
    assert {found[name] for name in found.keys() - memory} == {"too noisy to tell"}


def test_a_side_that_alone_was_disturbed_is_alone_not_told() -> None:
    before, after = run_of(OURS, FLOORS), run_of([9 * each for each in OURS], FLOORS)
    told = {each.name: each.verdict for each in changes(before, after)}
    assert told["s, switchboard, reply p50 ms"] == "more"
    after.scenarios[0].noise_apart = {"switchboard": ["others kept it busy"]}
    told = {each.name: each.verdict for each in changes(before, after)}
    noisy = {name for name, verdict in told.items() if verdict == "too noisy to tell"}
    assert noisy == {name for name in told if "switchboard" in name and "memory" not in name}
    assert told["s, floor, reply p50 ms"] == "the same"
    after.scenarios[0].noise_apart = {"switchboard": ["p99: the rounds disagree"]}
    told = {each.name: each.verdict for each in changes(before, after)}
    assert told["s, switchboard, reply p50 ms"] == "more", "which the test sees by itself"


def test_what_speaks_against_comparing_is_said() -> None:
    quiet, disturbed = (load(RECORDED / f"{name}.json") for name in ("quiet", "disturbed"))
    assert list(cautions(quiet, quiet)) == []
    said = list(cautions(quiet, disturbed))
    assert any("the run after named" in each for each in said)
    assert "signaling: rounds was 5, now 4" in said
    elsewhere = quiet.model_copy(update={"machine": {**quiet.machine, "processors": 64}})
    assert "processors: 2 before, 64 after" in list(cautions(quiet, elsewhere))
    with_ray = (
        quiet.model_copy(update={"machine": {**quiet.machine, "packages": {"ray": version}}})
        for version in ("2.60", "2.61")
    )
    assert list(cautions(*with_ray)) == ["ray: 2.60 before, 2.61 after"]
    halved = quiet.model_copy(update={"failed": ["storm: the server ended"]})
    assert list(cautions(quiet, halved)) == [
        "not measured in the run after: storm: the server ended"
    ]


def test_the_command_shows_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(RECORDED / f"{name}.json") for name in ("quiet", "slower-floor")]
    assert main(["compare", *paths]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "signaling, floor, reply p50 ms" in shown
    assert "2 of 11 numbers moved by more than noise" in shown
    assert "Of 8 that could be judged 0.4 at most would seem to by chance" in shown


def test_it_reads_what_a_run_writes() -> None:
    latency = Histogram()
    for _ in range(100):
        latency.record(0.001)
    result = ScenarioResult("signaling", "", {})
    result.measurements = [
        Measurement("switchboard", number, {"reply": latency}, Histogram(), 100, 0)
        for number in range(4)
    ]
    saved = SavedRun.model_validate_json(
        json.dumps({"at": "now", "machine": {}, "scenarios": [result.to_json()]})
    )
    assert "signaling, switchboard, reply p99 ms" in [each.name for each in changes(saved, saved)]


def test_runs_of_different_scenarios_have_nothing_in_common(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"at": "now", "machine": {}, "scenarios": []}), encoding="utf-8")
    assert main(["compare", str(RECORDED / "quiet.json"), str(empty)]) == 0
    assert "no number in common" in capsys.readouterr().out
