"""The units of deploy/systemd, run by systemd as they are shipped: on three machines with a call.

Each has a systemd, a file system and a network of its own; PostgreSQL and the people are outside.
This needs root.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.proofs.tokens import Tokens
from tests.chaos.records import whole
from tests.chaos.street import resumed
from tests.chaos.town import ACCOUNTS, KEYS, People, moved_to, nodes_at, tokens_of, told
from tests.ledger import postgres
from tests.operations.cluster import ROOT, until
from tests.operations.machine import Machine
from tests.operations.test_runbook import GIVES, INSTALLS, Install
from tests.patience import PATIENCE
from tests.proxy import FaultProxy
from tests.relay.namespaces import link, namespace
from tests.widget import Widget

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 * PATIENCE)]

HEAD, NODE, GATEWAY = (f"switchboard-{each}" for each in ("ray-head", "ray-node", "gateway"))
UNITS = " ".join(f"--unit={each}" for each in (HEAD, NODE, GATEWAY))
ETC = "/etc/switchboard"
ORIGIN = "https://video.example.com"
OUTSIDE = "10.77.{}.1"
INSIDE = "10.77.{}.2"
RAY = f"{INSIDE.format(1)}:6379"


@dataclass
class Site:
    """Three machines: Ray's head, and two that carry media and have a gateway."""

    head: Machine
    nodes: list[Machine]
    tokens: Tokens
    origin: str = ORIGIN

    def gateway(self, number: int) -> str:
        """Where a node's gateway listens."""
        return f"http://{INSIDE.format(number + 2)}:8787"

    async def until(self, what: str, found: Callable[[], bool]) -> None:
        """Wait until a callable is true; what the units said is told when it does not come.

        Raises:
            AssertionError: not in time.
        """
        try:
            await asyncio.to_thread(until, what, found)
        except AssertionError as error:
            for machine in (self.head, *self.nodes):
                error.add_note(machine.run(f"journalctl --no-pager --lines=30 {UNITS}"))
            raise

    async def ready(self, number: int) -> None:
        """Wait until a node's gateway takes widgets."""

        def is_ready() -> bool:
            try:
                return httpx.get(f"{self.gateway(number)}/readyz", trust_env=False).is_success
            except httpx.TransportError:
                return False

        await self.until(f"gateway {number} is ready", is_ready)

    async def standing(self, number: int, count: int) -> None:
        """Wait until there are standbys on so many nodes, by what a gateway says."""

        def are_there() -> bool:
            found = nodes_at(self.gateway(number), self.tokens)
            return sum(bool(each["standbys"]) for each in found) == count

        await self.until(f"standbys on {count} nodes", are_there)


PROGRAMS = f"""
cd /opt/switchboard
mkdir python source
mount --bind '{sys.base_prefix}' python
mount --bind '{ROOT}' source
# Where it is linked with its own library by a path that the units may not see.
echo /opt/switchboard/python/lib > /etc/ld.so.conf.d/0-switchboard.conf
ldconfig
python/bin/python3 -m venv --without-pip .venv
packages=$(cd .venv && echo lib/python3.*/site-packages)
cat > .venv/$packages/source.pth <<END
/opt/switchboard/source
import site; site.addsitedir('/opt/switchboard/source/.venv/$packages')
END
for each in ray switchboard; do
  sed '1s,.*,#!/opt/switchboard/.venv/bin/python3,' source/.venv/bin/$each > .venv/bin/$each
  chmod +x .venv/bin/$each
done
cp source/deploy/systemd/*.service /etc/systemd/system/
systemctl daemon-reload
"""
"""This repository's programs, in the place of installed ones."""


