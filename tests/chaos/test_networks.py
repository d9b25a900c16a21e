"""Networks that go away without a word, for signalling and media together; this needs root.

Each node, and a phone, has a network namespace with lines of its own to the others. What is cut is
cut for TCP and UDP at once, and nobody's socket is closed by it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from actors.relay import Relay, RelayConfig
from actors.session.config import SessionConfig
from tests.chaos.records import whole
from tests.chaos.streams import flow, streaming
from tests.chaos.street import Street, Talk, Weight, until
from tests.house import API_KEY, House, hang_up, settled
from tests.patience import PATIENCE
from tests.proxy import FaultProxy
from tests.relay.client import CraftedClient
from tests.relay.namespaces import Namespace, link, namespace, two_lines
from tests.relay.voice import talking
from tests.widget import Widget, accept, agent_widget, consumer_widget, plain_http, ring

pytestmark = [pytest.mark.soak, pytest.mark.timeout(180 * PATIENCE)]

HERE = "10.77.1.1"
"""Where the ledger is, and a phone's gateway and relay."""
FIRST, SECOND = "10.77.1.2", "10.77.2.2"
GAP_S = 6.0 * PATIENCE
"""As for a node that dies: its silence has to be noticed, and looked into, first."""


@pytest.fixture
def nodes() -> Iterator[tuple[Namespace, Namespace, Namespace]]:
    """The node of ledger and gateways, and two of actors, each with a line to it."""
    with namespace("here") as here, namespace("one") as one, namespace("two") as two:
        for number, node in ((1, one), (2, two)):
            link(here, node, number)
        two.ip("route", "add", HERE, "via", "10.77.2.1")
        yield here, one, two


