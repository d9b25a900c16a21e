"""Switchboard itself, started as its users start it, or one that is up already."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import psutil

from benchmarks.process import START_SECONDS, Child, Processors, pin
from benchmarks.rounds import Bench

STANDING = "ray::SessionHost.live"
"""How Ray titles the process of a session actor that has started."""
DEFAULT_PEOPLE = 8
"""The policy's own limit of a session."""
DEFAULT_REUSE = 20
"""As `switchboard up` has it."""
LOOK_SECONDS = 0.25


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
        target: str | None,
        *,
        standbys: int,
        people: int = DEFAULT_PEOPLE,
        reuse: int = DEFAULT_REUSE,
    ) -> Subject:
        """Start a Switchboard and wait for its standbys, or take the one that is named.

        `people` is how many its sessions may hold, `reuse` how many more sessions an actor has.
        """
        if target is not None:
            bench.elsewhere = True
            return cls(target.rstrip("/"), [], bench.processors)
        child = bench.owned(
            await Child.module(
                "switchboard",
                "benchmarks.switchboard",
                str(standbys),
                str(people),
                str(reuse),
            )
        )
        subject = cls(str(child.ready["origin"]), [child], bench.processors)
        await subject.until_standing(standbys)
        return subject

    def actors(self) -> list[psutil.Process]:
        """List the processes of session actors that stand, live or waiting."""
        found: list[psutil.Process] = []
        for process in (p for server in self.servers for p in server.family()):
            with suppress(psutil.Error):
                if process.cmdline()[:1] and process.cmdline()[0].startswith(STANDING):
                    found.append(process)
        return found

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

    def _pin(self, processors: frozenset[int]) -> None:
        for server in self.servers:
            for process in server.family():
                pin(process, processors)
