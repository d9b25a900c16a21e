"""Servers and loads as processes of their own, on processors of their own where there are enough.

A child prints one JSON line when it is ready and ends when its standard input closes, so that none
outlives the benchmark, however that ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

READY_SECONDS = 90.0
FAMILY = "SWITCHBOARD_BENCH_FAMILY"
"""In the environment of a child and of what it starts: whose they are should it end before them.
A mark for each child on the way, since what a child starts may be a child of its own."""
KILLED_SECONDS = 3.0
"""How long one that was killed may take to be gone."""
LOOK_SECONDS = 0.02
START_SECONDS = 6.0
"""How long a session actor may take to start, on a machine that is busy with it."""
INVITE_SECONDS = 1.5
"""How long one guest may take: inviting and admitting are held to two a second for each agent."""


def set_up_seconds(sessions: int, size: int) -> float:
    """Return how long a load may take until this many sessions of this size stand."""
    return READY_SECONDS + sessions * START_SECONDS + size * INVITE_SECONDS


@dataclass(frozen=True, slots=True)
class Processors:
    """Which processors servers and loads may use; empty sets mean any."""

    servers: frozenset[int]
    load: frozenset[int]

    @classmethod
    def divided(cls) -> Processors:
        """Give the load the last processor and the servers the rest, where there are two."""
        if not hasattr(os, "sched_getaffinity"):
            return cls(frozenset(), frozenset())
        mine = sorted(os.sched_getaffinity(0))
        if len(mine) < 2:
            return cls(frozenset(), frozenset())
        return cls(frozenset(mine[:-1]), frozenset(mine[-1:]))

    def shared(self) -> Processors:
        """Let the servers use the load's as well, where it runs before them."""
        return Processors(self.servers | self.load, self.load)


def pin(process: psutil.Process, processors: frozenset[int]) -> None:
    """Bind every thread of a process; who has ended meanwhile, or may not be bound, is left."""
    if not processors:
        return
    with suppress(OSError):
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), processors)


def lives(process: psutil.Process) -> bool:
    """Whether a process still does anything: one that has ended may wait for its parent's word."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked(mark: str) -> list[psutil.Process]:
    """List what a child has started, directly or not, and that is alive.

    A process that changed its title, as Ray's workers do, shows no environment any more.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if mark in environment_of(process).get(FAMILY, "").split():
                found.append(process)
    return found


def environment_of(process: psutil.Process) -> dict[str, str]:
    """Return what a process was started with. Raises psutil.Error.

    Between its call of exec(3) and the moment its program stands a process shows neither
    arguments nor environment: it is looked at again, for a second at most. A thread of the kernel,
    which has no program, and one that changed its title show none for good.
    """
    for _ in range(round(1 / LOOK_SECONDS)):
        environment = process.environ()
        if environment or process.cmdline() or not process.exe():
            break
        time.sleep(LOOK_SECONDS)
    return environment


class ChildFailed(RuntimeError):
    """A child ended, or said nothing, when it should have been ready."""


