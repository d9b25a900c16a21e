"""What passes between the parts of a deployment is encrypted wherever it leaves a machine.

Ledger, actors and gateways compose their links as a deployment does. They are all on this machine,
where links are plain; for these tests no address counts as being on it. Between any two of them
lies a proxy that keeps what passes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from actors.session.actor import SessionActor
from broker.messages.cluster.tenure import JournalAppend
from gateway.links.ledger_client import Resolver
from tests.house import House, hang_up, settled
from tests.proxy import FaultProxy
from tests.widget import Widget, accept, agent_widget, consumer_widget, ring

READABLE = (b'"session_id"', JournalAppend.method.encode(), b"session.end", b"Agent 7")
"""What stands in links and trunks that are plain, as JSON and as names of methods."""


class Wired(House):
    """A house whose ledger and actors are reached through proxies."""

    def __init__(self, stack: AsyncExitStack) -> None:
        super().__init__(stack)
        self.wires: dict[SessionActor | None, FaultProxy] = {}
        """To each actor, and under `None` to the ledger."""

    async def wire(self) -> FaultProxy:
        proxy = await FaultProxy(keeps=True).start()
        self.stack.push_async_callback(proxy.close)
        return proxy

    async def standby(self, resolve: Resolver | None = None) -> SessionActor:
        proxy = await self.wire()
        actor = await super().standby(resolve)
        # It has told nobody yet where it is dialled: its link begins when the loop turns.
        proxy.target, actor._port = actor._port, proxy.port
        self.wires[actor] = proxy
        return actor


@asynccontextmanager
async def wired(folder: Path) -> AsyncIterator[Wired]:
    """A wired house with its ledger."""
    async with settled(folder, Wired) as running:
        host, port = running.address
        proxy = running.wires[None] = await running.wire()
        proxy.target, running.address = port, (host, proxy.port)
        yield running


async def change_mode(one: Widget, other: Widget, mode: str) -> None:
    """Let one of two change what is journalled; the other hears of it."""
    mark = len(other.heard)
    await one.insist("media.mode", mode=mode)
    await other.expect("roster.changed", after=mark)


@pytest.mark.parametrize("encrypted", [True, False])
async def test_nothing_readable_passes_while_a_session_starts_changes_and_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    if encrypted:
        monkeypatch.setattr("gateway.links.trunk_tls.is_loopback", lambda host: False)
    async with wired(tmp_path) as running:
        actors = [await running.standby() for _ in range(2)]
        one, two = await running.gateway("one"), await running.gateway("two")
        consumer, agent = await consumer_widget(two, "eng"), await agent_widget(one, "eng")
        await ring(agent, consumer)
        await accept(consumer)
        await change_mode(consumer, agent, "voice")
        holder = next(each for each in actors if each.media_port)

        # Trunks that break are dialled again when the ledger has seen for itself that it lives.
        marks = len(agent.heard), len(consumer.heard)
        running.wires[holder].cut()
        for widget, mark in zip((agent, consumer), marks, strict=True):
            await widget.expect("resume.renewed", after=mark)
        await change_mode(consumer, agent, "video")
        assert {m["epoch"] for w in (agent, consumer) for m in w.heard if "epoch" in m} == {1}

        await holder.close()
        for widget in (agent, consumer):
            await widget.expect("session.snapshot", epoch=2)
        await change_mode(consumer, agent, "voice")
        await agent.insist("session.end")
        await consumer.expect("session.ended")
        await hang_up(agent, consumer)
        seen = b"".join(each.seen for each in running.wires.values())
    assert [each in seen for each in READABLE] == [not encrypted] * len(READABLE)
    assert all(each.seen for each in running.wires.values()), "each of them was spoken to"
