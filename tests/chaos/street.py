"""A deployment of real processes without Ray, whose parts can be killed, stopped and misled."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from actors.keeper import KeeperPolicy
from actors.ledger_link import LedgerLink, LinkTiming
from benchmarks.process import lives
from broker.close_codes import CloseCode
from broker.keys import KeyPurpose, derive_key
from broker.measures import Standing
from broker.messages.cluster.exporting import MeasureList, MeasureQuery
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.records import RecordGet, RecordPage, RecordQuery, SessionRecord
from broker.words import SessionPhase
from gateway.links.trunk_tls import trunk_tls
from tests import patience
from tests.chaos.records import numbered
from tests.house import SECRET
from tests.patience import PATIENCE
from tests.ports import media_ports
from tests.widget import Widget, accept, agent_widget, consumer_widget, ring

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0 * PATIENCE
POOLED = 5
"""Connections to the database that a ledger may open at any time, and keep."""
KEPT_BYTES = 24 * 1024 * 1024
"""A part that outlived a fault may have so much more memory: code that ran for the first time."""


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition of other processes, which costs more to look at."""
    await patience.until(condition, what, WAIT_S, every=0.02)


@dataclass(frozen=True, slots=True)
class Weight:
    """One process, how many descriptors it has, and its resident bytes."""

    process: psutil.Process
    descriptors: int
    memory: int

    @classmethod
    def of(cls, process: psutil.Process) -> Weight:
        """Weigh it. Raises psutil.Error when it is gone."""
        return cls(process, process.num_fds(), process.memory_info().rss)


@dataclass
class Part:
    """One process."""

    name: str
    process: psutil.Process
    address: str = ""

    @property
    def alive(self) -> bool:
        return lives(self.process)

    def kill(self) -> None:
        """End it as `kill -9` does; harmless when it is gone."""
        with suppress(psutil.NoSuchProcess):
            self.process.kill()

    async def end(self) -> None:
        """Kill it, and wait until it is gone: only then another takes its place."""
        self.kill()
        await until(lambda: not self.alive, f"{self.name} is gone")

    @property
    def port(self) -> int:
        """Where it listens."""
        found = self.process.net_connections("tcp")
        return next(one.laddr.port for one in found if one.status == psutil.CONN_LISTEN)

    @property
    def holds(self) -> bool:
        """Whether it is a session actor with a session: one with a media port."""
        return bool(media_ports([self.process]))

    async def shed(self, descriptors: int) -> None:
        """Wait until it has at most so many descriptors."""
        what = f"{self.name} has at most {descriptors} descriptors"
        await until(lambda: self.weight().descriptors <= descriptors, what)

    def weight(self) -> Weight:
        """What it weighs now."""
        return Weight.of(self.process)


