"""Document, endpoint, dashboard and alerts name the same metrics."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from broker.errors import ErrorCode
from broker.measures import APPEND, LOOP, Count, Standing
from broker.messages.cluster.exporting import Measured
from broker.messages.cluster.nodes import PoolLevel
from gateway.commands.ray_logs import RayLogs
from gateway.level import Level
from gateway.measured import MeasuredCollector
from gateway.metrics import Metrics
from tests.gateway.test_measured import Ledgers
from tests.operations.promql import Query, Scrape, Vector

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "switchboard.json"
CLOSED: dict[str, set[str]] = {
    "code": set(map(str, ErrorCode)),
    "le": {word.which for word in (*LOOP.words, *APPEND.words)},
    **{
        label: {word.which for word in (*Count, *Standing) if word.family in families}
        for label, families in {
            "direction": ("packets", "bytes", "key_frames"),
            "reason": ("dropped",),
            "outcome": ("nacked", "deliveries"),
            "state": ("transports", "sessions"),
            "grade": ("grades",),
            "attendance": ("participants",),
            "reports": ("actors",),
            "during": ("database_errors",),
            "kind": ("links",),
        }.items()
    },
}
"""Every value that a label may have; `node` and `ledger` name what the operator has started."""


async def shown() -> list[tuple[str, str, dict[str, str]]]:
    """Every sample's name, type and labels, as `up` shows them."""
    metrics = Metrics()

    async def ask() -> PoolLevel:
        return PoolLevel(standbys=2, live=1, queued=0)

    level = Level(ask, lambda: True, lambda: False)
    level.install(metrics.registry)
    RayLogs(Path("/nowhere"), metrics.registry, tidies=False)
    await level.refresh()
    ledgers = Ledgers(Measured(ledger=0), Measured(ledger=0, node="n"))
    await MeasuredCollector(ledgers, metrics.registry).refresh()
    return [
        (sample.name, family.type, sample.labels)
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]


