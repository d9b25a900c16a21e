"""What every scenario has: a name, options, and a run that ends with a result."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from benchmarks.participant import DEMO
from benchmarks.quantities import amount, amount_or_none, count
from benchmarks.result import ScenarioResult

Progress = Callable[[str, float], None]
"""Told what is being done now and how much of the scenario is behind, from 0 to 1."""


class Scenario(Protocol):
    """One question about speed or size."""

    name: str
    summary: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Say what can be chosen on the command line."""
        ...

    def short(self) -> list[str]:
        """Return the options of the short set that `make bench` runs."""
        ...

    async def run(self, options: argparse.Namespace, progress: Progress) -> ScenarioResult:
        """Start what is needed, measure, end what was started."""
        ...


def parameters(options: argparse.Namespace) -> dict[str, object]:
    """Return what the command line chose, without files to write."""
    return {k: v for k, v in vars(options).items() if isinstance(v, bool | int | float | str)}


def counted(
    progress: Progress, what: str, total: int, begin: float, end: float
) -> Callable[[], None]:
    """Return what to call after each of `total` steps between two shares of the whole."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(f"{what} {done} of {total}", begin + (end - begin) * done / total)

    return step


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Let a scenario run against a Switchboard that is up already."""
    add = parser.add_argument
    add(
        "--target",
        type=origin,
        metavar="URL",
        help="origin of a gateway that is up already; starts none",
    )
    add("--account", default=DEMO, metavar="ID", help="of the target, which must be given")
    add(
        "--api-key-file",
        type=readable,
        metavar="FILE",
        help="holds a key of that account; a demo needs none",
    )


def refuse_a_lone_account(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a usage message where an account is named and no target: it would not be asked."""
    of_a_target = {"--account": DEMO, "--api-key-file": None}
    if getattr(options, "target", None) is not None:
        return
    for option, default in of_a_target.items():
        if getattr(options, option[2:].replace("-", "_"), default) != default:
            parser.error(f"argument {option}: only with --target, whose account it is")


def origin(text: str) -> str:
    """Take the origin of a gateway."""
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.path.strip("/") or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text} is no origin; write https://HOST[:PORT]")
    return text


def readable(text: str) -> str:
    """Take a file that the processes of the load can read."""
    if not os.access(text, os.R_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be read")
    return text


def refuse_target(parser: argparse.ArgumentParser, why: str) -> None:
    """Say why a scenario cannot run against a Switchboard that is up already."""

    def refuse(url: str) -> str:
        raise argparse.ArgumentTypeError(f"only a Switchboard that it starts itself, since {why}")

    parser.add_argument("--target", type=refuse, help=argparse.SUPPRESS)


def add_round_options(
    parser: argparse.ArgumentParser,
    *,
    rounds: int,
    seconds: float,
    rate: float | None,
    rate_of: str = "messages a second, all together",
    warm_up: float = 1.0,
    again: bool = True,
) -> None:
    """Add what all scenarios with rounds have; `again` says whether a round may be repeated."""
    add = parser.add_argument
    add("--rounds", type=count, default=rounds, help="rounds of each side")
    add("--seconds", type=amount, default=seconds, help="measured in each round")
    add("--warm-up", type=amount_or_none, default=warm_up, help="seconds before them, not counted")
    if rate is not None:
        add("--rate", type=amount, default=rate, help=rate_of)
    if again:
        add_once(parser)


def add_once(parser: argparse.ArgumentParser) -> None:
    """Let whoever is in a hurry keep the rounds that others disturbed; they are named."""
    parser.add_argument(
        "--once", action="store_true", help="measure no round again, however disturbed"
    )
