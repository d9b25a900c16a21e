"""`switchboard doctor`: look at this machine as a deployment would, and say what to do."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Literal

from gateway.commands import probe, ray_logs, ray_stranger
from gateway.commands.ray_environment import LOG_BYTES
from gateway.serve import bind
from gateway.settings import BadSettings

BUFFER_LIMITS = Path("/proc/sys/net/core")
BUFFER_BYTES = 2 * 1024 * 1024
"""What each relay asks for its media socket, either way."""
DESCRIPTORS = 65_536
DESCRIPTORS_LEAST = 4_096
OLDEST_PYTHON, OLDEST_RAY, NEWEST_RAY = (3, 11), (2, 60), (3, 0)
UDP_SAMPLES = 8
RAY_LOGS_BYTES = 2_000_000_000
"""As in the alert."""
SKEW_S = 1.0
_TIME_ERROR = 5
"""adjtimex(2): the kernel knows of no synchronisation."""


class Grade(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    grade: Grade
    found: str
    advice: str = ""
    """What to do; empty when there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the deployment will use, as it is given to `up`."""

    bind: str = "127.0.0.1"
    port: int = 8787
    media_bind: tuple[str, ...] = ("127.0.0.1",)
    media_ports: tuple[int, int] = (0, 1)
    database_url: str | None = None
    """With the path of its password file, never with the password."""
    address: str | None = None
    cluster_networks: tuple[str, ...] = ()
    """Networks in which Ray's ports may answer; nobody else must be able to send into them."""
    turn: tuple[str, ...] = ()


