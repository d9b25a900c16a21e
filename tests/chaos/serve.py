"""Parts of a deployment as processes of their own, without Ray, to be killed, stopped and misled.

`python -m tests.chaos.serve FOLDER` imports once and forks a part for each line it reads, such as
`actor one` or `actor two {"lonely_s": 2.0}`. A part writes its address into `FOLDER/NAME`. Where
the ledger is stands in `FOLDER/ledger`; by how many seconds the clocks of NAME are wrong in
`FOLDER/NAME.step`, which is looked at with every question for the time. `FOLDER/NAME.detours` leads
what NAME dials from ports to others. A part that is told of a `namespace` has its sockets there.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

# Before anything else of ours: whoever keeps `time.time` keeps the stepped one.
from tests.chaos import stepped  # isort: skip

from actors.keeper import DeliveryPolicy, Endpoint, Keeper, KeeperPolicy
from actors.ledger import Ledger, LedgerPolicy
from actors.ledger_link import LedgerLink
from actors.relay import RelayConfig
from actors.session.config import SessionConfig
from broker.messages.cluster.base import read
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.nodes import PoolLevel
from gateway import level as gateway_level
from gateway import measured as gateway_measured
from gateway.commands import ray_logs
from gateway.commands.ray_logs import RayLogs
from gateway.connections.switchroom import Switchroom
from gateway.level import Level
from gateway.links.ledger_client import LedgerClient
from gateway.links.trunk_tls import trunk_tls
from gateway.measured import MeasuredCollector
from gateway.settings import Settings
from tests.house import House
from tests.ledger.receiver import SECRET
from tests.relay.namespaces import Namespace

KEEPER = KeeperPolicy(
    delivery=DeliveryPolicy(backoff_first_s=0.05, backoff_last_s=0.2, loopback_allowed=True)
)
LOOPBACK = "127.0.0.1"
LONELY_S = 10.0
TAKEOVER_BOUND_S = 1.5


class Member(House):
    """A house whose ledger is another process.

    Actors of another `host` than this machine's loopback are another node's, whose media they
    carry too.
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        folder: Path,
        *,
        lonely_s: float = LONELY_S,
        host: str = LOOPBACK,
    ) -> None:
        super().__init__(stack, lonely_s=lonely_s)
        self._folder = folder
        self._host = host

    def config(self) -> SessionConfig:
        told = super().config()
        if self._host == LOOPBACK:
            return told
        relay = RelayConfig(bind=(self._host,))
        return replace(told, node=self._host, trunk_host=self._host, relay=relay)

    def settings(self, origin: str, name: str) -> Settings:
        told = super().settings(origin, name)
        limits = replace(told.limits, takeover_bound_s=TAKEOVER_BOUND_S, dial_timeout_s=0.5)
        return replace(told, limits=limits)

    def made(self, room: Switchroom, directory: LedgerClient) -> None:
        """Export what `up` does; the deployment's level is heard as a pool hears it."""
        heard: list[PoolLevel] = []

        async def last() -> PoolLevel | None:
            return heard[-1] if heard else None

        link = LedgerLink(
            self.resolve,
            self.key,
            LinkHello(kind="pool", member_id=f"{id(room)}", node="n"),
            on_notice=lambda method, body: heard.append(read(PoolLevel, body)),
            on_down=heard.clear,
        )
        level = Level(last, lambda: room.ready, lambda: directory.ready)
        level.install(room.metrics.registry)
        measured = MeasuredCollector(directory, room.metrics.registry)
        logs = RayLogs(self._folder / "logs", room.metrics.registry, tidies=False)
        self.tasks = [
            asyncio.get_running_loop().create_task(work)
            for work in (link.start(), level.run(), measured.run(), logs.run())
        ]

    async def resolve(self) -> tuple[str, int]:
        try:
            host = (self._folder / "ledger.host").read_text()
        except FileNotFoundError:
            host = LOOPBACK
        return host, int((self._folder / "ledger").read_text())


def detoured(detours_file: Path, connect: Callable[..., Any]) -> Callable[..., Any]:
    """Dial through a proxy where one is set for a port."""

    def dial(factory: Any, host: str, port: int, **options: Any) -> Any:
        try:
            detours = json.loads(detours_file.read_text())
        except FileNotFoundError:
            detours = {}
        return connect(factory, host, detours.get(str(port), port), **options)

    return dial


def announce(folder: Path, name: str, address: object) -> None:
    """Write an address so that nobody reads half of it."""
    part = folder / f"{name}.part"
    part.write_text(str(address))
    part.rename(folder / name)


async def run(folder: Path, part: str, name: str, told: dict[str, Any]) -> None:
    """Be one part until killed; an actor ends with its session.

    `told` is the policy of a ledger and its host, the options of an actor's `Member`, the webhooks
    of a keeper, how often it reconciles and how much of its accounts it cannot take over.
    """
    loop: Any = asyncio.get_running_loop()
    loop.create_connection = detoured(folder / f"{name}.detours", loop.create_connection)
    async with AsyncExitStack() as stack:
        member = Member(stack, folder, **(told if part == "actor" else {}))
        match part:
            case "ledger":
                host = told.pop("host", LOOPBACK)
                ledger = Ledger(
                    (folder / "database").read_text(),
                    member.key,
                    now_ms=member.now_ms,
                    policy=LedgerPolicy(**{"capacity_wait_s": 5.0, **told}),
                    tls=trunk_tls(member.key),
                )
                announce(folder, f"{name}.host", host)
                announce(folder, name, await ledger.start(host, 0))
                await ledger.stopped.wait()
            case "actor":
                actor = await member.standby()
                announce(folder, name, actor.member_id)
                await member.over.wait()
            case "gateway":
                announce(folder, name, await member.gateway(name))
                await asyncio.Event().wait()
            case "keeper":
                keeper = Keeper(
                    member.resolve,
                    member.key,
                    LinkHello(kind="keeper", member_id=name, node="n"),
                    now_ms=member.now_ms,
                    endpoints=[Endpoint("chaos", "demo", url, SECRET) for url in told["webhooks"]],
                    policy=replace(KEEPER, reconcile_s=told["reconcile_s"]),
                    tls=trunk_tls(member.key),
                )
                keeper.account_faults = told["account_faults"]
                await keeper.start()
                announce(folder, name, os.getpid())
                await asyncio.Event().wait()


def be(folder: Path, part: str, name: str, told: dict[str, Any]) -> None:
    """Run a part where it is to have its sockets."""
    where = told.pop("namespace", None)
    with Namespace(where).inside() if where else nullcontext():
        asyncio.run(run(folder, part, name, told))


def main() -> None:
    """Fork a part for each line."""
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gateway_level.PERIOD_S = gateway_measured.PERIOD_S = ray_logs.PERIOD_S = 0.05
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        part, name, *told = line.split(maxsplit=2)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            stepped.follow(folder / f"{name}.step")
            with (folder / f"{name}.log").open("w") as log:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            be(folder, part, name, json.loads(told[0]) if told else {})
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
