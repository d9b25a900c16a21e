"""What the chaos suite measures tells one fault from another: without a deployment."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.chaos.baseline import Baseline
from tests.chaos.records import whole
from tests.chaos.test_soak import (
    ACTOR_MB,
    ACTORS,
    LOOK_S,
    MARGINS,
    RAMP_S,
    REST_MB,
    STRAYS,
    Course,
)
from tests.operations.cluster import SESSIONS, until

LOOKS = 30
RAMP = round(RAMP_S / LOOK_S)


@pytest.fixture
def actors() -> Iterator[list[psutil.Process]]:
    """Three processes that have the title of session actors."""
    with ExitStack() as stack:
        found = []
        for _ in range(3):
            process = subprocess.Popen([SESSIONS, "60"], executable="/bin/sleep")
            stack.callback(process.wait)
            stack.callback(process.kill)
            found.append(psutil.Process(process.pid))
        # The kernel shows a new program's arguments a moment after it has begun.
        until("their titles", lambda: all(process.cmdline() for process in found))
        yield found


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (3, []),
        (0, [f"3 {SESSIONS}, of which the ledger knows 0"]),
        (None, [f"3 {SESSIONS}, and the ledger does not say of how many"]),
    ],
    ids=["all are known", "none is known", "the ledger is silent"],
)
def test_session_actors_beyond_the_most_must_be_known(
    actors: list[psutil.Process], known: int | None, said: list[str]
) -> None:
    baseline = Baseline(lambda: (), lambda: actors, most=2, known=lambda: known)
    assert baseline._over() == said


def course(**grown: list[float]) -> Course:
    """A run that stays as it is, but for what is given by the names of the values."""
    made = Course()
    for name in (*MARGINS, STRAYS):
        if not name.startswith("log "):
            made.values[name] = grown.get(name, [20.0 if name != STRAYS else 1.0] * LOOKS)
    made.logs = [(look * 1_000, look, look) for look in range(LOOKS)]
    return made


def steps(first: float, last: float) -> list[float]:
    """Flat while the pool learns and some time more, and then at another height."""
    return [first] * (RAMP + 8) + [last] * (LOOKS - RAMP - 8)


@pytest.mark.parametrize(
    ("name", "first", "last", "is_fault"),
    [
        (ACTOR_MB, 60.0, 90.0, True),
        (ACTOR_MB, 60.0, 66.0, False),
        (REST_MB, 600.0, 900.0, True),
        (ACTORS, 12.0, 15.0, False),
        (ACTORS, 12.0, 24.0, True),
        (STRAYS, 1.0, 6.0, True),
    ],
)
def test_a_soak_says_what_has_grown(name: str, first: float, last: float, is_fault: bool) -> None:
    found = course(**{name: steps(first, last)}).too_much()
    assert [each.split(":")[0] for each in found] == ([name] if is_fault else [])


def test_what_comes_while_the_pool_learns_is_no_growth() -> None:
    assert course(**{ACTORS: [4.0] * RAMP + [16.0] * (LOOKS - RAMP)}).too_much() == []


TOLD = ["session.started", "participant.joined", "participant.joined", "session.ended"]


@pytest.mark.parametrize(
    ("types", "missing"),
    [
        (TOLD, None),
        (TOLD, 2),
        ([*TOLD, "session.ended"], None),
        (TOLD[:-1], None),
        (["session.started", "participant.joined", "session.ended"], None),
        ([TOLD[0], *TOLD[1:3], *TOLD[2:]], None),
    ],
    ids=["whole", "a hole", "ended twice", "a ghost", "one is missing", "one joined twice"],
)
def test_a_record_that_is_not_whole_is_none(types: list[str], missing: int | None) -> None:
    events = [
        {"seq": seq, "type": type_} for seq, type_ in enumerate(types, start=1) if seq != missing
    ]
    if types is TOLD and missing is None:
        assert whole(events)["participant.joined"] == 2
        return
    with pytest.raises(AssertionError):
        whole(events)