def examine(plan: Plan) -> list[Finding]:
    """Look at everything; never raises for what it finds."""
    return [
        check_python(sys.version_info[:2]),
        check_ray_version(metadata.version("ray")),
        check_gateway_port(plan.bind, plan.port),
        *check_media(plan.media_bind, plan.media_ports),
        check_buffers("receive", _read_number(BUFFER_LIMITS / "rmem_max")),
        check_buffers("send", _read_number(BUFFER_LIMITS / "wmem_max")),
        check_descriptors(resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        check_clock(clock_state()),
        check_database(plan.database_url),
        *check_ray(plan),
        *([] if plan.address is None else [check_same_versions(plan.address)]),
        *map(check_ray_logs, probe.ray_nodes()),
        *(check_turn(url) for url in plan.turn),
    ]


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed; warnings do not count."""
    return all(each.grade is not Grade.FAILURE for each in findings)


def check_python(version: tuple[int, ...]) -> Finding:
    shown = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return Finding("python", Grade.FAILURE, shown, "Install Python 3.11 or newer.")
    return Finding("python", Grade.OK, shown)


def check_ray_version(version: str) -> Finding:
    numbers = tuple(int(each) for each in version.split(".")[:2])
    if not OLDEST_RAY <= numbers < NEWEST_RAY:
        return Finding(
            "ray version", Grade.FAILURE, version, "Install Ray 2.60 or newer, below 3, everywhere."
        )
    return Finding("ray version", Grade.OK, version)


def check_gateway_port(host: str, port: int) -> Finding:
    name = f"gateway port {port}"
    try:
        bind(host, port).close()
    except BadSettings as error:
        why, cause = str(error), error.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            return Finding(
                name, Grade.WARNING, "in use", "Fine if it is this deployment's own gateway."
            )
        return Finding(name, Grade.FAILURE, "cannot be listened on", why)
    return Finding(name, Grade.OK, f"free on {host}")


def check_media(hosts: Iterable[str], ports: tuple[int, int]) -> Iterator[Finding]:
    """Send datagrams to a sample of the media ports, through this machine's own addresses."""
    first, end = ports
    step = max(1, (end - first) // UDP_SAMPLES)
    sample = sorted({*range(first, end, step), end - 1}) if first else [0]
    for host in hosts:
        name = f"media udp {host}"
        failed = {port: why for port in sample if (why := probe.carries_udp(host, port))}
        if failed:
            port, why = next(iter(failed.items()))
            yield Finding(
                name,
                Grade.FAILURE,
                f"{len(failed)} of {len(sample)} ports do not work; {port}: {why}",
                "Choose another --media-bind or --media-ports, or open them in this machine's "
                "firewall.",
            )
        else:
            tried = f"{len(sample)} ports of {first}-{end - 1}" if first else "a free port"
            yield Finding(
                name,
                Grade.OK,
                f"tried with {tried}: datagrams arrive here; whether the outside reaches them, "
                "a call from outside must show",
            )


def check_buffers(way: Literal["receive", "send"], most_bytes: int | None) -> Finding:
    """Whether the kernel grants what is asked: what does not fit when it comes is lost, and what
    does not when it goes out is dropped in bursts only."""
    name = f"{way} buffers"
    limit = "net.core.rmem_max" if way == "receive" else "net.core.wmem_max"
    if most_bytes is None:
        return Finding(
            name,
            Grade.WARNING,
            f"{limit} cannot be read",
            f"A container may not see it: run `sysctl {limit}` on the machine itself.",
        )
    if most_bytes < BUFFER_BYTES:
        return Finding(
            name,
            Grade.FAILURE if way == "receive" else Grade.WARNING,
            f"{limit} is {most_bytes} bytes",
            f"Run `sysctl -w {limit}={2 * BUFFER_BYTES}` and keep it in /etc/sysctl.d.",
        )
    return Finding(name, Grade.OK, f"{limit} is {most_bytes} bytes")


def check_descriptors(hard: int) -> Finding:
    name, shown = "open files", "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    if hard == resource.RLIM_INFINITY or hard >= DESCRIPTORS:
        return Finding(name, Grade.OK, shown)
    grade = Grade.FAILURE if hard < DESCRIPTORS_LEAST else Grade.WARNING
    advice = f"A widget needs two; set LimitNOFILE={DESCRIPTORS} or `ulimit -Hn {DESCRIPTORS}`."
    return Finding(name, grade, f"at most {shown}", advice)


def check_clock(state: int | None) -> Finding:
    if state is None:
        return Finding(
            "clock",
            Grade.WARNING,
            "the kernel does not say whether it is synchronised",
            "Run `timedatectl` on the machine itself, outside any container.",
        )
    if state == _TIME_ERROR:
        return Finding(
            "clock",
            Grade.WARNING,
            "not synchronised by the kernel's account",
            "Run chrony or systemd-timesyncd; tokens tolerate 60 s of difference, no more.",
        )
    return Finding("clock", Grade.OK, "synchronised")


def check_database(url: str | None) -> Finding:
    name = "database"
    if url is None:
        return Finding(name, Grade.OK, "SQLite in the data folder: one node only")
    # Ray's environment does not matter here: nothing is started or joined.
    from gateway.compose import entry as compose

    try:
        theirs_s, here_s = asyncio.run(compose.ask_database(url)), time.time()
    except Exception as error:
        # Whatever the driver raises, the operator wants one line; a URL is never repeated.
        return Finding(
            name,
            Grade.FAILURE,
            f"does not answer ({type(error).__name__})",
            "Check host, user, --database-passfile and the server's pg_hba.conf.",
        )
    if theirs_s is not None and abs(theirs_s - here_s) > SKEW_S:
        return Finding(
            name,
            Grade.WARNING,
            f"answers; its clock differs by {theirs_s - here_s:.1f} s",
            "Synchronise both clocks.",
        )
    return Finding(name, Grade.OK, "answers")


def check_ray(
    plan: Plan,
    ports: Callable[[], probe.RayPorts] = probe.ray_ports,
    addresses: Callable[[], list[str]] = probe.outer_addresses,
    reception: Callable[[str], ray_stranger.Reception] = ray_stranger.reception,
) -> Iterator[Finding]:
    """Whether Ray answers where it is expected, and nowhere where a stranger could ask it."""
    here = ports()
    # A gateway is in a process that has joined Ray, and strangers are to reach it.
    known = set(here.found) - {plan.port}
    if plan.address is not None:
        host, _, port = plan.address.rpartition(":")
        if not port.isdigit() or not probe.answers_tcp(host, int(port)):
            yield Finding(
                "ray", Grade.FAILURE, f"{plan.address} does not answer", "Start Ray's head node."
            )
        else:
            known.add(int(port))
            yield Finding("ray", Grade.OK, f"{plan.address} answers")
        yield check_ray_token(plan.address, reception)
    open_to = probe.exposed(sorted(known), addresses(), plan.cluster_networks)
    if open_to:
        address, number = open_to[0]
        yield Finding(
            "ray ports",
            Grade.FAILURE,
            f"{len(open_to)} answer beyond loopback, such as {number} on {address}",
            "Bind Ray to loopback, or to a network of its own and name that by "
            "--cluster-network; no port of Ray may be reached from elsewhere.",
        )
    elif here.unread:
        yield Finding(
            "ray ports",
            Grade.WARNING,
            f"{_closed(known)}; {here.unread} of Ray's processes are another user's and may have "
            "more",
            "Run this as root, or as the user whose Ray it is.",
        )
    else:
        yield Finding("ray ports", Grade.OK, _closed(known))


def _closed(ports: Sized) -> str:
    """Say that none of these ports of Ray answers to strangers."""
    return f"{len(ports)} found, none answers to strangers" if ports else "none found"


def check_same_versions(address: str) -> Finding:
    """Whether this machine has the Ray and the Python of the cluster, as each of its nodes must."""
    name = "ray and python of the cluster"
    # Ray's environment is read here as `up` reads it: the token is the operator's.
    from gateway.compose import entry as compose

    try:
        there = compose.versions_at(address)
    except Exception as error:
        return Finding(
            name,
            Grade.FAILURE,
            f"{address} does not say ({type(error).__name__})",
            "Check that Ray runs there and that RAY_AUTH_TOKEN_PATH holds its token.",
        )
    here = metadata.version("ray"), platform.python_version()
    shown = "Ray {} and Python {}".format(*there)
    if here != there:
        return Finding(
            name,
            Grade.FAILURE,
            f"{shown} there, Ray {here[0]} and Python {here[1]} here",
            "Install the cluster's versions on this machine: Ray takes no node of others.",
        )
    return Finding(name, Grade.OK, f"{shown}, as here")


def check_ray_token(address: str, reception: Callable[[str], ray_stranger.Reception]) -> Finding:
    """Whether this shell has a token, and whether the Ray there wants one."""
    name = "ray token"
    advice = (
        "Ray runs the code of whoever reaches it: set RAY_AUTH_MODE=token and "
        "RAY_AUTH_TOKEN_PATH on every node and here."
    )
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return Finding(name, Grade.FAILURE, "RAY_AUTH_MODE is not token", advice)
    match reception(address):
        case "refused":
            return Finding(name, Grade.OK, f"{address} refuses who comes without it")
        case "served":
            return Finding(name, Grade.FAILURE, f"{address} serves who comes without it", advice)
        case "unknown":
            return Finding(
                name,
                Grade.WARNING,
                "RAY_AUTH_MODE is token; whether Ray wants it could not be tried",
                "Start Ray's head node, and run this again.",
            )


def check_ray_logs(node: probe.RayNode) -> Finding:
    name, found = f"ray logs {node.logs}", list(ray_logs.logs(node.logs))
    size = sum(each.size for each in found)
    shown = f"{size / 1e6:.0f} MB in {len(found)} files"
    if not node.rotates:
        return Finding(
            name,
            Grade.WARNING,
            f"{shown}; what a worker writes is not rotated",
            f"Start Ray with RAY_ROTATION_MAX_BYTES={LOG_BYTES} RAY_ROTATION_BACKUP_COUNT=1.",
        )
    if size > RAY_LOGS_BYTES:
        return Finding(
            name,
            Grade.WARNING,
            shown,
            "Remove those of workers that have ended; deploy/systemd/switchboard-ray.tmpfiles.conf "
            "does so by itself.",
        )
    return Finding(name, Grade.OK, shown)


def check_turn(url: str) -> Finding:
    name = f"turn {url}"
    try:
        answers = probe.answers_turn(probe.TurnServer.parse(url))
    except ValueError as error:
        return Finding(name, Grade.FAILURE, str(error), "Write turn:HOST:PORT or turns:HOST:PORT.")
    if not answers:
        return Finding(
            name,
            Grade.FAILURE,
            "does not answer",
            "Start coturn and open its port to this machine.",
        )
    return Finding(name, Grade.OK, "answers (credentials not tried)")


def clock_state() -> int | None:
    """Ask the kernel for the state of its clock, adjtimex(2); `None` where it does not say."""
    try:
        # struct timex is below 256 bytes; with `modes` 0 the call only reads.
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return state if state >= 0 else None


def _read_number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