class Child:
    """One child process with its descendants. Its owner closes it."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, mark: str) -> None:
        self._process = process
        self._mark = mark
        self.name = name
        self._stands = False
        """Whether it has said that it is ready."""
        self.ready: Mapping[str, object] = {}
        """What it said when it was ready."""

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        on: frozenset[int] = frozenset(),
        environment: Mapping[str, str] | None = None,
        sign: str | None = None,
        within: float = READY_SECONDS,
    ) -> Child:
        """Start a program and wait for its ready line, or for one that contains `sign`.

        Raises:
            ChildFailed: it ended or stayed silent for `within` seconds.
        """

        def prepare() -> None:
            # Not of a session of its own: Linux may share the processor out by session first, and
            # then a floor has as much of it as a gateway and all session actors together.
            os.setpgid(0, 0)
            # It is asked to end by this, which a shell's background job would hand on as ignored.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if on:
                os.sched_setaffinity(0, on)

        mark = secrets.token_hex(8)
        # Whose family the starter is of, this child is of as well.
        marks = f"{os.environ.get(FAMILY, '')} {mark}".strip()
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {}), FAMILY: marks},
            preexec_fn=prepare,
            limit=64 * 1024 * 1024,
        )
        child = cls(process, name, mark)
        try:
            if sign is None:
                child.ready = await child.read(within)
                if "error" in child.ready:
                    raise ChildFailed(f"{name}: {child.ready['error']}")
            else:
                wanted = sign.encode()
                await child.read_to(within, lambda line: wanted in line, aloud=False)
        except BaseException:
            await child.close()
            raise
        child._stands = True
        return child

    @classmethod
    async def module(
        cls,
        name: str,
        module: str,
        *arguments: str,
        on: frozenset[int] = frozenset(),
        environment: Mapping[str, str] | None = None,
        within: float = READY_SECONDS,
    ) -> Child:
        """Start one of our own modules."""
        command = [sys.executable, "-m", module, *arguments]
        return await cls.start(name, command, on=on, environment=environment, within=within)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def read(self, seconds: float) -> Mapping[str, object]:
        """Read one JSON line."""
        line = await self.read_to(seconds, lambda line: line.startswith(b"{"))
        answer: dict[str, object] = json.loads(line)
        return answer

    async def read_to(
        self, seconds: float, wanted: Callable[[bytes], bool], *, aloud: bool = True
    ) -> bytes:
        """Read up to a line that is wanted; `aloud` passes those before it on to standard error.

        Raises:
            ChildFailed: the program ended before, or did not write it in time.
        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                while line := await self._process.stdout.readline():
                    if wanted(line):
                        return line
                    if aloud:
                        sys.stderr.write(line.decode(errors="replace"))
        except TimeoutError:
            raise ChildFailed(f"{self.name} did not answer within {seconds:.0f} s.") from None
        raise ChildFailed(f"{self.name} ended before it answered.")

    async def ask(self, question: Mapping[str, object], seconds: float) -> Mapping[str, object]:
        """Write one JSON line and read one.

        Raises:
            ChildFailed: the child has ended, stayed silent or answered with an error.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            raise ChildFailed(f"{self.name} has ended.") from None
        answer = await self.read(seconds)
        if "error" in answer:
            raise ChildFailed(f"{self.name}: {answer['error']}")
        return answer

    def family(self) -> list[psutil.Process]:
        """List the child and its descendants that are alive."""
        try:
            head = psutil.Process(self.pid)
            return [head, *head.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    async def close(self) -> None:
        """End the child and its descendants: asked first, killed after 10 s. Idempotent.

        Returns when they are gone, so that nothing of them is in the way of what starts next.
        """
        family = self.family()
        grace_s = 0.0
        if family and self._process.returncode is None:
            grace_s = 3.0
            if self._process.stdin is not None:
                self._process.stdin.close()
            # Python that is interrupted in its imports says so at length.
            self._process.send_signal(signal.SIGINT if self._stands else signal.SIGTERM)
            try:
                async with asyncio.timeout(10):
                    await self._ended()
            except TimeoutError:
                self._process.kill()
                await self._ended()
        left = {*family[1:], *await asyncio.to_thread(marked, self._mark)}
        left = await _until_gone(left, grace_s)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await _until_gone(left, KILLED_SECONDS)

    async def _ended(self) -> None:
        """Wait until it has. `wait` of asyncio waits for its pipes, which a descendant may hold."""
        while self._process.returncode is None:  # noqa: ASYNC110 - the watcher has no event
            await asyncio.sleep(0.01)


async def _until_gone(processes: set[psutil.Process], seconds: float) -> set[psutil.Process]:
    """Wait until none of them lives, so long at most; returns those that do.

    What psutil waits with waits for zombies as well, and where process 1 takes nobody's word an
    orphan is one for ever.
    """
    left = set(filter(lives, processes))
    for _ in range(round(seconds / LOOK_SECONDS)):
        if not left:
            break
        await asyncio.sleep(LOOK_SECONDS)
        left = set(filter(lives, left))
    return left
