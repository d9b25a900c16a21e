"""Rounds on a machine that others use as well: one they disturbed is measured again.

Signs that do not depend on the result decide about that: processor time that others took, and how
late the load itself sent. All sides of a round go together, since ratios are taken within it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, TypeVar

from benchmarks import machine
from benchmarks.arrivals import REFUSED
from benchmarks.measurement import Measurement
from benchmarks.result import ScenarioResult

MEASURED_AGAIN = "rounds that were disturbed and measured again"
MOST_ATTEMPTS = 3
"""For each round that was asked for; whatever is still disturbed then is named as noise."""

Side = TypeVar("Side")
Discarded: TypeAlias = list[list[Measurement]]
"""Of each round that was disturbed and does not count the sides that it came to."""


async def rounds_of(
    sides: Sequence[Side],
    measure: Callable[[Side, int], Awaitable[Measurement]],
    rounds: int,
    on_measured: Callable[[], None],
    *,
    calm: Callable[[], Awaitable[None]] = machine.calm,
    once: bool = False,
) -> tuple[list[Measurement], Discarded]:
    """Let the sides take turns, A B and then B A, until there are enough quiet rounds.

    Returns what counts, and what was discarded. When too few were quiet, the disturbed ones
    that came last fill up, and `noise_of` names them. `once` measures nothing again and waits for
    nothing.
    """
    attempts = 1 if once else MOST_ATTEMPTS
    quiet: list[list[Measurement]] = []
    disturbed: list[list[Measurement]] = []
    order: dict[int, int] = {}
    """Which side each measurement is of, by its place."""
    while len(quiet) < rounds and len(quiet) + len(disturbed) < attempts * rounds:
        attempt = len(quiet) + len(disturbed)
        measured: list[Measurement] = []
        for side in sides if attempt % 2 == 0 else reversed(sides):
            if attempts > 1:
                await calm()
            measured.append(await measure(side, attempt))
            order[id(measured[-1])] = sides.index(side)
            if disturbance(measured[-1]) is not None and attempt < (attempts - 1) * rounds:
                break
        is_quiet = len(measured) == len(sides) and not any(map(disturbance, measured))
        (quiet if is_quiet else disturbed).append(measured)
        for _ in sides if is_quiet or once else ():
            on_measured()
    # The last attempts are never cut short, so there is enough to fill up with.
    whole = [measured for measured in disturbed if len(measured) == len(sides)]
    missing = rounds - len(quiet)
    filling = whole[-missing:] if missing > 0 else []
    for _ in () if once else filling:
        for _ in sides:
            on_measured()
    # Each in the order of the sides, whose turn it was first: in it they are shown.
    kept = [sorted(measured, key=lambda of: order[id(of)]) for measured in quiet + filling]
    for number, measured in enumerate(kept):
        for measurement in measured:
            measurement.round = number
    discarded = [each for each in disturbed if not any(each is other for other in filling)]
    return [measurement for measured in kept for measurement in measured], discarded


def reason(measurement: Measurement) -> str:
    """Say in short who disturbed a measurement.

    A load that is late only where the subject works is late by its fault, and its slow rounds are
    those that are measured again: hence by side.
    """
    busy = measurement.foreign_share > machine.MAX_FOREIGN_SHARE
    return "others" if busy else f"the late load of {measurement.side}"


def told(again: Discarded) -> str:
    """Write how many rounds were discarded, and for whom."""
    reasons = Counter(reason(next(filter(disturbance, measured))) for measured in again)
    return ", ".join(f"{count} for {why}" for why, count in reasons.most_common()) or "none"


def tell_again(result: ScenarioResult, again: Discarded, of: str = "") -> None:
    """Say among the facts what was discarded, of one side or of all, and keep it."""
    result.facts[f"{of}: {MEASURED_AGAIN}" if of else MEASURED_AGAIN] = told(again)
    result.discarded += [measurement for measured in again for measurement in measured]


def disturbance(measurement: Measurement) -> str | None:
    """Say what kept a round from meaning anything; `None` when nothing did."""
    where = f"in round {measurement.round + 1} of {measurement.side}"
    if measurement.foreign_share > machine.MAX_FOREIGN_SHARE:
        return f"other processes kept {measurement.foreign_share:.2f} processors busy {where}"
    if measurement.lateness.count:
        name, percent = ("p99", 99.0) if measurement.lateness.bears(99.0) else ("up to", 100.0)
        late = measurement.lateness.percentile(percent)
        if late > machine.MAX_LATENESS_MS:
            return f"the load sent late {where}: {name} {late:.1f} ms"
    return None


def name_noise(result: ScenarioResult, *, meant: Sequence[str] = ()) -> None:
    """Put the noise of all that was measured into a result, but for what a scenario has `meant`."""
    for measurement in result.measurements:
        for sign in noise_of([measurement]):
            if not any(words in sign for words in meant):
                result.disturb(sign, measurement.side)


def noise_of(measurements: Sequence[Measurement]) -> list[str]:
    """Name what made the machine or the load unfit to tell anything."""
    noise = [name for m in measurements if (name := disturbance(m)) is not None]
    noise += [
        f"{m.missing} of {m.sent} answers never came in round {m.round + 1} of {m.side}"
        for m in measurements
        if m.missing
    ]
    noise += [
        f"{count} of {m.sent} were {what} in round {m.round + 1} of {m.side}"
        for m in measurements
        for what, count in m.counts.items()
        if what.startswith(REFUSED)
    ]
    return noise
