"""Every resource of a session returns: descriptors, tasks, memory, of a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import cast

import psutil
import pytest

from actors.relay import Relay
from benchmarks.media.beside import PROFILE
from benchmarks.media.sessions import Sessions
from benchmarks.media.source import Camera
from benchmarks.rounds import Bench
from benchmarks.scenarios.media import holder_of
from benchmarks.subject import ASK_SECONDS, Subject
from broker.measures import Standing
from tests.patience import PATIENCE, until

from .camera import RIDS
from .client import CraftedClient
from .remote import RemoteRelay

WARM_UP = 20
SESSIONS = 200
MOST_KEPT = 5_000_000
"""Bytes that 200 sessions may leave, of which fewer may leave no more."""
FEW = 8
"""Descriptors that Ray itself may open meanwhile: its lines to who came or went. One of each
session would be 200."""
BACK_SECONDS = 30.0 * PATIENCE
LOOK_SECONDS = 0.02


async def one_session(relay: RemoteRelay) -> None:
    """Let two people meet, see and hear each other, by another path, anew, and leave."""
    ada, ben = (CraftedClient(cast(Relay, relay), name, rids=RIDS) for name in ("ada", "ben"))
    for client in (ada, ben):
        await client.connect()

    async def talk() -> None:
        heard = len(ben.heard)
        for _ in range(5):
            ada.send_audio(level=10)
            for rid in RIDS:
                ada.send_frame(key=True, parts=(bytes(900),) * 4, rid=rid)
        await until(lambda: len(ben.heard) >= heard + 20)

    await talk()
    ada.own = replace(ada.own, ufrag="restarted", password="r" * 32)
    ada.publish_anew()
    ada.negotiate()
    ada.keep_checking()
    await talk()
    for client in (ada, ben):
        client.close()
    relay.start_afresh()


@pytest.mark.parametrize("sessions", [50, pytest.param(SESSIONS, marks=pytest.mark.soak)])
async def test_every_resource_returns(sessions: int) -> None:
    relay = RemoteRelay()
    try:
        for _ in range(WARM_UP):
            await one_session(relay)
        before = relay.descriptors(), relay.tasks()
        memory = relay.unique_memory()
        for _ in range(sessions):
            await one_session(relay)
        assert (relay.descriptors(), relay.tasks()) == before
        assert relay.unique_memory() - memory < MOST_KEPT
    finally:
        relay.close()


class Reused:
    """A session actor in Ray that holds one session after another, of people with media."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._members: list[str] = []
        self.holder: psutil.Process | None = None

    async def hold(self) -> None:
        """Let two people meet at the gateway, see and hear each other, and end it."""
        sessions = Sessions(self._subject.origin, profile=PROFILE, camera=Camera())
        try:
            await sessions.open(1, 2)
            holder = holder_of(frozenset(sessions.media.ports), self._subject.actors())
            assert self.holder in (None, holder), "another process holds the session"
            self.holder = holder
            pump = sessions.media.pump()
            try:
                pump.begin()
                sinks = sessions.media.sinks
                await until(lambda: all(sink.counts.packets > 20 for sink in sinks), "media")
            finally:
                await asyncio.to_thread(pump.close)
        finally:
            await sessions.close()
        assert await reached(self._is_back), "the process does not stand by again"

    async def _is_back(self) -> bool:
        """Whether the process stands by again, under an id that it did not have before."""
        level = await self._ask("level")
        members = cast(list[str], level["reused"])
        if level["live"] or len(members) != 1 or members == self._members:
            return False
        self._members = members
        return True

    def weigh(self) -> tuple[int, int, int]:
        """Say how many descriptors and threads it has, and bytes of its own."""
        assert self.holder is not None
        with self.holder.oneshot():
            memory = int(self.holder.memory_full_info().uss)
            return self.holder.num_fds(), self.holder.num_threads(), memory

    async def tasks(self) -> float | None:
        """Say how many tasks a session actor has on average; `None` while one has not reported."""
        answer = await self._ask("counted")
        standing = cast(dict[str, int], answer["standing"])
        if Standing.ACTORS_SILENT in standing or Standing.ACTORS_REPORTING not in standing:
            return None
        return standing[Standing.TASKS] / standing[Standing.ACTORS_REPORTING]

    async def _ask(self, what: str) -> Mapping[str, object]:
        return await self._subject.servers[0].ask({"do": what}, ASK_SECONDS)


async def reached(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Ask again and again, for `BACK_SECONDS`, whether something has come about."""
    for _ in range(round(BACK_SECONDS / LOOK_SECONDS)):
        if await condition():
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


@pytest.mark.soak
@pytest.mark.timeout(1200 * PATIENCE)
async def test_every_resource_of_a_session_actor_returns(
    record_property: Callable[[str, object], None],
) -> None:
    """The same of a session actor in Ray, behind a gateway; only how often it is reused differs."""
    async with Bench.open(shared=True) as bench:
        subject = await Subject.open(bench, None, standbys=1, reuse=WARM_UP + SESSIONS)
        actor = Reused(subject)
        tasks: float | None = None

        async def told() -> bool:
            nonlocal tasks
            tasks = await actor.tasks()
            return tasks is not None

        assert await reached(told), "no report came"
        for _ in range(WARM_UP):
            await actor.hold()
        before = actor.weigh()
        for _ in range(SESSIONS):
            await actor.hold()
        after = actor.weigh()
        record_property("note", f"descriptors, threads, bytes: {before}, then {after}")

        async def as_before() -> bool:
            return await actor.tasks() == tasks

        assert await reached(as_before), f"{await actor.tasks()} tasks instead of {tasks}"
        assert after[0] <= before[0] + FEW, (before, after)
        assert after[1] <= before[1], (before, after)
        assert after[2] - before[2] < MOST_KEPT, (before, after)