@pytest.mark.parametrize("until_it_is_gone", [True, False])
async def test_a_node_that_is_cut_off_loses_its_session_to_another(
    nodes: tuple[Namespace, Namespace, Namespace], tmp_path: Path, until_it_is_gone: bool
) -> None:
    here, one, two = nodes
    with here.inside():
        street = Street(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite3")
        try:
            await street.ledger(host=HERE)
            old = await street.actor(namespace=one.name, host=FIRST)
            at = [await street.gateway(name) for name in ("gateway-1", "gateway-2")]
            before = street.weigh()
            call = await Talk.begin(*at)
            await street.actor(namespace=two.name, host=SECOND)
            await call.agent.insist("guest.invite")
            async with streaming(lambda: call.agent, lambda: call.consumer) as streams:
                await flow(streams, "cut off", epoch=1)
                marks = len(call.agent.heard), len(call.consumer.heard)
                one.ip("link", "set", "line-1", "down")
                for widget, mark in zip((call.agent, call.consumer), marks, strict=True):
                    await widget.expect("session.snapshot", after=mark, epoch=2)
                await flow(streams, "after", epoch=2)
                if not until_it_is_gone:
                    one.ip("link", "set", "line-1", "up")
                await until(lambda: not old.alive, "the actor that was cut off is gone")
                one.ip("link", "set", "line-1", "up")
                await call.agent.insist("guest.invite")
                await flow(streams, "afterwards", epoch=2)
            gaps = [each.reception.gaps for each in streams]
            print("longest pauses in seconds", gaps)
            assert max(each["cut off"] for each in gaps) <= GAP_S, gaps
            for widget, mark in zip((call.agent, call.consumer), marks, strict=True):
                assert {m["epoch"] for m in widget.heard[mark:] if "epoch" in m} == {2}
            await call.end()
            await street.check_quiet()
            await street.check_back(before)
            record = await record_at(at[0], call.session_id)
        finally:
            street.close()
    types = whole(record["events"])
    assert types["guest.invited"] == 2
    assert "participant.left" not in types


async def record_at(origin: str, session_id: str) -> dict[str, Any]:
    """A session as the server API tells it."""
    async with plain_http(origin) as http:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        answer = await http.get(f"/v1/sessions/{session_id}", headers=headers)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


class Reached(House):
    """A house whose media are reached from elsewhere."""

    def config(self) -> SessionConfig:
        return replace(super().config(), relay=RelayConfig(bind=(HERE,)))


def socket_of(phone: Namespace, source: str, port: int) -> socket.socket:
    """A connection to a gateway by one of a phone's networks."""
    with phone.inside():
        made = socket.create_connection((HERE, port), 10 * PATIENCE, (source, 0))
    made.setblocking(False)
    return made


async def test_a_phone_that_changes_its_network_is_missed_by_nobody(tmp_path: Path) -> None:
    with two_lines() as (here, phone), here.inside():
        once = Weight.of(psutil.Process())
        async with settled(tmp_path, Reached) as running:
            actor = await running.standby()
            origin = await running.gateway("one")
            # A gateway of the demo listens on loopback alone.
            edge = await FaultProxy(int(origin.rpartition(":")[2]), at=HERE).start()
            running.stack.push_async_callback(edge.close)
            by_first = socket_of(phone, FIRST, edge.port)
            consumer = await consumer_widget(origin, "eng", sock=by_first)
            agent = await agent_widget(origin, "eng")
            await ring(agent, consumer)
            await accept(consumer)
            await agent.expect("roster.changed")
            assert actor._session is not None
            relay = actor._session.media._relay
            ada = media_of(relay, agent, HERE)
            ben = media_of(relay, consumer, FIRST)
            await ada.connect()
            with phone.inside():
                await ben.connect()
            try:
                async with talking(ada), talking(ben):
                    await until(lambda: heard(ada) > 10 and heard(ben) > 10, "both are heard")
                    mark = len(agent.heard)
                    phone.ip("link", "set", "line-1", "down")
                    gone = asyncio.get_running_loop().time()
                    await agent.request("media.mode", mode="voice")
                    # What its browser does on a new network: ICE looks again, the page dials anew.
                    with phone.inside():
                        await ben.rebind(SECOND)
                    ben.keep_checking()
                    before = heard(ada), heard(ben)
                    by_second = socket_of(phone, SECOND, edge.port)
                    back = await back_by(consumer, origin, by_second)
                    missed = await back.expect("roster.changed")
                    assert [entry["mode"] for entry in missed["roster"]] == ["voice", "video"]
                    assert "session.snapshot" not in back.types(), "what it missed, and no more"
                    await until(
                        lambda: heard(ada) > before[0] and heard(ben) > before[1], "both are again"
                    )
                    assert asyncio.get_running_loop().time() - gone < 2.0 * PATIENCE
                    assert ben.undecryptable == 0, "the same keys: nothing was negotiated anew"
                    await back.request("media.mode", mode="voice")
                    told = [m for m in agent.heard[mark:] if m["type"] == "roster.changed"]
                    assert [len(each["roster"]) for each in told] == [2, 2]
                    attendances = [e["attendance"] for each in told for e in each["roster"]]
                    assert set(attendances) == {"present"}, "nobody saw it go"
            finally:
                for client in (ada, ben):
                    client.vanish()
            await agent.request("session.end")
            await back.expect("session.ended")
            # The line it came by is gone: nobody would answer its goodbye.
            consumer._socket.transport.abort()
            await hang_up(agent, back, consumer)
            assert running.ledger is not None
            live = running.ledger._sessions.directory
            await until(lambda: not len(live), "no session is left")
            session_id = (await agent.expect("session.snapshot"))["session_id"]
            types = whole((await record_at(origin, session_id))["events"])
            assert types["participant.mode_changed"] == 2
            assert "participant.left" not in types
        await until(
            lambda: Weight.of(once.process).descriptors <= once.descriptors,
            "its descriptors are given back",
        )


def media_of(relay: Relay, widget: Widget, host: str) -> CraftedClient:
    """The peer connection of somebody in the session."""
    snapshot = next(m for m in widget.heard if m["type"] == "session.snapshot")
    return CraftedClient(relay, snapshot["participant_id"], host=host, server=HERE)


def heard(client: CraftedClient) -> int:
    """How many packets of the other's voice came."""
    return len(client.heard_on(client.seat(0)[0]))


async def back_by(lost: Widget, origin: str, by: socket.socket) -> Widget:
    """Come back with the resume token of a connection that is silent and not closed."""
    back = await Widget.dial(origin, sock=by)
    await back.request(
        "connection.hello",
        revision=1,
        resume=[m["resume"] for m in lost.heard if m["type"] == "resume.renewed"][-1],
        last_seq=max(m.get("seq") or 0 for m in lost.heard),
        surface="launcher",
        visible=True,
    )
    return back
