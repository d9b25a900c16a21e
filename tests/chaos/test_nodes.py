"""Three Ray nodes, two labels, PostgreSQL: placement, faults, a drain, the death of a node.

The cluster takes half a minute to start and to stop, so one test runs in CI and the rest are soak.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest

from broker.messages.cluster import Principal
from broker.words import Role
from gateway.accounts import hash_key
from gateway.operators import operator_token
from gateway.tokens import Audience, Tokens
from tests.ledger import postgres
from tests.operations.cluster import Operator, Process, RayCluster, until
from tests.patience import PATIENCE
from tests.widget import Refused, Widget, plain_http

pytestmark = pytest.mark.timeout(400 * PATIENCE)

KEY = "swk_chaos_" + "k" * 32
ACCOUNTS = f"""
[accounts.eastern]
token_url = "https://crm.example.com/token"
label = "eu"
[[accounts.eastern.api_keys]]
key_id = "chaos"
hash = "{hash_key(KEY)}"
"""
STANDBYS = 2
MOVED_S = 60.0 * PATIENCE
BEAT_S = 3.0


@dataclass
class Town:
    """A deployment on three nodes: two in `eu`, one in `us`."""

    cluster: RayCluster
    operator: Operator
    added: list[Process]

    def __post_init__(self) -> None:
        secret = (self.operator.folder / "secret").read_bytes().strip()
        self.tokens = Tokens(secret, time.time, secrets.token_bytes, resume_s=3_600)

    def nodes(self) -> list[dict[str, Any]]:
        """Every node as the ledger sees it."""
        token = operator_token(self.tokens, "chaos", 600)
        found: list[dict[str, Any]] = told(self.operator, "operator/nodes", token)["nodes"]
        return found

    def standbys(self) -> Counter[str]:
        """How many standbys there are, by label."""
        found: Counter[str] = Counter()
        for node in self.nodes():
            found[node["label"]] += node["standbys"]
        return found

    def holders(self) -> list[psutil.Process]:
        """The session actors that hold a session: those with a media port."""
        return [
            process
            for process in self.cluster.processes("ray::SessionHost")
            if process.net_connections("udp")
        ]

    def node_of_session(self) -> dict[str, Any]:
        """The one node that has a session."""
        (found,) = [node for node in self.nodes() if node["live"]]
        return found

    def process_of(self, node: str) -> Process:
        """The added command whose raylet is this node; by the session actors' parent."""
        for process in self.added:
            below = psutil.Process(process.pid).children(recursive=True)
            if any(f"--node-id={node}" in " ".join(each.cmdline()) for each in below):
                return process
        raise AssertionError(f"No added node is {node}.")


def told(operator: Operator, path: str, token: str) -> dict[str, Any]:
    """Ask the server API, again while the ledger is away."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        answers.append(
            httpx.get(
                f"{operator.gateway}/v1/{path}",
                headers={"Authorization": f"Bearer {token}"},
                trust_env=False,
                timeout=MOVED_S,
            )
        )
        return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

    until(f"an answer to {path}", answered)
    found: dict[str, Any] = answers[-1].raise_for_status().json()
    return found


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with (
        postgres.server() as database,
        RayCluster(label="us", slots=8, many=True) as cluster,
        Operator(folder, cluster.environment) as operator,
    ):
        (folder / "accounts.toml").write_text(ACCOUNTS)
        added = [cluster.add(label="eu", slots=8) for _ in range(2)]
        up = operator.up(
            *("--address", cluster.address, "--database", f"{database}/postgres"),
            *("--standbys", str(STANDBYS)),
        )
        up.wait_for('"gateway"')
        yield Town(cluster, operator, added)
        operator.down("--drop-live")
        assert up.end() == 0


class People:
    """An agent and a consumer of one engagement, by tokens of the deployment's secret."""

    def __init__(self, town: Town) -> None:
        self.tokens = town.tokens
        self.origin = town.operator.gateway
        self.key = f"engagement-{uuid.uuid4()}"
        self.session_id = ""
        self._beats: list[asyncio.Task[None]] = []

    async def close(self) -> None:
        for beat in self._beats:
            beat.cancel()
        await asyncio.gather(*self._beats, return_exceptions=True)

    async def agent(self) -> Widget:
        who = Principal(role=Role.AGENT, account_id="eastern", agent_id="7", name="Alex")
        widget = await Widget.dial(self.origin)
        await widget.request(
            "connection.hello",
            revision=1,
            token=self.tokens.mint(Audience.AGENT, who, 600),
            surface="agent_frame",
            engagement={"account_id": "eastern", "rt_session_id": self.key, "agent_id": "7"},
        )
        return widget

    async def consumer(self) -> Widget:
        ids = {"account_id": "eastern", "window_session_id": self.key}
        async with plain_http(self.origin) as http:
            answer = await http.post("/v1/waiting", json={"engagement": ids})
        widget = await Widget.dial(self.origin)
        await widget.request(
            "connection.hello",
            revision=1,
            token=answer.raise_for_status().json()["token"],
            surface="launcher",
            visible=True,
            engagement=ids,
            claim_secret="a consumer's own secret",
        )
        return widget

    async def talking(self) -> tuple[Widget, Widget]:
        consumer, agent = await self.consumer(), await self.agent()
        self._beats = [asyncio.create_task(beating(widget)) for widget in (agent, consumer)]
        await agent.request("session.start", mode="video")
        snapshot = await consumer.expect("session.snapshot")
        self.session_id = snapshot["session_id"]
        await consumer.request(
            "invitation.accept",
            invitation_id=snapshot["invitation"]["invitation_id"],
            mode="video",
        )
        await agent.expect("roster.changed")
        return agent, consumer


