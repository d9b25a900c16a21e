"""What runs alone is named where the suite is divided, what is not named wants no machine, and the
workers share the tests as is said there."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]

from tests.conftest import ALONE_OF, Division, alone

TESTS = Path(__file__).parents[1]
WANTS = {
    "chaos": r"\b(Deployment\(|open_town\(|streaming\(|\w+: (Deployment|Call)\b)",
    "operations": r"\b(RayCluster|Demo|Operator)\(",
    "benchmarks": r"\b(Bench\.open|Child\.start|settled|create_subprocess_exec)\(",
    "browser": r"\b(people: People|demo: Deployment|Fair\(|fair\w*\()",
}
"""By category what in a file says that it starts a cluster, measures, or brings people together."""


@pytest.mark.parametrize("name", ALONE_OF)
def test_every_file_that_is_named_is_there(name: str) -> None:
    files = {each.stem.removeprefix("test_") for each in (TESTS / name).glob("test_*.py")}
    assert ALONE_OF[name] - files == set()


@pytest.mark.parametrize("name", WANTS)
def test_what_wants_the_machine_is_named(name: str) -> None:
    found = {
        path.name
        for path in (TESTS / name).glob("test_*.py")
        if re.search(WANTS[name], path.read_text(encoding="utf-8"))
    }
    assert len(found) >= 3
    assert {each for each in found if not alone(f"tests/{name}/{each}::test")} == set()


class Worker:
    """One of pytest-xdist's, by what a scheduler asks of it: does as many tests as it is let."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.shutting_down = False
        self.waiting: list[int] = []
        self.did: list[str] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.waiting += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def begun(tests: list[str], number: int) -> tuple[Division, list[Worker]]:
    """A division with its workers, each of which has been given the first of its tests."""
    option = SimpleNamespace(loadscopereorder=False)
    config = SimpleNamespace(option=option, getvalue=lambda name: ["popen"] * number)
    division = Division(cast("pytest.Config", config), Producer("division", enabled=False))
    workers = [Worker(f"gw{each}") for each in range(number)]
    for worker in workers:
        join(division, worker, tests)
    division.schedule()
    return division, workers


def join(division: Division, worker: Worker, tests: list[str]) -> None:
    division.add_node(worker)
    division.add_node_collection(worker, tests)


def divided(tests: list[str], number: int) -> list[Worker]:
    """The workers, after they have done what they were given, one test each in turn."""
    division, workers = begun(tests, number)
    while busy := [worker for worker in workers if worker.waiting]:
        for worker in busy:
            index = worker.waiting.pop(0)
            worker.did.append(tests[index])
            division.mark_test_complete(worker, index)
    return workers


CALLS = [f"tests/browser/test_session.py::test_{number}" for number in range(8)]
REST = [f"tests/{name}/test_a.py::test_{n}" for name in ("gateway", "unit") for n in range(6)]
BROWSERS = [f"tests/browser/test_{name}.py::test_a" for name in "abcdefgh"]


def test_a_third_worker_has_no_browser_and_nothing_is_left_out() -> None:
    tests = CALLS + REST + BROWSERS
    workers = divided(tests, 3)
    assert [set(CALLS) <= set(worker.did) for worker in workers] == [True, False, False]
    with_browsers = [worker for worker in workers if {*CALLS, *BROWSERS} & set(worker.did)]
    assert len(with_browsers) == 2
    assert all(set(BROWSERS) & set(worker.did) for worker in with_browsers)
    assert sorted(test for worker in workers for test in worker.did) == sorted(tests)
    assert all(worker.shutting_down for worker in workers)


def test_browsers_alone_are_divided_among_two_as_well() -> None:
    workers = divided(BROWSERS, 3)
    assert sorted(bool(worker.did) for worker in workers) == [False, True, True]
    assert sorted(test for worker in workers for test in worker.did) == BROWSERS


def test_who_comes_for_a_worker_that_is_gone_takes_over_its_browsers() -> None:
    tests = CALLS + BROWSERS
    division, (_, second) = begun(tests, 2)
    crashed = division.remove_node(second)
    assert crashed in BROWSERS
    third = Worker("gw2")
    join(division, third, tests)
    division.schedule()
    assert third.waiting