async def exported() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Each sample's type and the names of its labels, by its own name."""
    return {name: (kind, tuple(sorted(labels))) for name, kind, labels in await shown()}


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    """The table of the runbook."""
    table = RUNBOOK.split("<!-- metrics:")[1].split("<!-- end of metrics")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|(.*?)\|", table, re.MULTILINE)
    return {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def anchors() -> set[str]:
    """The anchors of the runbook's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panel_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


async def test_the_document_names_exactly_what_is_exported() -> None:
    assert documented() == await exported()


async def test_no_label_names_a_person_or_a_session() -> None:
    found: dict[str, set[str]] = {}
    for _, _, labels in await shown():
        for label, value in labels.items():
            found.setdefault(label, set()).add(value)
    assert found.pop("node") == {"n"}
    assert found.pop("ledger") == {"0"}
    assert found == CLOSED


async def test_counts_are_absent_rather_than_stale_while_the_ledger_is_away() -> None:
    answers: list[PoolLevel | None] = [PoolLevel(standbys=2, live=1, queued=0), None]

    async def ask() -> PoolLevel | None:
        return answers.pop(0)

    level = Level(ask, lambda: True, lambda: True)
    await level.refresh()
    assert "switchboard_standbys" in {each.name for each in level.collect()}
    await level.refresh()
    assert {each.name for each in level.collect()} == {
        "switchboard_gateway_ready",
        "switchboard_gateway_ledger_up",
    }


async def test_every_query_parses_and_names_exported_metrics_only() -> None:
    known = set(await exported()) | {"up"}
    queries = [rule["expr"] for rule in rules()] + panel_queries()
    assert len(queries) > 15
    named = {name for query in queries for name in Query(query).metrics}
    assert named - known == set()
    own = {name for name in known if name.startswith("switchboard_")}
    assert own <= named, "an exported metric is neither shown nor watched"


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() -> None:
    linked = set()
    for rule in rules():
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert path == "docs/operations.md"
        linked.add(anchor)
    assert linked == {each for each in anchors() if each.startswith("alert-")}
    assert len({rule["alert"] for rule in rules()}) == len(rules()) == len(linked)


@pytest.mark.parametrize("code", ErrorCode)
def test_the_first_burst_of_refusals_fires_the_alert_whatever_its_code(code: ErrorCode) -> None:
    (rule,) = (rule for rule in rules() if rule["alert"] == "SwitchboardRefusals")
    metrics = Metrics()

    def scrape(at_s: float) -> Scrape:
        samples: dict[str, Vector] = {}
        for family in text_string_to_metric_families(metrics.render().decode()):
            for one in family.samples:
                samples.setdefault(one.name, {})[frozenset(one.labels.items())] = one.value
        return Scrape(at_s, samples)

    query, before = Query(rule["expr"]), scrape(0.0)
    metrics.refusals.labels(code=code).inc(1_501)  # above 5/s for five minutes
    assert set(query.evaluate([before, scrape(15.0)])) == {frozenset({("code", code.value)})}
    grown = scrape(30.0)
    assert query.evaluate([grown, replace(grown, at_s=45.0)]) == {}


@pytest.mark.parametrize(
    "text",
    [
        *("sum(", "rate(a)", "a b", "a{b=c}", "sum by code (a)", "", "a ?", "a + b * c"),
        *("histogram_quantile(a, b)", "histogram_quantile(0.5)"),
    ],
)
def test_what_is_no_query_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Query(text)


def test_a_query_yields_what_prometheus_would() -> None:
    def at(at_s: float, **values: float) -> Scrape:
        one, two = (frozenset({("code", code), ("job", "s")}) for code in ("a", "b"))
        return Scrape(at_s, {"n": {one: values["a"], two: values["b"]}, "limit": {one: 10.0}})

    history = [at(0, a=1, b=5), at(15, a=7, b=6), at(30, a=2, b=7)]
    only_a = frozenset({("code", "a")})
    for text, expected in {
        "max(n)": {frozenset(): 7.0},
        "sum by (code) (increase(n[1m])) > 2": {only_a: 8.0},
        'n{code="b"} == 0': {},
        'sum(n{code!="b"}) + 1': {frozenset(): 3.0},
        "max by (code) (n / limit)": {only_a: 0.2},
        "sum(rate(n[20s]))": {frozenset(): 3 / 20},
        'n{code="a"} / (n{code="a"} - 2) > 1': {frozenset({*only_a, ("job", "s")}): math.inf},
    }.items():
        assert Query(text).evaluate(history) == pytest.approx(expected), text


def test_a_quantile_is_found_within_its_bucket() -> None:
    def of(**counts: float) -> Scrape:
        bounds = {"low": "0.1", "high": "0.5", "most": "+Inf"}
        buckets = {frozenset({("le", bounds[name])}): count for name, count in counts.items()}
        return Scrape(0.0, {"b": buckets})

    half = Query("histogram_quantile(0.5, sum by (le) (b))")
    for scrape, expected in (
        (of(low=8, high=8, most=8), 0.05),
        (of(low=2, high=10, most=10), 0.1 + 0.4 * 3 / 8),
        (of(low=0, high=2, most=10), 0.5),
        (of(low=0, high=0, most=0), math.nan),
    ):
        (found,) = half.evaluate([scrape]).values()
        assert found == pytest.approx(expected, nan_ok=True)


def test_actors_that_are_late_now_and_then_raise_no_alert_and_that_often_are_do() -> None:
    (rule,) = (rule for rule in rules() if rule["alert"] == "SwitchboardActorsLate")
    query = Query(rule["expr"])

    def at(at_s: float, in_time: float, late: float) -> Scrape:
        name = "switchboard_actor_loop_late_seconds"
        series = [(("node", "n"), ("instance", gateway)) for gateway in "ab"]
        bucket = {frozenset({*each, ("le", "0.1")}): in_time for each in series}
        count = {frozenset(each): in_time + late for each in series}
        return Scrape(at_s, {f"{name}_bucket": bucket, f"{name}_count": count})

    quiet = [at(0.0, 100.0, 0.0), at(15.0, 190.0, 10.0)]
    assert query.evaluate(quiet) == {}, "a tenth is not more than a tenth"
    assert query.evaluate([at(0.0, 5.0, 0.0), at(15.0, 5.0, 0.0)]) == {}, "nobody was there"
    late = query.evaluate([*quiet, at(30.0, 270.0, 30.0)])
    assert late == pytest.approx({frozenset({("node", "n")}): 30 / 200})