async def beating(widget: Widget) -> None:
    """Say every few seconds that the widget lives, as its page does."""
    while widget.closed is None:
        await widget.tell("connection.ping")
        await asyncio.sleep(BEAT_S)


@pytest.fixture
async def people(town: Town) -> AsyncIterator[People]:
    made = People(town)
    yield made
    await made.close()


async def moved_to(widgets: tuple[Widget, Widget], epoch: int) -> None:
    """Wait until both hear of the tenure, and have their snapshot of it."""
    async with asyncio.timeout(MOVED_S):
        for widget in widgets:
            while not any(
                message["type"] == "session.snapshot" and message["epoch"] == epoch
                for message in widget.heard
            ):
                assert widget.closed is None
                await asyncio.sleep(0.05)


async def taken(widget: Widget, type_: str, **fields: object) -> None:
    """Repeat a request while it is refused as retryable."""
    async with asyncio.timeout(MOVED_S):
        while True:
            try:
                await widget.request(type_, **fields)
                return
            except Refused as refusal:
                if not refusal.retryable:
                    raise
                await asyncio.sleep(0.1)


async def ended_well(town: Town, people: People, agent: Widget, consumer: Widget) -> None:
    """End the call; the record must be whole, and nothing of it left in the cluster."""
    await taken(agent, "session.end")
    await consumer.expect("session.ended")
    path = f"sessions/{people.session_id}"
    events = (await asyncio.to_thread(told, town.operator, path, KEY))["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    types = [event["type"] for event in events]
    assert types.count("session.started") == types.count("session.ended") == 1
    assert types.count("participant.joined") == 2
    for widget in (agent, consumer):
        await widget.close()
    await asyncio.to_thread(until, "no session is held any more", lambda: not town.holders())

    def calm() -> bool:
        found = town.nodes()
        return not any(n["live"] for n in found) and sum(n["standbys"] for n in found) >= STANDBYS

    await asyncio.to_thread(until, "the pool is full again", calm)


async def ready(town: Town) -> None:
    """Wait for a standby under either label."""

    def standing() -> bool:
        found = town.standbys()
        return found["eu"] >= 1 and found["us"] >= 1

    await asyncio.to_thread(until, "standbys under both labels", standing)


@pytest.mark.parametrize(
    "stopped_s", [0.0, pytest.param(30.0, marks=pytest.mark.soak)], ids=["briefly", "30s"]
)
async def test_a_takeover_needs_no_gcs(town: Town, people: People, stopped_s: float) -> None:
    await ready(town)
    agent, consumer = await people.talking()

    def spare() -> bool:
        return town.standbys()["eu"] >= 1

    await asyncio.to_thread(until, "a standby for the takeover", spare)
    assert (await asyncio.to_thread(town.node_of_session))["label"] == "eu"
    (holder,) = town.holders()
    (gcs,) = town.cluster.processes("gcs_server")
    gcs.suspend()
    try:
        holder.kill()
        await moved_to((agent, consumer), 2)
        await taken(agent, "media.mode", mode="voice")
        await asyncio.sleep(stopped_s)
        await taken(agent, "media.mode", mode="video")
    finally:
        gcs.resume()
    assert (await asyncio.to_thread(town.node_of_session))["label"] == "eu"
    await ended_well(town, people, agent, consumer)


@pytest.mark.soak
async def test_a_call_outlives_ledger_pool_and_keeper_together(town: Town, people: People) -> None:
    await ready(town)
    agent, consumer = await people.talking()
    for title in ("ray::LedgerHost", "ray::PoolHost", "ray::KeeperHost"):
        (process,) = town.cluster.processes(title)
        process.kill()
    await agent.request("media.publish", microphone=True, camera=True, screen=False)
    await taken(agent, "guest.invite")
    await ended_well(town, people, agent, consumer)


@pytest.mark.soak
async def test_a_session_is_placed_drained_and_outlives_its_node(
    town: Town, people: People
) -> None:
    await ready(town)
    agent, consumer = await people.talking()
    first = await asyncio.to_thread(town.node_of_session)
    assert first["label"] == "eu", "its account is bound to that label"

    words = ("drain", first["node"], "--deadline", "60s", "--json")
    status, said = await asyncio.to_thread(
        town.operator.run, *words, "--address", town.cluster.address
    )
    drained = json.loads(said.splitlines()[-1])
    assert (status, drained["drain"], drained["moved"], drained["live"]) == (0, "drained", 1, 0)
    await moved_to((agent, consumer), 2)
    second = await asyncio.to_thread(town.node_of_session)
    assert second["label"] == "eu"
    assert second["node"] != first["node"]
    await agent.request("media.mode", mode="voice")
    assert not [m for m in consumer.heard if m.get("attendance") == "left"]

    status, said = await asyncio.to_thread(
        town.operator.run, "undrain", first["node"], "--address", town.cluster.address
    )
    assert status == 0, said

    def refilled() -> bool:
        return any(n["node"] == first["node"] and n["standbys"] for n in town.nodes())

    await asyncio.to_thread(until, "a standby on the node that was put back", refilled)
    town.process_of(second["node"]).kill()
    await moved_to((agent, consumer), 3)
    await ended_well(town, people, agent, consumer)