class Street:
    """One ledger's deployment. `close` kills every process that is left.

    Two may share a folder, one with the sources of another release at `root`: its parts are then
    named by their own `first` number.
    """

    def __init__(self, folder: Path, database: str, *, root: Path = ROOT, first: int = 0) -> None:
        self.folder = folder
        (folder / "database").write_text(database)
        self._key = derive_key(SECRET, KeyPurpose.TRUNK)
        self.parts: dict[str, Part] = {}
        self._numbers = first
        self._asking = threading.Lock()
        self._maker = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.serve", str(folder)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask()

    async def ledger(self, **told: object) -> Part:
        """Start the ledger, or the next one; what it is told replaces some of `LedgerPolicy`."""
        with suppress(FileNotFoundError):
            (self.folder / "ledger").unlink()
        return await self._start("ledger", "ledger", **told)

    async def actor(self, detours: dict[int, int] | None = None, **told: object) -> Part:
        """Start a standby that dials other ports instead of some, and is told of more."""
        name = self._name("actor")
        self.detour(name, detours or {})
        return await self._start("actor", name, **told)

    async def actors(self, count: int) -> None:
        """Start standbys until there are `count` without a session."""
        idle = [part for part in self.of("actor") if not part.holds]
        await asyncio.gather(
            *(self._start("actor", self._name("actor")) for _ in range(count - len(idle)))
        )

    async def keeper(
        self,
        *webhooks: str,
        reconcile_s: float = KeeperPolicy().reconcile_s,
        account_faults: int = 0,
    ) -> Part:
        """Start the keeper, or use the one there is; it has its link."""
        if not self.of("keeper"):
            (self.folder / "keeper").unlink(missing_ok=True)
            told = {"reconcile_s": reconcile_s, "account_faults": account_faults}
            await self._start("keeper", "keeper", webhooks=webhooks, **told)
        async with self.link() as link, asyncio.timeout(WAIT_S):
            while not await _keepers(link):  # noqa: ASYNC110 - another process's news
                await asyncio.sleep(0.05)
        return self.parts["keeper"]

    async def gateway(self, name: str) -> str:
        """Start a gateway, or use the one of this name; returns its origin."""
        part = self.parts.get(name)
        if part is None or not part.alive:
            (self.folder / name).unlink(missing_ok=True)
            part = await self._start("gateway", name)
        return part.address

    def of(self, kind: str) -> list[Part]:
        """The living processes of a kind."""
        return [part for name, part in self.parts.items() if name.startswith(kind) and part.alive]

    def holder(self) -> Part:
        """The one actor that holds a session."""
        found = [part for part in self.of("actor") if part.holds]
        assert len(found) == 1, f"{len(found)} actors hold a session"
        return found[0]

    def step_clock(self, name: str, seconds: int) -> None:
        """Set the wall clock that a process sees, running or still to be started."""
        (self.folder / f"{name}.step").write_text(str(seconds))

    def detour(self, name: str, ports: dict[int, int]) -> None:
        """Lead what a part dials to other ports from now on."""
        (self.folder / f"{name}.detours").write_text(json.dumps(ports))

    @asynccontextmanager
    async def link(self) -> AsyncIterator[LedgerLink]:
        """A link to the ledger of one's own."""

        async def resolve() -> tuple[str, int]:
            host = (self.folder / "ledger.host").read_text()
            return host, int((self.folder / "ledger").read_text())

        hello = LinkHello(kind="gateway", member_id=f"test-{uuid.uuid4()}", node="n")
        timing = LinkTiming(backoff_first_s=0.02, backoff_last_s=0.1)
        link = LedgerLink(resolve, self._key, hello, timing=timing, tls=trunk_tls(self._key))
        await link.start()
        try:
            yield link
        finally:
            await link.close()

    async def record(self, session_id: str) -> SessionRecord:
        """One record; its events are numbered without a hole."""
        async with self.link() as link:
            record = await link.call(
                RecordGet(session_id=session_id), SessionRecord, timeout=WAIT_S
            )
        numbered(record.model_dump()["events"])
        return record

    async def live(self) -> list[str]:
        """Sessions that have not ended, by the record."""
        async with self.link() as link:
            page = await link.call(RecordQuery(phase=SessionPhase.OPEN), RecordPage, timeout=WAIT_S)
        return [one.session_id for one in page.records]

    def weigh(self) -> dict[str, Weight]:
        """What each living part weighs now, by its name."""
        return {name: part.weight() for name, part in self.parts.items() if part.alive}

    async def check_back(self, before: Mapping[str, Weight]) -> None:
        """Whoever has outlived what came since `before` weighs no more than it did then."""
        for name, once in before.items():
            part = self.parts[name]
            if part.alive and part.process == once.process:
                await part.shed(once.descriptors + (POOLED if name == "ledger" else 0))
                grown = part.weight().memory - once.memory
                assert grown < KEPT_BYTES, f"{name} keeps {grown} bytes of memory more"

    async def check_quiet(self) -> None:
        """Nobody talks any more: no session is live, and no actor holds one."""
        await until(lambda: not any(p.holds for p in self.of("actor")), "no actor holds a session")
        # An actor closes its media port before its last event is durable.
        left: list[str] = []
        try:
            async with asyncio.timeout(WAIT_S):
                while left := await self.live():  # noqa: ASYNC110 - another process's record
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"ghost sessions: {left}") from None

    def close(self) -> None:
        for part in self.parts.values():
            part.kill()
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        self._maker.stdin.close()
        self._maker.wait(WAIT_S)
        self._maker.stdout.close()

    def _name(self, kind: str) -> str:
        self._numbers += 1
        return f"{kind}-{self._numbers}"

    def _ask(self, line: str = "") -> str:
        assert self._maker.stdin is not None
        assert self._maker.stdout is not None
        with self._asking:
            if line:
                self._maker.stdin.write(line + "\n")
                self._maker.stdin.flush()
            return self._maker.stdout.readline().strip()

    async def _start(self, kind: str, name: str, **told: object) -> Part:
        line = f"{kind} {name} {json.dumps(told)}" if told else f"{kind} {name}"
        pid = int(await asyncio.to_thread(self._ask, line))
        part = self.parts[name] = Part(name, psutil.Process(pid))
        place = self.folder / name
        await until(lambda: place.exists() or not part.alive, f"{name} came up")
        assert part.alive, (self.folder / f"{name}.log").read_text()
        part.address = place.read_text()
        return part


async def _keepers(link: LedgerLink) -> int:
    """How many keepers have a link."""
    said = await link.call(MeasureQuery(), MeasureList, timeout=WAIT_S)
    return sum(each.standing.get(Standing.LINKS_KEEPER, 0) for each in said.measured)


class Talk:
    """An agent and a consumer in a session, each at a gateway of their own."""

    def __init__(self, agent: Widget, consumer: Widget, session_id: str) -> None:
        self.agent = agent
        self.consumer = consumer
        self.session_id = session_id

    @classmethod
    async def begin(cls, agent_at: str, consumer_at: str) -> Talk:
        key = f"engagement-{uuid.uuid4()}"
        consumer = await consumer_widget(consumer_at, key)
        agent = await agent_widget(agent_at, key)
        snapshot = await ring(agent, consumer, Widget.insist)
        await accept(consumer, ask=Widget.insist)
        await agent.expect("roster.changed")
        return cls(agent, consumer, snapshot["session_id"])

    async def end(self) -> None:
        """End the session and hang up."""
        await self.agent.insist("session.end")
        await self.consumer.expect("session.ended")
        await self.close()

    async def close(self) -> None:
        for widget in (self.agent, self.consumer):
            await widget.close()


class Ended(Exception):
    """There is no way back into a session that has ended."""


async def resumed(widget: Widget, origin: str, *, page: str | None = None) -> Widget:
    """Come back with the resume token of a lost connection, through any gateway.

    Raises:
        Ended: the session has ended.
    """
    resume = [m["resume"] for m in widget.heard if m["type"] == "resume.renewed"][-1]
    last_seq = max(m.get("seq") or 0 for m in widget.heard)
    await widget.close()
    again = await Widget.dial(origin, page=page)
    agent = next(m for m in widget.heard if m["type"] == "connection.welcome")["role"] == "agent"
    try:
        await again.request(
            "connection.hello",
            revision=1,
            resume=resume,
            last_seq=last_seq,
            surface="agent_frame" if agent else "launcher",
            visible=True,
        )
    except BaseException as error:
        await again.close()
        if again.closed == CloseCode.ENDED:
            raise Ended from error
        raise
    return again


def signalled(processes: list[psutil.Process], what: signal.Signals) -> None:
    """Send a signal to each that is still there."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(what)
