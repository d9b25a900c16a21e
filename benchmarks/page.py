"""The report as one HTML page that needs nothing else: conclusions, targets, plots, machine."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import cast

from benchmarks import plots
from benchmarks.report import percentiles, row_of, summed_up, wanted_of
from benchmarks.result import ScenarioResult
from benchmarks.targets import Target

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .55rem; border-bottom: 1px solid #8884; text-align: left; }
td.number { text-align: right; }
td + td { white-space: nowrap; }
td.what { white-space: normal; min-width: 9rem; }
td:first-child { min-width: 8rem; }
.met { color: light-dark(#18794e, #4cc38a); }
.missed { color: light-dark(#c62a2f, #ff8080); font-weight: 600; }
.noise { border-left: 4px solid light-dark(#c62a2f, #ff8080); padding-left: 1rem; }
svg { min-width: 36rem; max-width: 100%; height: auto; margin: .5rem 0; display: block; }
time { white-space: nowrap; }
pre, code { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }
"""
MOST_SIGNS = 4
"""Signs of noise that are shown at once."""
FEWEST = 10
"""Latencies, below which a plot of their distribution shows nothing."""


def page(results: list[ScenarioResult], document: dict[str, object]) -> str:
    """Write the page of a run."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'><title>Switchboard benchmarks</title>",
        f"<style>{STYLE}</style><h1>Switchboard benchmarks</h1>",
        f"<p><code>{html.escape(str(document['command']))}</code>, "
        f"<time>{document['at']}</time></p>",
        "<nav>",
        *(f"<a href='#{result.name}'>{result.name}</a>" for result in results),
        "</nav><h2>Conclusions</h2>",
    ]
    parts += [
        f"<p class=missed>Not measured: {html.escape(failure)}</p>"
        for failure in cast(list[str], document["failed"])
    ]
    for result in results:
        parts.append(f"<p><b>{result.name}</b>: {html.escape(summed_up(result))}</p><ul>")
        parts += [f"<li>{sentence}</li>" for sentence in conclusions(result)]
        parts.append("</ul>")
    for result in results:
        parts += section(result)
    machine = html.escape(json.dumps(document["machine"], indent=1))
    parts.append(f"<h2>Machine and versions</h2><pre>{machine}</pre></html>")
    return "\n".join(parts) + "\n"


def conclusions(result: ScenarioResult) -> Iterator[str]:
    """Say in plain words what a scenario found, what is missed first."""
    for target in sorted(result.judged(), key=lambda target: target.met):
        yield sentence_of(target)


def sentence_of(target: Target) -> str:
    """Put one target into a sentence."""
    outcome = "<span class=met>met</span>" if target.met else "<span class=missed>missed</span>"
    wanted = f"wanted {wanted_of(target)}"
    name = html.escape(target.name)
    value = f"{number(target.value)} {target.unit}".strip()
    if target.ratio is None:
        return f"{name}: {value}, {wanted}: {outcome}."
    spread = ""
    if target.spread is not None:
        low, high = map(number, target.spread)
        which = "half" if target.has_quartiles else "all"
        spread = f" (in {which} of the rounds between {low} and {high})"
    reference = html.escape(target.reference)
    return (
        f"{name}: {value}, where {reference} has {number(target.reference_value or 0)}; "
        f"the ratio is {number(target.ratio)}{spread}, {wanted}: {outcome}."
    )


def number(value: float) -> str:
    """Write a number with three digits that mean something, and no more."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def section(result: ScenarioResult) -> Iterator[str]:
    """Write one scenario's part of the page."""
    yield f"<h2 id='{result.name}'>{result.name}</h2><p>{html.escape(result.summary)}</p>"
    yield from noise(result)
    if result.judged():
        yield "<div class=wide><table><tr><th>target<th>value<th>reference<th>ratio (spread)"
        yield "<th>wanted<th></tr>"
        for target in result.judged():
            *cells, outcome = map(html.escape, row_of(target))
            yield "<tr>" + "".join(f"<td>{c}" for c in cells) + f"<td class={outcome}>{outcome}"
        yield "</table></div>"
    for over in dict.fromkeys(line.over for line in result.lines):
        yield wide(plots.lines(result, over))
    if result.steps and result.measurements:
        yield wide(plots.steps(result))
    yield from latencies(result)
    for histogram in dict.fromkeys(n for m in result.measurements for n in m.histograms):
        if any(result.pooled(side, histogram).count >= FEWEST for side in result.sides()):
            yield wide(plots.distribution(result, histogram))
            yield wide(plots.over_size(result, histogram))
            yield wide(plots.rounds(result, histogram))
    yield from facts(result)
    shown = html.escape(json.dumps(result.parameters))
    yield f"<p>Parameters: <code>{shown}</code></p>"


