"""A deployment on some Ray nodes with PostgreSQL, its gateways, and people who talk through it."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil

from broker.messages.cluster.trunk import Principal
from broker.words import Role
from gateway.accounts import hash_key
from gateway.compose.session_host import ORPHAN_S
from gateway.proofs.operators import operator_token
from gateway.proofs.tokens import Audience, Tokens
from tests.ledger import postgres
from tests.operations.cluster import (
    HERE,
    ROOT,
    SESSIONS,
    WAIT_S,
    Operator,
    Place,
    Process,
    RayCluster,
    until,
)
from tests.patience import PATIENCE
from tests.ports import media_ports
from tests.widget import Widget, accept, plain_http, ring

KEYS = {name: f"swk_{name}_" + "k" * 32 for name in ("eastern", "western")}
"""The API key of each account."""
ACCOUNTS = "".join(
    f"""
[accounts.{name}]
token_url = "https://crm.example.com/token"
label = "{label}"
[[accounts.{name}.api_keys]]
key_id = "{name}"
hash = "{hash_key(KEYS[name])}"
"""
    for name, label in (("eastern", "eu"), ("western", "us"))
)
SLOTS = 8
"""Session actors that a node may have, unless said otherwise."""
MOVED_S = 60.0 * PATIENCE
BEAT_S = 3.0


@dataclass
class Town:
    """A deployment on some nodes of one cluster."""

    cluster: RayCluster
    operator: Operator
    added: list[Process]
    database: postgres.Server
    least: int
    """How many standbys its pool keeps at least."""
    words: tuple[str, ...]
    """What `up` was given beside an operator's own options."""
    ups: list[Process]
    """The gateways' commands that run."""
    origin: str = ""
    """Where browsers reach its gateways; its first one, where nothing is said."""

    def __post_init__(self) -> None:
        self.origin = self.origin or self.operator.gateway
        self.tokens = tokens_of((self.operator.folder / "secret").read_text())

    def end(self) -> None:
        """End the deployment as an operator does, calls or not; harmless when it has ended."""
        ups, self.ups = self.ups, []
        if ups:
            self.operator.down("--drop-live")
        for each in ups:
            assert each.end() == 0, "\n".join(each.lines)

    def nodes(self) -> list[dict[str, Any]]:
        """Every node as the ledger sees it."""
        return nodes_at(self.operator.gateway, self.tokens)

    def standbys(self) -> Counter[str]:
        """How many standbys there are, by label."""
        found: Counter[str] = Counter()
        for node in self.nodes():
            found[node["label"]] += node["standbys"]
        return found

    def holders(self) -> list[psutil.Process]:
        """The session actors that hold a session: those with a media port."""
        return list(set(media_ports(self.cluster.processes(SESSIONS)).values()))

    async def stand_by(self, *labels: str) -> None:
        """Wait until there is a standby under each of these labels."""

        def standing() -> bool:
            found = self.standbys()
            return all(found[label] for label in labels)

        await asyncio.to_thread(until, f"standbys under {labels}", standing)

    async def at_rest(self) -> None:
        """Wait until nobody holds a session, and the pool has what it keeps and no more."""

        def calm() -> bool:
            found = self.nodes()
            standbys = sum(node["standbys"] for node in found)
            return standbys >= self.least and not any(node["live"] for node in found)

        await asyncio.to_thread(until, "no session is held any more", lambda: not self.holders())
        await asyncio.to_thread(until, "no session is live, and the pool is full", calm)
        await self.all_known()

    async def all_known(self) -> None:
        """Wait until the ledger knows every session actor that there is.

        One whose pool was killed meanwhile ends by itself.
        """

        def known() -> bool:
            members: int = sum(node["members"] for node in self.nodes())
            return len(self.cluster.processes(SESSIONS)) == members

        what = "no process that the ledger does not know"
        await asyncio.to_thread(until, what, known, ORPHAN_S + WAIT_S)

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


def tokens_of(secret: str) -> Tokens:
    """The tokens of a deployment, by its secret."""
    return Tokens(secret.strip().encode(), time.time, secrets.token_bytes, resume_s=3_600)


def nodes_at(gateway: str, tokens: Tokens) -> list[dict[str, Any]]:
    """Every node as the ledger sees it, from a gateway at this address."""
    token = operator_token(tokens, "chaos", 600)
    found: list[dict[str, Any]] = told(gateway, "operator/nodes", token)["nodes"]
    return found


def told(gateway: str, path: str, token: str) -> dict[str, Any]:
    """Ask the server API, again while the ledger is away."""
    answers: list[httpx.Response] = []

    def answered() -> bool:
        answers.append(
            httpx.get(
                f"{gateway}/v1/{path}",
                headers={"Authorization": f"Bearer {token}"},
                trust_env=False,
                timeout=MOVED_S,
            )
        )
        return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

    until(f"an answer to {path}", answered)
    found: dict[str, Any] = answers[-1].raise_for_status().json()
    return found


