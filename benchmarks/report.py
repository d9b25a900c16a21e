"""The report on the terminal: targets met and missed, latencies side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.compare import MOST_CHANCE, Change
from benchmarks.histogram import USUAL, Histogram
from benchmarks.result import ScenarioResult
from benchmarks.targets import Target


def percentiles(pooled: Histogram, write: Callable[[float], str]) -> list[str]:
    """Write the percentiles of a table's row, those that the values are too few for as a hyphen."""
    summary = pooled.summary()
    return [write(summary[name]) if name in summary else "-" for name in USUAL]


def print_result(console: Console, result: ScenarioResult) -> None:
    """Show what a scenario found; of a noisy run the noise, and no target that noise can move."""
    console.rule(result.name)
    latencies(console, result)
    for name, fact in result.facts.items():
        console.print(f"{name}: {fact}")
    for of, signs in result.noise_by_side():
        console.print(f"[bold]Too noisy to tell{f' of {of}' if of else ''}:[/bold]")
        for sign in signs:
            console.print(f"  {sign}")
    table = Table("target", "value", "reference", "ratio (spread)", "wanted", "")
    for target in result.judged():
        table.add_row(*row_of(target))
    if table.row_count:
        console.print(table)


def latencies(console: Console, result: ScenarioResult) -> None:
    """Show percentiles and processor time of every side."""
    table = Table("side", "latency, ms", "count", *USUAL, "processors")
    for side in result.sides():
        mine = [m for m in result.measurements if m.side == side]
        share = sum(m.processor_share for m in mine) / len(mine)
        for name, pooled in result.latencies(side):
            if not pooled.count:
                continue
            table.add_row(
                side,
                name,
                str(pooled.count),
                *percentiles(pooled, "{:.3f}".format),
                f"{share:.2f}",
            )
    if table.row_count:
        console.print(table)


def row_of(target: Target) -> list[str]:
    """Write one target as the cells of a table."""
    reference = ""
    if target.reference_value is not None:
        reference = f"{target.reference} {target.reference_value:.3f}"
    ratio = ""
    if target.ratio is not None:
        ratio = f"{target.ratio:.2f}"
        if target.spread is not None:
            ratio += f" ({target.spread[0]:.2f} to {target.spread[1]:.2f})"
    return [
        target.name,
        f"{target.value:.3f} {target.unit}",
        reference,
        ratio,
        wanted_of(target),
        "met" if target.met else "missed",
    ]


def wanted_of(target: Target) -> str:
    """Say what a target asks for: a ratio, or a number in the unit of the value."""
    unit = target.unit if target.ratio is None else ""
    return f"{target.direction} {target.target:g} {unit}".rstrip()


def print_outcome(
    console: Console,
    results: Sequence[ScenarioResult],
    failures: Sequence[str],
    files: Iterable[Path],
) -> None:
    """End a run: of several scenarios how each came out, and where it stands written."""
    if len(results) + len(failures) > 1:
        console.rule("conclusions")
        for result in results:
            console.print(f"{result.name}: {escape(summed_up(result))}")
            for target in result.judged():
                if not target.met:
                    value = f"{target.value if target.ratio is None else target.ratio:.4g}"
                    console.print(f"  missed: {escape(target.name)}, {value}, {wanted_of(target)}")
        for failure in failures:
            console.print(f"[bold]Nothing was measured:[/bold] {escape(failure)}")
    for file in files:
        console.print(f"Written: {escape(str(file))}", soft_wrap=True)


def summed_up(result: ScenarioResult) -> str:
    """Say in one line how a scenario ended."""
    judged = result.judged()
    met = sum(target.met for target in judged)
    if result.noise:
        first = result.noise[0]
        signs = "one sign" if len(result.noise) == 1 else f"{len(result.noise)} signs"
        rest = f" What no noise can move: {met} of {len(judged)} targets met." if judged else ""
        return f"the machine was too noisy to compare speeds ({signs}; the first: {first}).{rest}"
    apart = "".join(
        f" Of {side} it was too noisy to tell ({signs[0]})."
        for side, signs in result.noise_apart.items()
    )
    if not judged:
        return f"measured; there is no target to hold it against.{apart}"
    if met == len(judged):
        all_of_them = {1: "the target is", 2: "both targets are"}.get(met, f"all {met} targets are")
        return f"{all_of_them} met.{apart}"
    return f"{met} of {len(judged)} targets are met.{apart}"


def print_changes(
    console: Console, changes: Iterable[Change], cautions: Iterable[str] = ()
) -> None:
    """Show what moved between two runs, and what speaks against comparing them."""
    for caution in cautions:
        console.print(f"[bold]Beware:[/bold] {escape(caution)}")
    table = Table("number", "before", "after", "after / before", "chance if equal", "verdict")
    moved = judged = 0
    for change in changes:
        moved += change.moved
        judged += change.judged
        table.add_row(
            change.name,
            f"{change.before:.3f}",
            f"{change.after:.3f}",
            f"{change.ratio:.2f}",
            f"{change.chance:.3f}",
            f"[bold]{change.verdict}[/bold]" if change.moved else change.verdict,
        )
    if not table.row_count:
        console.print("The two runs have no number in common.")
        return
    console.print(table)
    console.print(
        f"{moved} of {table.row_count} numbers moved by more than noise. Of {judged} that could be "
        f"judged {MOST_CHANCE * judged:.1f} at most would seem to by chance, had nothing changed."
    )
