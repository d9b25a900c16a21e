"""The report as one HTML page that needs nothing else: conclusions, targets, plots, machine."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator

from benchmarks import plots
from benchmarks.report import row_of
from benchmarks.result import ScenarioResult, Target

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #8884; text-align: left; }
.met { color: #18794e; } .missed { color: #c62a2f; font-weight: 600; }
.noise { border-left: 4px solid #c62a2f; padding-left: 1rem; }
svg { background: #fff; max-width: 100%; height: auto; margin: .5rem 0; }
pre { overflow-x: auto; font-size: 12px; }
"""


def page(results: list[ScenarioResult], document: dict[str, object]) -> str:
    """Write the page of a run."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Switchboard benchmarks</title>",
        f"<style>{STYLE}</style><h1>Switchboard benchmarks</h1>",
        f"<p><code>{html.escape(str(document['command']))}</code>, {document['at']}</p>",
        "<h2>Conclusions</h2><ul>",
        *(f"<li>{sentence}</li>" for result in results for sentence in conclusions(result)),
        "</ul>",
    ]
    for result in results:
        parts += section(result)
    machine = html.escape(json.dumps(document["machine"], indent=1))
    parts.append(f"<h2>Machine and versions</h2><pre>{machine}</pre></html>")
    return "\n".join(parts) + "\n"


def conclusions(result: ScenarioResult) -> Iterator[str]:
    """Say in plain words what a scenario found."""
    if result.noise:
        yield (
            f"{result.name}: the machine was too noisy to compare anything "
            f"({len(result.noise)} signs, the first: {html.escape(result.noise[0])})."
        )
        return
    for target in result.targets:
        yield sentence_of(target)


def sentence_of(target: Target) -> str:
    """Put one target into a sentence."""
    outcome = "<span class=met>met</span>" if target.met else "<span class=missed>missed</span>"
    wanted = f"wanted {target.direction} {target.target:g}"
    name = html.escape(target.name)
    if target.ratio is None:
        return f"{name}: {target.value:.2f} {target.unit}, {wanted}: {outcome}."
    spread = ""
    if target.spread is not None:
        spread = f" (half of the rounds between {target.spread[0]:.2f} and {target.spread[1]:.2f})"
    return (
        f"{name}: {target.ratio:.2f}{spread}, {wanted}: {outcome}. "
        f"{target.value:.2f} {target.unit} beside {target.reference_value or 0:.2f} "
        f"of {html.escape(target.reference)}."
    )


def section(result: ScenarioResult) -> Iterator[str]:
    """Write one scenario's part of the page."""
    yield f"<h2 id={result.name}>{result.name}</h2><p>{html.escape(result.summary)}</p>"
    if result.noise:
        items = "".join(f"<li>{html.escape(noise)}</li>" for noise in result.noise)
        yield f"<div class=noise>Too noisy to tell:<ul>{items}</ul></div>"
    elif result.targets:
        yield "<table><tr><th>target<th>value<th>reference<th>ratio (quartiles)<th>wanted<th></tr>"
        for target in result.targets:
            *cells, outcome = map(html.escape, row_of(target))
            yield "<tr>" + "".join(f"<td>{c}" for c in cells) + f"<td class={outcome}>{outcome}"
        yield "</table>"
    yield from latencies(result)
    for histogram in dict.fromkeys(n for m in result.measurements for n in m.histograms):
        if any(result.pooled(side, histogram).count for side in result.sides()):
            yield plots.distribution(result, histogram)
            yield plots.over_size(result, histogram) or ""
            yield plots.rounds(result, histogram) or ""
    for name, fact in result.facts.items():
        if isinstance(fact, dict):
            yield plots.bars(name, {str(k): float(v) for k, v in fact.items()}, "")
        else:
            yield f"<p>{html.escape(name)}: {html.escape(str(fact))}</p>"
    shown = html.escape(json.dumps(result.parameters))
    yield f"<p>Parameters: <code>{shown}</code></p>"


def latencies(result: ScenarioResult) -> Iterator[str]:
    """Write the table of percentiles, with processors and memory of each side's servers."""
    if not result.measurements:
        return
    yield (
        "<table><tr><th>side<th>what<th>count<th>p50 ms<th>p90<th>p99<th>p99.9<th>max"
        "<th>processors<th>memory MB</tr>"
    )
    for side in result.sides():
        mine = [m for m in result.measurements if m.side == side]
        share = sum(m.processor_share for m in mine) / len(mine)
        memory = max(m.memory_mb for m in mine)
        for name in dict.fromkeys(n for m in mine for n in m.histograms):
            summary = result.pooled(side, name).summary()
            if summary["count"]:
                cells = "".join(f"<td>{v:.2f}" for k, v in summary.items() if k != "count")
                yield (
                    f"<tr><td>{html.escape(side)}<td>{html.escape(name)}<td>{summary['count']:.0f}"
                    f"{cells}<td>{share:.2f}<td>{memory:.0f}"
                )
    yield "</table>"