def install(machine: Machine, files: dict[str, str]) -> None:
    """Install it as the runbook does, but for the programs."""
    for command in INSTALLS[:2]:
        machine.run(command)
    machine.run(f"mkdir /opt/switchboard; {PROGRAMS}")
    for name, text in files.items():
        machine.write(f"{ETC}/{name}", text)
    machine.run(f"chmod 600 {ETC}/*")
    machine.run(GIVES)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        here = stack.enter_context(namespace("here"))
        here.forward()
        networks = []
        for number, name in enumerate(("head", "one", "two"), start=1):
            networks.append(stack.enter_context(namespace(name)))
            link(here, networks[-1], number)
            networks[-1].ip("route", "add", "default", "via", OUTSIDE.format(number))
        stack.enter_context(here.inside())
        database = stack.enter_context(closing(postgres.Server()))
        await asyncio.to_thread(database.start)
        port = urlsplit(database.url).port
        assert port is not None
        reached = await FaultProxy(port, at=OUTSIDE.format(1)).start()
        stack.push_async_callback(reached.close)
        machines = [
            await asyncio.to_thread(stack.enter_context, Machine(tmp_path / each.name, each))
            for each in networks
        ]
        head, *nodes = machines
        for command in Install().secrets:
            await asyncio.to_thread(head.run, f"mkdir -p {ETC}; {command}")
        files = {
            name: await asyncio.to_thread(head.run, f"cat {ETC}/{name}")
            for name in ("secret", "ray-token", "pgpass")
        }
        files["accounts.toml"] = re.sub("^label = .*\n", "", ACCOUNTS, flags=re.M)
        for number, machine in enumerate(machines, start=1):
            settings = {
                "RAY_HEAD": RAY,
                "RAY_NODE_ADDRESS": INSIDE.format(number),
                "MEDIA_SLOTS": "4",
                "ORIGIN": ORIGIN,
                "PROXY": OUTSIDE.format(number),
                "BIND": INSIDE.format(number),
                "SWITCHBOARD_DATABASE": f"postgresql://ledger@{OUTSIDE.format(1)}:{reached.port}/postgres",
            }
            lines = "".join(f"{name}={value}\n" for name, value in settings.items())
            await asyncio.to_thread(install, machine, {**files, "node.env": lines})
        yield Site(head, nodes, tokens_of(files["secret"]))


async def test_the_units_run_a_deployment(site: Site) -> None:
    one, two = site.nodes
    # Whatever is started first, none gives up.
    await asyncio.to_thread(one.run, f"systemctl start --no-block {GATEWAY}")
    await site.until("it is tried again", lambda: restarts(one) > 0)
    await asyncio.to_thread(site.head.run, f"systemctl start {HEAD}")
    await asyncio.to_thread(one.run, f"systemctl start {NODE}")
    await site.ready(0)
    await site.standing(0, 1)
    people = People(site)
    agent, consumer = await people.talking(through=site.gateway(0))
    await asyncio.to_thread(two.run, f"systemctl start {NODE} {GATEWAY}")
    await site.ready(1)
    await site.standing(1, 2)

    tried = restarts(one)
    await asyncio.to_thread(one.run, f"systemctl kill --signal=KILL {GATEWAY}")
    agent, consumer = [await back(each, site.gateway(1)) for each in (agent, consumer)]
    people.beat(agent, consumer)
    await site.ready(0)
    assert restarts(one) > tried
    await agent.insist("guest.invite")
    assert {m["epoch"] for m in agent.heard if "epoch" in m} <= {1}, "only the gateway died"

    await asyncio.to_thread(one.run, f"systemctl stop {NODE}")
    await moved_to((agent, consumer), 2)
    shown = one.shows(NODE)
    ended = shown["ActiveState"], shown["Result"], shown["ExecMainStatus"]
    assert ended[:2] == ("inactive", "success"), ended
    assert "status=0" in shown["ExecStop"], "the drain found nothing left"
    await asyncio.to_thread(one.run, f"systemctl start {NODE}")
    await site.ready(0)
    await site.standing(0, 2)

    await agent.insist("session.end")
    await consumer.expect("session.ended")
    path = f"sessions/{people.session_id}"
    record = await asyncio.to_thread(told, site.gateway(0), path, KEYS[people.account_id])
    types = whole(record["events"])
    assert (types["guest.invited"], types["participant.left"]) == (1, 0)
    for widget in (agent, consumer):
        await widget.close()
    await people.close()
    for machine in (one, two, site.head):
        units = f"{GATEWAY} {NODE} {HEAD}"
        await asyncio.to_thread(machine.run, f"systemctl stop {units}")
        assert machine.run("pgrep --list-full --uid switchboard", status=None) == ""


def restarts(machine: Machine) -> int:
    """How often systemd has started its gateway again."""
    return int(machine.shows(GATEWAY)["NRestarts"])


async def back(widget: Widget, gateway: str) -> Widget:
    """Come back by another gateway, once the connection is lost."""
    await widget.expect_close()
    return await resumed(widget, gateway, page=ORIGIN)
