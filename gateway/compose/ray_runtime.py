"""The Ray itself: one of our own, or one that is there and is joined."""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.util
from ray._common.usage.usage_lib import get_cluster_metadata
from ray._raylet import GcsClient  # type: ignore[attr-defined]
from ray.exceptions import RayError

from gateway.commands.probe import answers_tcp
from gateway.compose.node import NAME_DIGITS
from gateway.compose.options import LABEL, MEDIA_SLOT, NAMESPACE, SESSION_MEMORY
from gateway.settings import BadSettings

JOIN_S = 20.0
"""How long a Ray may not answer at all; its head may be starting. Ray's own bound is minutes, told
in lines of its own."""
LOOK_AGAIN_S = 0.5
LEAVE_S = 5.0
"""How long Ray may take over a leaving; it takes some 0.1 s."""
NOWHERE = "/"
"""Ray lets every worker import from the folder in which it is joined, before all others: a node
would run what lies there, whoever put it there, instead of its own release."""


def join_ray(address: str) -> Path:
    """Connect to an existing Ray, of which this machine must be a node; return its logs' folder.

    Raises:
        BadSettings: it cannot be joined, in one sentence.
    """
    if not _answers(address):
        raise BadSettings(
            f"Nothing has answered at {address} for {JOIN_S:.0f} seconds; is that the address of "
            "the Ray, and does its head run?"
        )
    try:
        with chdir(NOWHERE):
            context = ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (OSError, RuntimeError, ValueError, ConnectionError, RayError) as error:
        first = str(error).strip().splitlines()[0]
        raise BadSettings(f"The Ray at {address} cannot be joined: {first}") from error
    return _logs_of(context)


def _answers(address: str) -> bool:
    """Whether a Ray may be there, waited for; what is no `host:port` is Ray's to judge."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return True
    until = time.monotonic() + JOIN_S
    while not answers_tcp(host.strip("[]"), int(port)):
        if time.monotonic() >= until:
            return False
        time.sleep(LOOK_AGAIN_S)
    return True


@dataclass(frozen=True, slots=True)
class RayNode:
    """A node of the Ray that this process has joined."""

    name: str
    """What the ledger calls it: the first 12 digits of Ray's node id."""
    node_id: str
    address: str
    hostname: str
    label: str
    """The value of the node's Ray label `switchboard`; empty without one."""
    media_slots: int
    """How many session actors it may have."""


def list_nodes() -> list[RayNode]:
    """Name the nodes that are alive."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [
        RayNode(
            name=str(node["NodeID"])[:NAME_DIGITS],
            node_id=str(node["NodeID"]),
            address=str(node["NodeManagerAddress"]),
            hostname=str(node["NodeManagerHostname"]),
            label=str(node.get("Labels", {}).get(LABEL, "")),
            media_slots=slots_of(node["Resources"]),
        )
        for node in nodes
        if node["Alive"]
    ]


def slots_of(resources: Mapping[str, float]) -> int:
    """Count the session actors that a node of Ray may have, by its slots and by its memory.

    Ray would keep a start waiting that the memory has no room for. What else is there takes of it,
    too; a start that hangs for that is tried elsewhere.
    """
    slots = resources.get(MEDIA_SLOT, 0.0)
    memory = resources.get("memory", math.inf)
    return int(min(slots, memory / SESSION_MEMORY))


def versions_at(address: str) -> tuple[str, str]:
    """Ask a Ray, without joining it, of which Ray and which Python it is.

    Those of its head are those of each node: a node of others ends as it starts, saying so.

    Raises:
        Exception: it does not answer, or not to this token.
    """
    told = get_cluster_metadata(GcsClient(address=address))
    return str(told["ray_version"]), str(told["python_version"])


def find_actors() -> list[str]:
    """Name the deployment's actors on the Ray that this process has joined."""
    named: list[Any] = ray.util.list_named_actors(all_namespaces=True)
    return sorted(each["name"] for each in named if each["namespace"] == NAMESPACE)


def count_nodes() -> int:
    """How many nodes of the Ray that this process has joined are alive."""
    return len(list_nodes())


def private_ray(folder: Path, media_slots: int) -> Path:
    """Start a Ray of our own on loopback, apart from any other here; return its logs' folder.

    `folder` is that of `ray_environment.private_folder`, entered before Ray was imported.

    Raises:
        BadSettings: Ray did not start, in one sentence.
    """
    try:
        with chdir(NOWHERE):
            context = ray.init(
                address="local",
                namespace=NAMESPACE,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                num_cpus=max(2, os.cpu_count() or 2),
                resources={MEDIA_SLOT: float(media_slots)},
                object_store_memory=80 * 1024 * 1024,
                _temp_dir=str(folder),
                _node_ip_address="127.0.0.1",
            )
    except Exception as error:
        # Ray raises plain `Exception` when its processes do not come up within 30 s.
        ray.shutdown()
        first = " ".join(str(error).split(". ", 1)[0].split()).rstrip(".")
        raise BadSettings(
            f"Ray did not start ({first}); if this machine is short of memory or very busy, free "
            "some and start again."
        ) from error
    return _logs_of(context)


def _logs_of(context: Any) -> Path:
    return Path(context.address_info["session_dir"]) / "logs"


def stop_ray() -> None:
    """End the private Ray and every process it started; harmless when there is none."""
    ray.shutdown()


@contextmanager
def joined_ray(address: str) -> Iterator[None]:
    """Join an existing Ray for as long as a command works with it.

    Ray tells whoever has joined of a lost node on their standard output, where programs read the
    command's answer. Meanwhile what is printed goes to standard error.

    Raises:
        BadSettings: it cannot be joined, in one sentence.
    """
    with redirect_stdout(sys.stderr):
        join_ray(address)
        try:
            yield
        finally:
            leave_ray()


def leave_ray() -> None:
    """Leave a Ray that was joined; harmless when there is none.

    While its GCS is away Ray waits for that for ever. It is left waiting then, and this process has
    to end as `gateway.commands.command` ends it: by that the node learns of it.
    """
    leaving = threading.Thread(target=ray.shutdown, name="leaving-ray", daemon=True)
    leaving.start()
    leaving.join(LEAVE_S)
