"""Ray's logs: rotated on a private Ray, and those of workers that have ended kept few."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.commands.ray_environment import LOG_BACKUPS, LOG_BYTES
from gateway.commands.ray_logs import RayLogs, logs, tidy
from tests.patience import PATIENCE

LIVING, ENDED = 7, 8
WRITES = """
import sys
from gateway.commands import ray_environment
from tests.patience import PATIENCE
with ray_environment.private_folder() as folder:
    import ray
    from gateway.compose import entry
    logs = entry.private_ray(folder, 1)

    @ray.remote(num_cpus=0.1)
    class Writer:
        def write(self, count):
            for number in range(count):
                print(f"{number:08}", "x" * 1_000, file=sys.stderr)
            print("the last line", file=sys.stderr)

        def ended(self):
            return None

    writer = Writer.remote()
    ray.get(writer.write.remote(int(sys.argv[1])))
    ray.get(writer.ended.remote())
    import time
    files = []
    for _ in range(int(300 * PATIENCE)):
        files = [each for each in logs.glob("worker-*.err*")]
        if any("the last line" in each.read_text()[-2_000:] for each in files):
            break
        time.sleep(0.1)
    else:
        raise AssertionError("the last line does not come")
    print(max(sum(f.stat().st_size for f in files if f.name.startswith(one.name.split(".")[0]))
        for one in files))
    entry.stop_ray()
"""


def log(folder: Path, name: str, size: int, written_s: float) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (written_s, written_s))
    return path


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.rglob("*") if each.is_file()}


def test_the_oldest_logs_of_ended_workers_go_and_no_others(tmp_path: Path) -> None:
    log(tmp_path, f"worker-0ab-01000000-{LIVING}.err", 500, 1)
    log(tmp_path, f"worker-0ab-01000000-{LIVING}.err.1", 500, 1)
    log(tmp_path, "raylet.out", 500, 1)
    log(tmp_path, "gcs_server.err", 500, 1)
    log(tmp_path, f"old/worker-0cd-01000000-{ENDED}.out", 100, 2)
    log(tmp_path, f"worker-0cd-01000000-{ENDED}.err.1", 100, 3)
    log(tmp_path, f"python-core-worker-0cd_{ENDED}.log", 100, 4)
    log(tmp_path, f"worker-0cd-01000000-{ENDED}.err", 100, 5)
    before = names(tmp_path)
    tidy(tmp_path, 400, lambda pid: pid == LIVING)
    assert names(tmp_path) == before
    tidy(tmp_path, 250, lambda pid: pid == LIVING)
    gone = {f"worker-0cd-01000000-{ENDED}.out", f"worker-0cd-01000000-{ENDED}.err.1"}
    assert before - names(tmp_path) == gone
    tidy(tmp_path, 0, lambda pid: pid == LIVING)
    assert {each for each in names(tmp_path) if f"{ENDED}." in each} == set()
    assert len(names(tmp_path)) == 4


def test_folders_that_go_while_they_are_looked_into_are_empty(tmp_path: Path) -> None:
    for number in range(3):
        log(tmp_path, f"{number}/raylet.out", 5, 1)
    seen = []
    for each in logs(tmp_path):
        seen.append(each.size)
        for number in range(3):
            shutil.rmtree(tmp_path / str(number), ignore_errors=True)
    assert seen == [5]
    assert list(logs(tmp_path / "none")) == []


@pytest.mark.parametrize("tidies", [True, False])
def test_what_is_told_is_what_lies_there(
    tmp_path: Path, tidies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gateway.commands.ray_logs.tidy", lambda folder: log(folder, "tidied", 1, 1)
    )
    log(tmp_path, "old/raylet.out", 500, 1)
    log(tmp_path, "raylet.err", 30, 1)
    registry = CollectorRegistry()
    RayLogs(tmp_path, registry, tidies=tidies).look()
    assert registry.get_sample_value("switchboard_ray_log_bytes") == 530 + tidies


@pytest.mark.soak
@pytest.mark.timeout(120 * PATIENCE)
def test_a_worker_that_writes_much_stays_below_the_bound() -> None:
    most = LOG_BYTES * (1 + LOG_BACKUPS)
    done = subprocess.run(
        [sys.executable, "-c", WRITES, str(3 * most // 1_000)],
        capture_output=True,
        text=True,
        timeout=100 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert LOG_BYTES < int(done.stdout.split()[-1]) < 1.1 * most
