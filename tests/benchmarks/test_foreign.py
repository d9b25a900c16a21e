"""Whose processor time it was, also of processes that ended meanwhile."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from benchmarks.machine import Foreign, Used, Who, others_used
from tests.patience import PATIENCE

SHELL, OLD, NEW = (1, 0.0), (2, 0.0), (3, 0.0)


class Machine:
    """Ten seconds in which others use processor time; before them, a shell and its old child."""

    def __init__(self) -> None:
        self.others: dict[Who, Used] = {SHELL: Used(5.0, 65.0), OLD: Used(50.0, 50.0)}
        self.stolen = 3.0
        self.now = 0.0
        self.foreign = Foreign(lambda: dict(self.others), lambda: self.stolen, lambda: self.now)
        self.foreign.begin()

    def share(self) -> float:
        self.now += 10.0
        return self.foreign.share()


def test_what_is_there_counts_since_the_beginning() -> None:
    machine = Machine()
    machine.others[SHELL] = Used(6.0, 66.0)
    machine.others[NEW] = Used(1.0, 1.0)
    assert machine.share() == pytest.approx(0.2)


def test_nothing_is_nothing() -> None:
    assert Machine().share() == 0.0


def test_what_an_ended_child_had_used_before_does_not_count() -> None:
    machine = Machine()
    machine.others = {SHELL: Used(5.0, 65.0 + 51.0)}
    assert machine.share() == pytest.approx(0.1)


def test_a_child_that_came_and_went_counts_by_its_parent() -> None:
    machine = Machine()
    machine.others[SHELL] = Used(5.0, 67.0)
    assert machine.share() == pytest.approx(0.2)


def test_one_that_nobody_waited_for_hides_nothing_that_others_used() -> None:
    machine = Machine()
    machine.others = {SHELL: Used(7.0, 67.0)}
    assert machine.share() == pytest.approx(0.2)


def test_what_the_host_took_counts() -> None:
    machine = Machine()
    machine.stolen += 4.0
    assert machine.share() == pytest.approx(0.4)


ORPHAN = """
import subprocess, sys
made = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=0)
print(made.pid, flush=True)
"""


def test_others_are_whoever_is_not_of_the_run() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
    ) as own:
        before = {pid for pid, _ in others_used()}
        assert own.pid not in before
        own.kill()
        own.wait()
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        orphan = int(parent.stdout.readline())
        parent.wait()
        others = {pid for pid, _ in others_used()}
        assert orphan in others, "its parent is gone: it belongs to nobody here"
    psutil.Process(orphan).wait(timeout=30 * PATIENCE)
