"""Switchboard itself, started as its users start it, or one that is up already."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.process import Child
from benchmarks.rounds import Bench


@dataclass(frozen=True, slots=True)
class Subject:
    """A running Switchboard. Owned by the bench that started it; a `--target` by its operator."""

    origin: str
    servers: list[Child]

    @classmethod
    async def open(cls, bench: Bench, target: str | None, *, sessions: int) -> Subject:
        """Start a Switchboard that can hold this many sessions, or take the one that is named."""
        if target is not None:
            return cls(target.rstrip("/"), [])
        child = bench.owned(
            await Child.module(
                "switchboard",
                "benchmarks.switchboard",
                str(sessions),
                on=bench.processors.servers,
            )
        )
        return cls(str(child.ready["origin"]), [child])
