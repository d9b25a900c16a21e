"""The page shows what a result has, needs nothing else, and says what it means."""

from __future__ import annotations

import re

import pytest

from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.page import page
from benchmarks.plots import INK
from benchmarks.report import summed_up
from benchmarks.result import Line, ScenarioResult
from benchmarks.targets import absolute

DOCUMENT: dict[str, object] = {"command": "x", "at": "now", "machine": {}, "failed": []}


def measurement(side: str, number: int = 0, histogram: str = "reply") -> Measurement:
    made = Histogram()
    for each in range(100):
        made.record(each / 1e4)
    return Measurement(side, number, {histogram: made}, Histogram(), 100, 0)


def result_of(*measurements: Measurement) -> ScenarioResult:
    result = ScenarioResult("signaling", "a <summary>", {"rate": 1})
    result.measurements = list(measurements)
    return result


def plots_in(text: str) -> int:
    return text.count("<svg")


def test_it_needs_no_other_file() -> None:
    result = result_of(measurement("switchboard", 0), measurement("switchboard", 1))
    result.judge(absolute("p99 & more", 1.0, 2.0, unit="ms"))
    text = page([result], DOCUMENT)
    assert plots_in(text) == 2, "the distribution, and the rounds"
    assert "p99 &amp; more" in text
    assert "a &lt;summary&gt;" in text
    for outside in ("src=", "<link", "<script", "@import"):
        assert outside not in text


def test_a_latency_is_called_by_what_it_is_of() -> None:
    text = page([result_of(measurement("us"), measurement("us", 1))], DOCUMENT)
    assert "<td class=what>a request until its reply\n<td" in text
    assert ">signaling: a request until its reply<" in text
    assert ">signaling: a request until its reply, round by round<" in text
    assert ">signaling: hops<" in page([result_of(measurement("us", 0, "hops"))], DOCUMENT)
    since = result_of(measurement("us", 0, "told"))
    since.steps, since.since = ("told",), "the kill"
    text = page([since], DOCUMENT)
    assert "<td class=what>the kill until told\n<td" in text
    assert ">signaling: the kill until told<" in text


def test_of_many_signs_of_noise_the_first_are_seen_and_the_rest_can_be() -> None:
    result = result_of()
    result.noise = [f"sign {number}" for number in range(9)]
    shown, folded = page([result], DOCUMENT).split("<summary>and 5 more</summary>")
    assert [f"<li>sign {number}</li>" in shown for number in range(9)] == [True] * 4 + [False] * 5
    assert all(f"<li>sign {number}</li>" in folded for number in range(4, 9))


def test_a_plots_legend_names_those_who_are_in_it() -> None:
    sides = [measurement(side, n, "each") for side in ("us", "room") for n in (0, 1)]
    text = page([result_of(measurement("alone", 0), *sides)], DOCUMENT)
    # In the table, and in distribution and rounds of its own latency.
    assert [text.count(f">{side}<") for side in ("alone", "us", "room")] == [3, 3, 3]


def test_plots_take_the_colour_of_the_page() -> None:
    text = page([result_of(measurement("switchboard"))], DOCUMENT)
    assert INK not in text
    assert "currentColor" in text
    assert "light-dark(" in text


def test_a_narrow_screen_moves_over_plots_instead_of_shrinking_them() -> None:
    result = result_of(*(measurement(f"{who} 1x{n}") for n in (4, 50) for who in ("room", "us")))
    result.lines = [Line("minutes", "threads", "gateway", [(0.0, 1.0)])]
    result.facts = {"bars": {"a": 1.0}}
    result.steps = ("reply",)
    text = page([result], DOCUMENT)
    assert plots_in(text) == text.count("<div class=wide><svg") == 5
    assert re.search(r"svg \{ min-width: \d+rem", text)


def test_a_limit_has_the_unit_of_what_is_held_against_it() -> None:
    result = result_of()
    result.judge(absolute("memory", 9.1, 12.0, unit="GB"))
    result.judge(absolute("faults", 0.0, 0.0, unit=""))
    said = re.sub("<[^>]+>", "", page([result], DOCUMENT))
    assert "memory: 9.1 GB, wanted at most 12 GB: met." in said
    assert "faults: 0, wanted at most 0: met." in said


def test_fan_out_is_drawn_against_the_size() -> None:
    result = result_of(*(measurement(f"{who} 1x{n}") for n in (4, 50) for who in ("room", "us")))
    assert "people in the session" in page([result], DOCUMENT)


