"""Short questions to sockets: does a port answer, does a datagram arrive, is TURN there."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

TIMEOUT_S = 1.0
MAGIC_COOKIE = 0x2112A442
_BINDING = 0x0001
_BINDING_SUCCESS = 0x0101
_RAY_TITLES = ("gcs_server", "raylet", "ray::", "ray-dashboard")
"""What Ray's processes call themselves: workers and agents forget the command that began them."""
_RAY_MODULES = ("/ray/dashboard/", "/ray/_private/", "/ray/autoscaler/", "ray.util.client.server")
_RAY_LIBRARY = "/ray/_raylet.so"
"""What every process has loaded that has joined a Ray, whatever it calls itself."""


@dataclass(frozen=True, slots=True)
class TurnServer:
    """One `turn:`, `turns:` or `stun:` URL (RFC 7065, RFC 7064)."""

    host: str
    port: int
    udp: bool

    @classmethod
    def parse(cls, url: str) -> TurnServer:
        """Read a URL. Raises ValueError when it is none."""
        scheme, _, rest = url.partition(":")
        place, _, query = rest.partition("?")
        if scheme not in ("turn", "turns", "stun", "stuns") or not place:
            raise ValueError(f"{url!r} is no TURN URL")
        secure = scheme.endswith("s")
        host, _, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
        if not host:
            host, port = place, ""
        number = int(port) if port else (5349 if secure else 3478)
        return cls(host.strip("[]"), number, not secure and "transport=tcp" not in query)


def answers_tcp(host: str, port: int, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether something accepts a TCP connection there."""
    try:
        with socket.create_connection((host, port), timeout_s):
            return True
    except OSError:
        return False


def answers_turn(server: TurnServer, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether a STUN binding request is answered there (RFC 8489); over TCP, whether it connects.

    Credentials are not tried.
    """
    if not server.udp:
        return answers_tcp(server.host, server.port, timeout_s)
    transaction = secrets.token_bytes(12)
    request = struct.pack("!HHI", _BINDING, 0, MAGIC_COOKIE) + transaction
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as asking:
            asking.settimeout(timeout_s)
            # Twice, because one datagram may be lost.
            for _ in range(2):
                asking.sendto(request, address)
                with suppress(TimeoutError):
                    answer = asking.recv(1500)
                    head = struct.pack("!H", _BINDING_SUCCESS)
                    return answer[:2] == head and answer[8:20] == transaction
    except OSError:
        return False
    return False


def carries_udp(host: str, port: int, timeout_s: float = TIMEOUT_S) -> str | None:
    """Bind a UDP port and send a datagram to it; `None` when it arrives, otherwise why not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    token = secrets.token_bytes(8)
    try:
        with (
            socket.socket(family, socket.SOCK_DGRAM) as listening,
            socket.socket(family, socket.SOCK_DGRAM) as asking,
        ):
            listening.settimeout(timeout_s)
            listening.bind((host, port))
            asking.sendto(token, (host, listening.getsockname()[1]))
            received = listening.recv(64)
    except TimeoutError:
        return "a datagram sent to it did not arrive"
    except OSError as error:
        return error.strerror or str(error)
    return None if received == token else "another datagram arrived"


@dataclass(frozen=True, slots=True)
class RayPorts:
    """Where the Ray of this machine listens."""

    found: frozenset[int]
    """TCP ports, also those of our own in a process that has joined it."""
    unread: int = 0
    """Its processes that only their own user may ask."""


def ray_ports(processes: Iterable[psutil.Process] | None = None) -> RayPorts:
    """Find the TCP ports that Ray's processes listen on, and those of whoever has joined it.

    Of another user's processes those are known that say in their title whose they are.
    """
    found: set[int] = set()
    unread = 0
    for process in psutil.process_iter() if processes is None else processes:
        with suppress(psutil.NoSuchProcess):
            if not _is_ray(process):
                continue
            try:
                connections = process.net_connections("tcp")
            except psutil.AccessDenied:
                unread += 1
                continue
            found |= {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return RayPorts(frozenset(found), unread)


def _is_ray(process: psutil.Process) -> bool:
    with suppress(psutil.AccessDenied):
        words = " ".join(process.cmdline())
        if words.startswith(_RAY_TITLES) or any(each in words for each in _RAY_MODULES):
            return True
    with suppress(psutil.AccessDenied):
        if process.name().startswith(_RAY_TITLES):
            return True
    with suppress(OSError):
        maps = Path("/proc", str(process.pid), "maps").read_text(errors="replace")
        return _RAY_LIBRARY in maps
    return False


@dataclass(frozen=True, slots=True)
class RayNode:
    """A Ray node of this machine."""

    logs: Path
    rotates: bool
    """Whether what its workers write is rotated."""


def ray_nodes() -> list[RayNode]:
    """The Ray nodes of this machine whose environment may be read."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "raylet":
                logs = [x for x in process.cmdline() if x.startswith("--log_dir=")]
                limit = process.environ().get("RAY_ROTATION_MAX_BYTES", "")
                rotates = limit.isdigit() and int(limit) > 0
                found += [RayNode(Path(each.partition("=")[2]), rotates) for each in logs]
    return found


def outer_addresses() -> list[str]:
    """This machine's addresses that others might reach."""
    found: list[str] = []
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family in (socket.AF_INET, socket.AF_INET6):
                address = ipaddress.ip_address(each.address.partition("%")[0])
                if not address.is_loopback and not address.is_link_local:
                    found.append(str(address))
    return found


def exposed(
    ports: Iterable[int], addresses: Iterable[str], networks: Iterable[str]
) -> list[tuple[str, int]]:
    """Which of these ports answer on which address outside the given networks."""
    inside = [ipaddress.ip_network(each, strict=False) for each in networks]
    listed = list(ports)
    return [
        (address, port)
        for address in addresses
        if not any(ipaddress.ip_address(address) in network for network in inside)
        for port in listed
        if answers_tcp(address, port, 0.5)
    ]
