"""Ctrl-C: whoever interrupts a run is told so, and finds nothing of it left."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from benchmarks.process import FAMILY, Child, lives, marked
from gateway.commands.ray_environment import PREFIX
from tests.house import House, settled
from tests.patience import PATIENCE, until

START_S = 60.0 * PATIENCE


async def begun(mark: str, *words: str, folder: str | None = None) -> Process:
    """Start a benchmark whose processes have this mark, and their files in this folder."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks", *words),
        env={**os.environ, FAMILY: mark, "TMPDIR": folder or tempfile.gettempdir()},
        # A shell that starts these tests in the background has them ignore it.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        stdout=PIPE,
        stderr=STDOUT,
    )


async def interrupt(process: Process, mark: str) -> None:
    """Interrupt a run, which says so in a word and ends with all that it started."""
    process.send_signal(signal.SIGINT)
    said, _ = await process.communicate()
    told = process.returncode, b"Traceback" in said, b"Interrupted." in said
    assert told == (130, False, True), said.decode()
    assert marked(mark) == []


async def test_who_interrupts_a_run_is_told_so_and_leaves_no_process(tmp_path: Path) -> None:
    mark = secrets.token_hex(8)
    async with settled(tmp_path, House) as house:
        words = ("--rate", "20", "--starts", "1", "--seconds", "60")
        process = await begun(mark, "storm", "--target", await house.gateway("one"), *words)
        await until(
            lambda: len(marked(mark)) == 3, "the command and its two loads", START_S, every=0.1
        )
        await interrupt(process, mark)


@pytest.mark.soak
@pytest.mark.parametrize("sign", ["benchmarks.switchboard", "raylet", "ray::PoolHost"])
async def test_who_interrupts_while_switchboard_starts_leaves_nothing(sign: str) -> None:
    mark = secrets.token_hex(8)
    # Short: Ray puts sockets below it.
    with tempfile.TemporaryDirectory(prefix="sb-") as name:
        process = await begun(mark, "storm", folder=name)

        def family() -> dict[psutil.Process, str]:
            with suppress(psutil.Error):
                found = psutil.Process(process.pid).children(recursive=True)
                return {each: " ".join(each.cmdline()) for each in found}
            return {}

        def is_there() -> bool:
            return any(sign in title for title in family().values())

        await until(is_there, sign, START_S, every=0.1)
        started = family()
        await interrupt(process, mark)
        assert [title for each, title in started.items() if lives(each)] == []
        assert [each for each in os.listdir(name) if not each.startswith(PREFIX)] == [], "not swept"


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """As a shell's background job does, and hands on."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def test_a_child_of_who_ignores_interrupts_is_ended_by_one() -> None:
    with ignoring_interrupts():
        words = "import time; print('{}', flush=True); time.sleep(600)"
        child = await Child.start("waiting", [sys.executable, "-c", words])
    await child.close()
    assert child._process.returncode == -signal.SIGINT