@contextmanager
def open_town(
    folder: Path,
    *,
    labels: Sequence[str],
    standbys: int,
    slots: Sequence[int] = (),
    told: Mapping[str, str] | None = None,
    releases: Sequence[Path] = (),
    options: Sequence[str] = (),
    places: Sequence[Place] = (),
    memory: Sequence[int | None] = (),
    origin: str = "",
    other: Town | None = None,
) -> Iterator[Town]:
    """Start PostgreSQL, a Ray node for each label, and a deployment with one gateway on them.

    `slots` says how many session actors each node may have; `SLOTS`, where it is empty.
    `told` goes into the environment of Ray's nodes. `releases` is where the sources of each node
    lie, and of the first gateway those of the first; these, where it is empty. `options` are
    further ones of `up`. `places` is where each node is: all here, where it is empty. `memory` is
    what Ray gives away of each node's, as of `RayCluster`. `origin` is where browsers reach its
    gateways, if that is not the first of them. `other` is a town whose PostgreSQL and secret this
    one has, too, on a Ray of its own.
    """
    at = [*releases] or [ROOT] * len(labels)
    room = [*slots] or [SLOTS] * len(labels)
    where = [*places] or [HERE] * len(labels)
    given = [*memory] or [None] * len(labels)
    with (
        nullcontext(other.database) if other else closing(postgres.Server()) as database,
        RayCluster(
            label=labels[0],
            slots=room[0],
            many=True,
            told=told,
            release=at[0],
            place=where[0],
            memory=given[0],
        ) as cluster,
        Operator(folder, {**cluster.environment, "PYTHONPATH": str(at[0])}) as operator,
        ThreadPoolExecutor(1) as beside,
    ):
        started = beside.submit(database.start) if other is None else None
        (folder / "accounts.toml").write_text(ACCOUNTS)
        if other is not None:
            shutil.copyfile(other.operator.folder / "secret", folder / "secret")
        added = [
            cluster.add(label=label, slots=count, release=release, place=place, memory=bytes_)
            for label, count, release, place, bytes_ in zip(
                labels[1:], room[1:], at[1:], where[1:], given[1:], strict=True
            )
        ]
        if started is not None:
            started.result()
        words = (
            *("--address", cluster.address, "--database", f"{database.url}/postgres"),
            *("--standbys", str(standbys)),
            *(("--origin", origin) if origin else ()),
            *options,
        )
        up = operator.up(*words)
        up.wait_for('"gateway"')
        town = Town(cluster, operator, added, database, standbys, words, [up], origin)
        yield town
        town.end()


class Gateways:
    """Two gateways of one deployment, each with its command, behind one origin."""

    def __init__(self, town: Town, second: Operator) -> None:
        self._town = town
        self._operators = [town.operator, second]
        self._ups: list[Process] = [town.ups[0], self._begin(1)]

    @property
    def origins(self) -> list[str]:
        return [operator.gateway for operator in self._operators]

    def replace(self, index: int) -> None:
        """End a gateway in order and start it anew, as an upgrade does."""
        assert self._ups[index].interrupt() == 0
        self._again(index)

    def kill(self, index: int) -> None:
        """Kill a gateway, and start it anew."""
        self._ups[index].kill_alone()
        self._again(index)

    @property
    def pids(self) -> list[int]:
        """The processes that are gateways now."""
        return [up.pid for up in self._ups]

    def close(self) -> None:
        self._ups[1].interrupt()

    def _again(self, index: int) -> None:
        self._ups[index] = self._begin(index)
        if index == 0:
            self._town.ups[0] = self._ups[0]

    def _begin(self, index: int) -> Process:
        first = self._operators[0]
        up = self._operators[index].up(
            *self._town.words,
            *("--origin", first.gateway),
            *("--accounts", str(first.folder / "accounts.toml")),
            *("--secret-file", str(first.folder / "secret")),
        )
        up.wait_for('"gateway"')
        return up


class Reached(Protocol):
    """What people know of a deployment."""

    @property
    def origin(self) -> str: ...
    @property
    def tokens(self) -> Tokens: ...


class People:
    """An agent and a consumer of one engagement, by tokens of the deployment's secret."""

    def __init__(self, town: Reached, account_id: str = "eastern") -> None:
        self.account_id = account_id
        self.tokens = town.tokens
        self.origin = self.through = town.origin
        self.key = f"engagement-{uuid.uuid4()}"
        self.session_id = ""
        self._beats: list[asyncio.Task[None]] = []

    async def close(self) -> None:
        for beat in self._beats:
            beat.cancel()
        await asyncio.gather(*self._beats, return_exceptions=True)

    def beat(self, *widgets: Widget) -> None:
        """Let widgets say that they live, as their pages do."""
        self._beats += [asyncio.create_task(beating(widget)) for widget in widgets]

    async def agent(self) -> Widget:
        who = Principal(role=Role.AGENT, account_id=self.account_id, agent_id="7", name="Alex")
        widget = await Widget.dial(self.through, page=self.origin)
        await widget.request(
            "connection.hello",
            revision=1,
            token=self.tokens.mint(Audience.AGENT, who, 600),
            surface="agent_frame",
            engagement={"account_id": self.account_id, "rt_session_id": self.key, "agent_id": "7"},
        )
        return widget

    async def consumer(self) -> Widget:
        ids = {"account_id": self.account_id, "window_session_id": self.key}
        async with plain_http(self.through) as http:
            answer = await http.post("/v1/waiting", json={"engagement": ids})
            answer.raise_for_status()
        widget = await Widget.dial(self.through, page=self.origin)
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

    async def talking(self, *, through: str | None = None) -> tuple[Widget, Widget]:
        """Let the two meet, at another gateway than the first if one is given."""
        self.through = through or self.origin
        consumer, agent = await self.consumer(), await self.agent()
        self.beat(agent, consumer)
        self.session_id = (await ring(agent, consumer, Widget.insist))["session_id"]
        await accept(consumer)
        await agent.expect("roster.changed")
        return agent, consumer


async def beating(widget: Widget) -> None:
    """Say every few seconds that the widget lives, as its page does."""
    while widget.closed is None:
        await widget.tell("connection.ping")
        await asyncio.sleep(BEAT_S)


async def moved_to(widgets: tuple[Widget, Widget], epoch: int) -> None:
    """Wait until both have their snapshot of the tenure."""
    for widget in widgets:
        await widget.expect("session.snapshot", epoch=epoch, limit_s=MOVED_S)
