"""Switchboard itself, started as its users start it, or one that is up already."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import psutil

from benchmarks.participant import ACCOUNT_VARIABLE, DEMO, KEY_FILE_VARIABLE
from benchmarks.process import START_SECONDS, Child, Processors, pin
from benchmarks.rounds import Bench
from broker.measures import Count

STANDING = "ray::SessionHost.live"
"""How Ray titles the process of a session actor that has started."""
DEFAULT_PEOPLE = 8
"""The policy's own limit of a session."""
DEFAULT_REUSE = 20
"""As `switchboard up` has it."""
LOOK_SECONDS = 0.25
ASK_SECONDS = 10.0
GONE_SECONDS = 30.0
REPORTED_SECONDS = 7.0
"""By then each session actor has told the ledger what it had counted: every five, and a fifth."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Switchboard that is up already, and the account whose people the load is."""

    origin: str
    account: str = DEMO
    api_key_file: str | None = None

    def environment(self) -> dict[str, str]:
        """Return what a load's process is told of it."""
        told = {ACCOUNT_VARIABLE: self.account}
        return told if self.api_key_file is None else {**told, KEY_FILE_VARIABLE: self.api_key_file}


def target_of(options: argparse.Namespace) -> Target | None:
    """Return what the command line says is up already."""
    if options.target is None:
        return None
    return Target(options.target, options.account, options.api_key_file)


@dataclass(frozen=True, slots=True)
class Look:
    """What the ledger knew from this moment on, in seconds on the machine's clock."""

    at: float
    standbys: int
    members: int
    """Session actors, those that hold a session included."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A running Switchboard. Owned by the bench that started it; a `--target` by its operator."""

    origin: str
    servers: list[Child]
    processors: Processors

    @classmethod
    async def open(
        cls,
        bench: Bench,
        target: Target | None,
        *,
        standbys: int,
        people: int = DEFAULT_PEOPLE,
        reuse: int = DEFAULT_REUSE,
        nodes: int = 1,
    ) -> Subject:
        """Start a Switchboard and wait for its standbys, or take the one that is named.

        `people` is how many its sessions may hold, `reuse` how many more sessions an actor has,
        `nodes` how many nodes its Ray has.
        """
        if target is not None:
            bench.elsewhere = True
            bench.target = target.environment()
            return cls(target.origin.rstrip("/"), [], bench.processors)
        child = bench.owned(
            await Child.module(
                "switchboard",
                "benchmarks.switchboard",
                str(standbys),
                str(people),
                str(reuse),
                str(nodes),
            )
        )
        subject = cls(str(child.ready["origin"]), [child], bench.processors)
        await subject.until_standing(standbys)
        return subject

    def family(self) -> list[psutil.Process]:
        """List every process of the servers that is alive."""
        return [process for server in self.servers for process in server.family()]

    def actors(self) -> list[psutil.Process]:
        """List the processes of session actors that stand, live or waiting."""
        found: list[psutil.Process] = []
        for process in self.family():
            with suppress(psutil.Error):
                if process.cmdline()[:1] and process.cmdline()[0].startswith(STANDING):
                    found.append(process)
        return found

    async def waited(self) -> int:
        """Ask how many openings found no standby so far; 0 for a server that is elsewhere."""
        answers = [await server.ask({"do": "level"}, ASK_SECONDS) for server in self.servers]
        return sum(cast(int, answer["waited"]) for answer in answers)

    async def counted(self, count: Count) -> int:
        """Say how often something was counted in all session actors, up to now.

        Waits for their reports; 0 for a server that is elsewhere.
        """
        if self.servers:
            await asyncio.sleep(REPORTED_SECONDS)
        answers = [await server.ask({"do": "counted"}, ASK_SECONDS) for server in self.servers]
        return sum(cast(dict[str, int], answer["counts"]).get(count, 0) for answer in answers)

    async def watch(self) -> None:
        """Begin to note how many standbys and session actors there are."""
        for server in self.servers:
            await server.ask({"do": "watch"}, ASK_SECONDS)

    async def watched(self) -> list[Look]:
        """End that; return what changed."""
        answers = [await server.ask({"do": "watched"}, ASK_SECONDS) for server in self.servers]
        looks = (cast(list[tuple[float, int, int]], each["looks"]) for each in answers)
        return [Look(*look) for each in looks for look in each]

    async def until_standing(self, count: int) -> None:
        """Wait until this many session actors stand, so that no start disturbs what is measured.

        They may start on all processors, and keep to the servers' afterwards.

        Raises:
            TimeoutError: they do not come.
        """
        if not self.servers:
            return
        self._pin(self.processors.shared().servers)
        for _ in range(round((30 + START_SECONDS * count) / LOOK_SECONDS)):
            if len(await asyncio.to_thread(self.actors)) >= count:
                self._pin(self.processors.servers)
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise TimeoutError(f"{count} session actors did not start.")

    async def until_at_rest(self, standbys: int) -> None:
        """Wait until no session is left, and as many stand by as the pool was told to keep.

        Raises:
            TimeoutError: that does not come.
        """
        self._pin(self.processors.servers)
        for _ in range(round((30 + START_SECONDS * standbys) / LOOK_SECONDS)):
            found = [await server.ask({"do": "level"}, ASK_SECONDS) for server in self.servers]
            ready = [cast(int, each["standbys"]) >= standbys for each in found]
            if all(ready) and not any(each["live"] for each in found):
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise TimeoutError(f"No {standbys} standbys without any session.")

    async def until_gone(self) -> None:
        """Wait until no session actor is left of those that nobody needs any more.

        Raises:
            TimeoutError: some stay.
        """
        for _ in range(round(GONE_SECONDS / LOOK_SECONDS)):
            if not await asyncio.to_thread(self.actors):
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise TimeoutError("Session actors that nobody needs stay.")

    def _pin(self, processors: frozenset[int]) -> None:
        for process in self.family():
            pin(process, processors)
