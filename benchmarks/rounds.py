"""Rounds: subject, floor and peers take turns under the same load, A B C, then C B A.

All servers stand ready the whole time; only one side is loaded at any moment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass
from typing import Protocol, cast

import psutil

from benchmarks import machine
from benchmarks.adapter import name_of
from benchmarks.arrivals import Trace
from benchmarks.histogram import Histogram
from benchmarks.measurement import Measurement
from benchmarks.process import Child, Processors, set_up_seconds
from benchmarks.quiet import Discarded, rounds_of
from benchmarks.sampler import Sampler

SILENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How often and how long."""

    rounds: int
    seconds: float
    warm_up: float
    rate: float
    once: bool = False
    """Whether disturbed rounds stay as they are."""
    even: bool = False
    """Whether messages are sent at even pauses instead of at random moments."""

    @classmethod
    def of(cls, options: argparse.Namespace, rate: float) -> Plan:
        """Take what the command line chose (`add_round_options`)."""
        return cls(options.rounds, options.seconds, options.warm_up, rate, options.once)


class Beside(Protocol):
    """What goes on beside a side while it is measured."""

    @property
    def forwarded(self) -> float:
        """Which share came out of the media that were due, once they have ended."""
        ...


class Side:
    """A server under a load. Owned by the stack that made it."""

    def __init__(
        self,
        name: str,
        load: Child,
        servers: list[Child],
        beside: Callable[[], AbstractAsyncContextManager[Beside | None]] = nullcontext,
    ) -> None:
        self.name = name
        self.load = load
        self.servers = servers
        self.beside = beside
        """What goes on while this side is measured."""

    def server_processes(self) -> list[psutil.Process]:
        return [process for server in self.servers for process in server.family()]


class Bench:
    """Starts sides and runs their rounds. Leaving its context ends every process it started."""

    def __init__(self, stack: AsyncExitStack, shared: bool) -> None:
        self._stack = stack
        divided = Processors.divided()
        self.processors = divided.shared() if shared else divided
        self.sides: list[Side] = []
        self.again: Discarded = []
        self.target: Mapping[str, str] = {}
        """What loads are told of the subject in their environment."""
        self.elsewhere = False
        """Whether the subject was up already: who is it, and who are others, is then not known."""

    @classmethod
    @asynccontextmanager
    async def open(cls, *, shared: bool = False) -> AsyncIterator[Bench]:
        """Begin; `shared` lets the servers of every side use the load's processor as well."""
        async with AsyncExitStack() as stack:
            yield cls(stack, shared)

    async def server(self, name: str, module: str, *arguments: str) -> Child:
        """Start one of our own servers on the servers' processors."""
        return self.owned(await Child.module(name, module, *arguments, on=self.processors.servers))

    async def adapted(self, file: str) -> Child:
        """Start another server by its adapter, on the servers' processors."""
        command = [sys.executable, file]
        return self.owned(await Child.start(name_of(file), command, on=self.processors.servers))

    def owned(self, child: Child) -> Child:
        """End a child with this bench."""
        self._stack.push_async_callback(child.close)
        return child

    async def side(
        self,
        name: str,
        kind: str,
        address: str,
        servers: Iterable[Child],
        *,
        adapter: str | None = None,
        **options: int,
    ) -> Side:
        """Start a load against a server and wait until its connections stand.

        An `adapter` may have a load of its own in the place of this kind.
        """
        load = self.owned(
            await Child.module(
                f"load of {name}",
                "benchmarks.load",
                kind,
                address,
                json.dumps(options),
                *(() if adapter is None else (adapter,)),
                on=self.processors.load,
                environment=self.target,
                within=set_up_seconds(options.get("sessions", 0), options.get("size", 0)),
            )
        )
        side = Side(name, load, list(servers))
        self.sides.append(side)
        return side

    async def run(
        self,
        plan: Plan,
        on_round: Callable[[], None],
        sides: Iterable[Side] | None = None,
    ) -> list[Measurement]:
        """Run all rounds of all sides and return what each measured.

        Rounds that others disturbed are measured again and kept in `again`.
        """
        turn = list(self.sides if sides is None else sides)
        measured, again = await rounds_of(
            turn,
            lambda side, number: self.round(side, number, plan),
            plan.rounds,
            on_round,
            once=plan.once,
        )
        self.again += again
        return measured

    async def silence(self, sides: Iterable[Side]) -> dict[str, float]:
        """Return the processors that each side's servers keep busy when nobody asks them anything.

        A cost without this is what the load costs; Ray alone takes a twentieth of a processor.
        """
        samplers = {side.name: Sampler.of(side.server_processes()) for side in sides}
        for sampler in samplers.values():
            sampler.begin()
        await asyncio.sleep(SILENT_SECONDS)
        found: dict[str, float] = {}
        for name, sampler in samplers.items():
            seconds, usage = sampler.end()
            found[name] = sum(each.processor_seconds for each in usage) / seconds
        return found

    async def round(self, side: Side, number: int, plan: Plan) -> Measurement:
        """Run one round of one side."""
        async with side.beside() as beside:
            measured = await self._measured(side, number, plan)
        if beside is not None:
            measured.forwarded = beside.forwarded
        return measured

    async def _measured(self, side: Side, number: int, plan: Plan) -> Measurement:
        servers = Sampler(side.server_processes)
        foreign = machine.Foreign()
        question = {
            "rate": plan.rate,
            "seconds": plan.seconds,
            "warm_up": plan.warm_up,
            "seed": number,
            "even": plan.even,
        }
        foreign.begin()
        servers.begin()
        answer = await side.load.ask(question, plan.seconds + plan.warm_up + 30)
        share = 0.0 if self.elsewhere else foreign.share()
        seconds, usage = servers.end()
        histograms = cast(dict[str, dict[str, int]], answer["histograms"])
        return Measurement(
            side=side.name,
            round=number,
            histograms={name: Histogram.from_json(h) for name, h in histograms.items()},
            lateness=Histogram.from_json(cast(dict[str, int], answer["lateness"])),
            sent=cast(int, answer["sent"]),
            missing=cast(int, answer["missing"]),
            seconds=seconds,
            foreign_share=share,
            counts=cast(dict[str, int], answer.get("counts", {})),
            trace=[(at, waited) for at, waited in cast(Trace, answer.get("trace", []))],
            usage=usage,
        )
