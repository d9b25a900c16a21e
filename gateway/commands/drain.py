"""`switchboard nodes`, `drain` and `undrain`: nodes of an existing Ray, taken out and put back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeState, NodeUndrain
from gateway.commands import running
from gateway.settings import Away, BadSettings

if TYPE_CHECKING:
    from gateway.compose.ray_runtime import RayNode

LOOK_S = 0.3
GRACE_S = 15.0
"""How long beyond the deadline the last actors may take to go."""
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_seconds(text: str) -> float:
    """Read a duration such as `90`, `60s`, `10m` or `1h`.

    Raises:
        BadSettings: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if match is None:
        raise BadSettings(f"{text} is no duration; write 60s, 10m or 1h.")
    return float(match[1]) * _UNITS[match[2]]


def find_node(nodes: list[RayNode], wanted: str) -> str:
    """Say which node an operator means by an address, a host name or the beginning of an id.

    Raises:
        BadSettings: none, or more than one.
    """
    found = [
        node.name
        for node in nodes
        if wanted in (node.address, node.hostname, node.name) or node.node_id == wanted
    ]
    if not found and len(wanted) >= 4:
        found = [node.name for node in nodes if node.node_id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadSettings(f"{wanted} means {len(found)} nodes; give an id: {', '.join(found)}.")
    raise BadSettings(f"No node of this Ray is called {wanted}; see `switchboard nodes`.")


def run_nodes(data: Path, address: str | None) -> list[tuple[str, int, NodeState]]:
    """List each node's address, how many session actors it may have, and its state.

    Raises:
        BadSettings: there is no such Ray, or no deployment on it.
    """
    with _joined(data, address) as compose:
        stands = {state.node: state for state in asyncio.run(_list(compose)).nodes}
        return [
            (
                node.address,
                node.media_slots,
                stands.get(node.name) or NodeState(node=node.name, label=node.label),
            )
            for node in compose.list_nodes()
        ]


def run_drain(
    data: Path, address: str | None, wanted: str, deadline_s: float, *, show: bool
) -> NodeState:
    """Drain a node and wait for the end; returns how it stands then.

    Interrupted, the drain goes on to its deadline.

    Raises:
        BadSettings: no such node, or no deployment.
    """
    with _joined(data, address) as compose:
        name = find_node(compose.list_nodes(), wanted)
        return asyncio.run(_drain(compose, name, deadline_s, show=show))


def run_undrain(data: Path, address: str | None, wanted: str) -> str:
    """End a node's drain; returns the node's name.

    Raises:
        BadSettings: no such node, or no deployment.
    """
    with _joined(data, address) as compose:
        name = find_node(compose.list_nodes(), wanted)

        async def end(ledger: Any) -> None:
            await ledger.undrain.remote(NodeUndrain(node=name))

        asyncio.run(compose.ask_ledgers(end))
        return name


async def _begin(compose: ModuleType, name: str, deadline_s: float) -> NodeState:
    """Have every ledger begin. One that is being replaced is asked again until the deadline: a
    node that is stopped with another, which had the ledger, is to be emptied all the same.

    Raises:
        BadSettings: a ledger refuses, or none came back.
    """
    loop = asyncio.get_running_loop()
    begun_at = loop.time()

    async def begin(ledger: Any) -> NodeState:
        left_s = max(0.0, round(deadline_s - (loop.time() - begun_at), 3))
        ask = NodeDrain(node=name, deadline_s=left_s, known=True)
        state: NodeState = await ledger.drain.remote(ask)
        return state

    while True:
        try:
            begun: list[NodeState] = await compose.ask_ledgers(begin)
            return reduce(NodeState.with_other, begun)
        except Away:
            if loop.time() - begun_at >= deadline_s:
                raise
            await asyncio.sleep(LOOK_S)


async def _drain(compose: ModuleType, name: str, deadline_s: float, *, show: bool) -> NodeState:
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + deadline_s + GRACE_S
    state = await _begin(compose, name, deadline_s)
    before = state.moved
    progress = Progress(
        TextColumn("draining {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not show,
    )
    with progress:
        bar = progress.add_task(name, total=state.live or None)
        while state.drain == "moving" and loop.time() < give_up_at:
            await asyncio.sleep(LOOK_S)
            try:
                found = await _list(compose)
            except Away:
                continue  # The ledger is being replaced; the next one goes on with the drain.
            state = next((each for each in found.nodes if each.node == name), state)
            moved = state.moved - before
            progress.update(bar, completed=moved, total=max(moved + state.live, 1))
    return state


async def _list(compose: ModuleType) -> NodeList:
    """How the nodes stand, by what all ledgers know."""

    async def ask(ledger: Any) -> NodeList:
        found: NodeList = await ledger.nodes.remote()
        return found

    return NodeList.of_all(await compose.ask_ledgers(ask))


@contextmanager
def _joined(data: Path, address: str | None) -> Iterator[ModuleType]:
    """Join the Ray that `up` runs on, and leave it."""
    run = running.read(data)
    address = address or (run.address if run is not None else None)
    if address is None:
        raise BadSettings(
            "Give --address of the Ray; a private one has a single node, and nowhere to move to."
        )
    from gateway.compose import entry as compose

    with compose.joined_ray(address):
        yield compose