def noise(result: ScenarioResult) -> Iterator[str]:
    """Name what made the run too noisy to tell, or a part of it, the first few signs at once."""
    for of, signs in result.noise_by_side():
        first, rest = signs[:MOST_SIGNS], signs[MOST_SIGNS:]
        what = f" of {html.escape(of)}" if of else ""
        yield f"<div class=noise>Too noisy to tell{what}:{listed(first)}"
        if rest:
            yield f"<details><summary>and {len(rest)} more</summary>{listed(rest)}</details>"
        yield "</div>"


def listed(items: list[str]) -> str:
    """Write texts as a list."""
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def wide(plot: str | None) -> str:
    """Let a narrow screen move over what cannot be read when it is shrunk to fit."""
    return "" if plot is None else f"<div class=wide>{plot}</div>"


def facts(result: ScenarioResult) -> Iterator[str]:
    """Write the facts: those of several numbers as bars, of several lists or rows as a table."""
    for name, fact in result.facts.items():
        title = html.escape(name)
        if isinstance(fact, list) and fact and all(isinstance(row, dict) for row in fact):
            heads = "".join(f"<th>{html.escape(str(head))}" for head in fact[0])
            lines = "".join(
                "<tr>"
                + "".join(f"<td class=number>{html.escape(str(cell))}" for cell in row.values())
                for row in fact
            )
            yield f"<p>{title}:</p><div class=wide><table><tr>{heads}{lines}</table></div>"
        elif not isinstance(fact, dict):
            yield f"<p>{title}: {html.escape(str(fact))}</p>"
        elif all(isinstance(value, int | float) for value in fact.values()):
            yield wide(plots.bars(name, {str(k): float(v) for k, v in fact.items()}, ""))
        else:
            rows = "".join(
                f"<tr><th>{html.escape(str(key))}<td>{html.escape(json.dumps(value))}"
                for key, value in fact.items()
            )
            yield f"<details><summary>{title}</summary><table>{rows}</table></details>"


def latencies(result: ScenarioResult) -> Iterator[str]:
    """Write the table of percentiles, with processors and memory of each side's servers."""
    rows: list[str] = []
    for side in result.sides():
        mine = [m for m in result.measurements if m.side == side]
        share = sum(m.processor_share for m in mine) / len(mine)
        memory = max(m.memory_mb for m in mine)
        for name, pooled in result.latencies(side):
            if pooled.count:
                cells = [str(pooled.count), *percentiles(pooled, number)]
                cells += [f"{share:.2f}", f"{memory:.0f}"]
                what = html.escape(plots.meaning(result, name))
                rows.append(f"<tr><td>{html.escape(side)}<td class=what>{what}")
                rows.append("".join(f"<td class=number>{cell}" for cell in cells))
    if rows:
        yield "<div class=wide><table><tr><th>side<th>what<th>count"
        yield "<th>p50 ms<th>p90<th>p99<th>p99.9<th>max<th>processors<th>memory MB</tr>"
        yield from rows
        yield "</table></div>"
