"""List the scenarios, run one or the short set, compare two runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import compare, machine
from benchmarks.process import ChildFailed
from benchmarks.report import print_changes, print_outcome, print_result
from benchmarks.result import FORMAT, ScenarioResult
from benchmarks.scenario import Scenario, refuse_a_lone_account
from benchmarks.scenarios.capacity import Capacity
from benchmarks.scenarios.congestion import Congestion
from benchmarks.scenarios.crowd import Crowd
from benchmarks.scenarios.failover import Failover
from benchmarks.scenarios.fanout import Fanout
from benchmarks.scenarios.join import Join
from benchmarks.scenarios.lifecycle import Lifecycle
from benchmarks.scenarios.media import Media
from benchmarks.scenarios.memory import Memory
from benchmarks.scenarios.pool import Pool
from benchmarks.scenarios.signaling import Signaling
from benchmarks.scenarios.soak import Soak
from benchmarks.scenarios.storm import Storm

SCENARIOS: tuple[Scenario, ...] = (
    Signaling(),
    Fanout(),
    Lifecycle(),
    Join(),
    Failover(),
    Media(),
    Congestion(),
    Memory(),
    Storm(),
    Pool(),
    Soak(),
    Crowd(),
    Capacity(),
)
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it; what was measured until then is written."""
FAILED = 1
"""Exit status when a scenario failed, as when a server does not start; the others are reported."""
NOISY = 3
"""Exit status of a run that could not tell. A missed target is a finding and no failure."""

SHORT = "a short run of every scenario, in one report"
STATUSES = (
    "Exit status: 0 when all was measured, whether targets are met or not; "
    f"{NOISY} when the machine was too noisy to tell; {FAILED} when something failed, "
    f"and the others are reported; 2 when an option cannot be taken; {INTERRUPTED} after Ctrl-C."
)
PIPED_WIDTH = 140


def parser() -> argparse.ArgumentParser:
    """Build the command line; each scenario adds its own options."""
    whole = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=STATUSES
    )
    commands = whole.add_subparsers(dest="command", metavar="NAME")
    for scenario in SCENARIOS:
        one = commands.add_parser(
            scenario.name,
            help=scenario.summary,
            description=f"{scenario.name}: {scenario.summary}",
            epilog=STATUSES,
            formatter_class=Help,
        )
        scenario.add_options(one)
        add_output_options(one)
    add_output_options(commands.add_parser("short", help=SHORT, description=SHORT, epilog=STATUSES))
    two = commands.add_parser(
        "compare", help="what moved between two runs", description=compare.__doc__
    )
    two.add_argument("before", type=saved, metavar="A.json", help="what --json wrote of one run")
    two.add_argument("after", type=saved, metavar="B.json", help="and of the other")
    return whole


def saved(text: str) -> compare.SavedRun:
    """Take a run from the file that --json wrote of it."""
    try:
        return compare.load(Path(text))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no run that --json wrote"
        raise argparse.ArgumentTypeError(f"{text}: {why}") from error


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Says the default of each option that has one, beside the longest of their names."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=42)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False:
            return action.help
        return super()._get_help_string(action)


def overview() -> Iterator[str]:
    """Yield what can be asked for, a line each."""
    yield "python -m benchmarks NAME [--json FILE] [--html FILE] [options]"
    yield ""
    for scenario in SCENARIOS:
        yield f"  {scenario.name:<12}{scenario.summary}"
    yield f"  {'short':<12}{SHORT}"
    yield ""
    yield "python -m benchmarks NAME --help               what a scenario can be asked"
    yield "python -m benchmarks compare A.json B.json     what moved between two runs"


def add_output_options(one: argparse.ArgumentParser) -> None:
    add = one.add_argument
    add("--json", type=writable, metavar="FILE", help="write everything measured")
    add("--html", type=writable, metavar="FILE", help="write a page with plots")


def writable(text: str) -> Path:
    """Take a file that can be written when all is measured: nobody measures for half an hour to be
    told afterwards that there is no such folder."""
    file = Path(text)
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written")
    return file


def main(arguments: list[str]) -> int:
    """Run what the command line asks for; 3 says that the machine was too noisy to tell."""
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    taken = parser()
    options = taken.parse_args(arguments)
    refuse_a_lone_account(taken, options)
    match options.command:
        case None:
            for line in overview():
                console.print(line, markup=False)
            return 0
        case "compare":
            before, after = options.before, options.after
            moved = compare.changes(before, after)
            print_changes(console, moved, compare.cautions(before, after))
            return 0
        case "short":
            plans = [(s, parser().parse_args([s.name, *s.short()])) for s in SCENARIOS]
        case name:
            plans = [(s, options) for s in SCENARIOS if s.name == name]
    results: list[ScenarioResult] = []
    failures: list[str] = []
    interrupted = False
    try:
        for scenario, chosen in plans:
            try:
                results.append(run(console, scenario, chosen))
            except ChildFailed as failure:
                failures.append(f"{scenario.name}: {failure}")
            except Exception as failure:
                # What one scenario did not expect must not cost what the others found.
                console.print(traceback.format_exc(), markup=False, highlight=False)
                failures.append(f"{scenario.name}: {type(failure).__name__}: {failure}")
            else:
                print_result(console, results[-1])
                continue
            console.print(f"[bold]Nothing was measured:[/bold] {escape(failures[-1])}")
    except KeyboardInterrupt:
        # Whoever interrupts is answered when every process that was started has ended.
        interrupted = True
        console.print("[bold]Interrupted.[/bold]")
    if results:
        write(results, failures, ["python", "-m", "benchmarks", *arguments], options)
        files = [file for file in (options.json, options.html) if file is not None]
        print_outcome(console, results, failures, files)
    if interrupted:
        return INTERRUPTED
    if failures:
        return FAILED
    return NOISY if any(result.signs for result in results) else 0


def write(
    results: list[ScenarioResult],
    failures: list[str],
    command: list[str],
    options: argparse.Namespace,
) -> None:
    """Write the files that were asked for."""
    whole = document(results, failures, command)
    if options.json is not None:
        options.json.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    if options.html is not None:
        # Only here: matplotlib takes a second to import.
        from benchmarks.page import page

        options.html.write_text(page(results, whole), encoding="utf-8")


def run(console: Console, scenario: Scenario, options: argparse.Namespace) -> ScenarioResult:
    """Run one scenario under a progress bar."""
    with Progress(
        TextColumn(f"{scenario.name:<12}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
        refresh_per_second=2,
    ) as bars:
        task = bars.add_task("", total=1.0)

        def progress(what: str, share: float) -> None:
            bars.update(task, description=what, completed=share)

        async def whole() -> ScenarioResult:
            try:
                return await scenario.run(options, progress)
            except Exception as failure:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    # What fails as a run is interrupted is no failure of its own.
                    raise asyncio.CancelledError from failure
                raise

        result = asyncio.run(whole())
        progress("done", 1.0)
    return result


def document(
    results: list[ScenarioResult], failures: list[str], command: list[str]
) -> dict[str, object]:
    """Gather a run as it is written to the JSON file."""
    return {
        "format": FORMAT,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(command),
        "machine": machine.description(),
        "failed": failures,
        "noise": [sign for result in results for sign in result.signs],
        "targets": [asdict(target) for result in results for target in result.judged()],
        "scenarios": [result.to_json() for result in results],
    }