def test_lines_are_drawn_in_panels_a_plot_for_each_axis() -> None:
    result = result_of()
    result.lines = [
        Line("minutes", "memory, MB", "gateway", [(0.0, 1.0), (1.0, 2.0)]),
        Line("minutes", "memory, MB", "ledger", [(0.0, 1.0), (1.0, 2.0)]),
        Line("minutes", "threads", "gateway", [(0.0, 1.0), (1.0, 2.0)]),
        Line("packets a second", "cost, us", "relay", [(100.0, 30.0), (200.0, 20.0)]),
    ]
    text = page([result], DOCUMENT)
    assert plots_in(text) == 2
    for name in ("memory, MB", "threads", "ledger", "minutes", "packets a second", "cost, us"):
        assert f">{name}<" in text, name


def test_steps_are_drawn_as_a_time_line() -> None:
    result = result_of(measurement("switchboard", histogram="told"))
    result.steps, result.since = ("told", "never measured"), "the kill"
    text = page([result], DOCUMENT)
    assert ">ms since the kill: median, middle half, all<" in text
    assert ">signaling: time line<" in text
    assert "never measured" not in text


def test_facts_of_any_shape_are_shown() -> None:
    result = result_of()
    result.facts = {"plain": 3, "bars": {"a": 1.0, "b": 2}, "lists": {"cost_us": [1.5, 2.5]}}
    result.facts["rounds"] = [{"height": 360, "frozen": 0.5}, {"height": 180, "frozen": 0.25}]
    text = page([result], DOCUMENT)
    assert "plain: 3" in text
    assert ">bars<" in text
    assert "[1.5, 2.5]" in text
    assert "<tr><th>height<th>frozen<tr><td class=number>360<td class=number>0.5" in text


def test_there_is_no_table_of_latencies_where_none_were_measured() -> None:
    silent = Measurement("switchboard", 0, {}, Histogram(), 0, 0)
    assert "<table" not in page([result_of(silent)], DOCUMENT)


def test_a_limit_stands_in_the_table_with_its_unit() -> None:
    result = result_of()
    result.judge(absolute("memory", 9.1, 12.0, unit="GB"))
    assert "<td>at most 12 GB<td" in page([result], DOCUMENT)


def test_nothing_has_two_elements_of_one_name_to_cut_by() -> None:
    """Plots are in one document: a clip path of one must not cut another."""
    result = result_of(measurement("a"), measurement("b", 1))
    names = re.findall(r'<clipPath id="([^"]+)"', page([result], DOCUMENT))
    assert len(names) == len(set(names)) > 1


@pytest.mark.parametrize(
    ("values", "noise", "robust", "said"),
    [
        ([], [], False, "no target"),
        ([1.0], [], False, "the target is met"),
        ([1.0, 2.0], [], False, "both targets are met"),
        ([1.0, 9.0], [], False, "1 of 2 targets are met"),
        ([1.0], ["others"], False, "too noisy to compare speeds (one sign; the first: others)"),
        ([1.0], ["others"], True, "no noise can move: 1 of 1 targets met"),
    ],
)
def test_the_outcome_is_said_in_one_line(
    values: list[float], noise: list[str], robust: bool, said: str
) -> None:
    result = result_of()
    result.noise = noise
    for value in values:
        result.judge(absolute("p99", value, 5.0, unit="ms", robust=robust))
    assert said in summed_up(result)


def test_what_could_not_be_measured_comes_first() -> None:
    text = page([result_of()], {**DOCUMENT, "failed": ["join: no <Chromium>"]})
    conclusions = text.split("<h2>Conclusions</h2>")[1]
    assert conclusions.lstrip().startswith(
        "<p class=missed>Not measured: join: no &lt;Chromium&gt;"
    )


def test_how_late_the_load_was_stands_beside_the_latencies_that_contain_it() -> None:
    late = measurement("us")
    late.lateness.record(0.0015)
    text = page([result_of(late, measurement("us", 1))], DOCUMENT)
    assert re.search(
        r"<td>us<td class=what>how late the load itself sent\n"
        r"<td class=number>1(<td[^>]*>-){4}<td[^>]*>1\.5",
        text,
    )


def test_of_few_latencies_no_high_percentile_is_shown() -> None:
    few = [Measurement("us", 0, {"reply": Histogram()}, Histogram(), 99, 0)]
    for each in range(99):
        few[0].histograms["reply"].record((1 + each) / 1e3)
    text = page([result_of(*few)], DOCUMENT)
    cells = re.findall(r"<td class=number>([^\n<]+)", text)
    count, _, p90, *high, most = cells[:6]
    assert (count, high) == ("99", ["-", "-"])
    assert float(p90) < float(most) == pytest.approx(99, rel=0.01)


def test_of_few_latencies_only_the_median_is_drawn_against_the_size() -> None:
    few = [measurement(f"us 1x{size}", histogram="each") for size in (4, 50)]
    assert ">us p99<" in page([result_of(*few)], DOCUMENT)
    for each in few:
        each.histograms["each"] = Histogram({5_000: 50})
    text = page([result_of(*few)], DOCUMENT)
    assert ">us p50<" in text
    assert ">us p99<" not in text
