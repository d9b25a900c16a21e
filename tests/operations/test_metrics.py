"""Document, endpoint, dashboard and alerts name the same metrics."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client.parser import text_string_to_metric_families

from broker.errors import ErrorCode
from broker.messages.cluster.nodes import PoolLevel
from gateway.level import Level
from gateway.metrics import Metrics
from gateway.ray_logs import RayLogs
from tests.operations.promql import Query, Scrape, Vector

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "switchboard.json"


async def exported() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every sample's name, type and labels, as `up` shows them."""
    metrics = Metrics()

    async def ask() -> PoolLevel:
        return PoolLevel(standbys=2, live=1, queued=0)

    level = Level(ask, lambda: True, lambda: False)
    level.install(metrics.registry)
    RayLogs(Path("/nowhere"), metrics.registry, tidies=False)
    await level.refresh()
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                found[sample.name] = (family.type, tuple(sorted(sample.labels)))
    return found


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
    labels = {label for _, given in (await exported()).values() for label in given}
    assert labels == {"code"}


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
    "text", ["sum(", "rate(a)", "a b", "a{b=c}", "sum by code (a)", "", "a ?", "a + b * c"]
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
    }.items():
        assert Query(text).evaluate(history) == pytest.approx(expected), text
