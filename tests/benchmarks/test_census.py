"""Server processes are named so that people know them, and counted as they are."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from benchmarks.census import Census
from benchmarks.sampler import Sampler, named


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["/venv/bin/python", "-m", "benchmarks.switchboard", "3"], "benchmarks.switchboard"),
        (["ray::SessionHost.live"], "ray::SessionHost.live"),
        (["/ray/gcs_server", "--log_dir=/tmp/x/logs", "--config_list=eyJhdX"], "gcs_server"),
        (["/bin/python", "-u", "/ray/dashboard/monitor.py"], "python monitor.py"),
        (
            ["/bin/python", "/ray/default_worker.py", "--node-ip-address=::1"],
            "python default_worker.py",
        ),
    ],
)
def test_a_process_has_the_name_of_what_it_runs(words: list[str], name: str) -> None:
    assert named(words) == name


def test_a_census_counts_who_is_there_and_time_since_the_last() -> None:
    me = psutil.Process()
    there = [me]
    census = Census(lambda: there)
    (first,) = census.take()
    assert first.pid == me.pid
    assert first.memory_bytes > 1_000_000
    assert first.descriptors == me.num_fds()
    assert first.threads == me.num_threads()
    (second,) = census.take()
    assert second.processor_seconds < first.processor_seconds
    there.clear()
    assert census.take() == []


def test_a_round_counts_the_processor_time_and_memory_of_those_that_were_there_throughout() -> None:
    me = psutil.Process()
    sampler = Sampler.of([me])
    sampler.begin()
    began, until = time.process_time(), time.process_time() + 0.05
    while time.process_time() < until:
        pass
    _, (used,) = sampler.end()
    assert 0.04 <= used.processor_seconds <= time.process_time() - began + 0.005
    assert used.pid == me.pid
    assert 1_000_000 < used.memory_bytes <= me.memory_info().rss * 1.1
    assert Sampler.of([me]).end()[1] == [], "nobody saw it begin"


def test_a_round_counts_all_of_a_process_that_began_in_it() -> None:
    sampler = Sampler(psutil.Process().children)
    sampler.begin()
    before = {used.pid for used in sampler.end()[1]}
    busy = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True); input()"
    words = [sys.executable, "-c", busy]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as begun:
        assert begun.stdout is not None
        begun.stdout.readline()
        (used,) = (each for each in sampler.end()[1] if each.pid not in before)
        assert used.pid == begun.pid
        assert used.processor_seconds >= 0.1
        begun.kill()


def test_what_a_thread_used_that_has_ended_counts() -> None:
    busy = (
        "import threading, time\n"
        "def work():\n"
        "    while time.thread_time() < 0.1: pass\n"
        "print(flush=True); input()\n"
        "worker = threading.Thread(target=work); worker.start(); worker.join()\n"
        "print(flush=True); input()"
    )
    words = [sys.executable, "-c", busy]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as begun:
        assert begun.stdin is not None
        assert begun.stdout is not None
        begun.stdout.readline()
        sampler = Sampler.of([psutil.Process(begun.pid)])
        sampler.begin()
        begun.stdin.write(b"\n")
        begun.stdin.flush()
        begun.stdout.readline()
        (used,) = sampler.end()[1]
        assert used.processor_seconds >= 0.1
        begun.kill()


def test_what_goes_on_while_memory_is_read_belongs_to_no_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used = [1.0]

    def slowly(process: psutil.Process) -> int:
        used[0] += 5.0
        return 0

    monkeypatch.setattr("benchmarks.sampler.proportional", slowly)
    monkeypatch.setattr("benchmarks.sampler.processor_seconds", lambda process: used[0])
    sampler = Sampler.of([psutil.Process(), psutil.Process().parent() or psutil.Process()])
    sampler.begin()
    used[0] += 0.5
    assert [each.processor_seconds for each in sampler.end()[1]] == [0.5, 0.5]
