"""Ports: free ones, for programs that must be told where to listen, and those of media."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_BEYOND_RAY = 20_000
"""Ray's workers take theirs from 10,002 on."""
_claims: list[socket.socket] = []


def free_port() -> int:
    """A port, TCP and UDP, that is free and given to nobody else: not by this process again, and
    not by another, such as a second worker's, while this one runs.

    Nor by the kernel to whoever asks for any: it is outside the range that those come from.
    """
    return next(_ports)


def _outside() -> range:
    """The ports that the kernel gives to nobody by itself."""
    lowest, highest = map(int, _RANGE.read_text().split())
    found = max(range(_BEYOND_RAY, lowest), range(highest + 1, 2**16), key=len)
    assert found, f"the kernel picks from every port: narrow {_RANGE}"
    return found


def _free() -> Iterator[int]:
    for port in _outside():
        # A name that only one process can have, and that is gone with it.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0switchboard-tests-port-{port}")
            with (
                socket.create_server(("0.0.0.0", port)),
                socket.socket(type=socket.SOCK_DGRAM) as udp,
            ):
                udp.bind(("0.0.0.0", port))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        yield port
    raise AssertionError("no port is free")


_ports = _free()


def media_ports(processes: Iterable[psutil.Process]) -> dict[int, psutil.Process]:
    """The UDP ports of session actors, each with its process: whoever has one holds a session.

    Also in a network namespace of their own, of whose sockets psutil says nothing.
    """
    return {port: process for process in processes for port in _udp_ports(process.pid)}


def _udp_ports(pid: int) -> set[int]:
    place, ports = Path("/proc", str(pid)), set[int]()
    with suppress(OSError):  # It may go meanwhile.
        own = set[str]()
        for each in (place / "fd").iterdir():
            with suppress(FileNotFoundError):
                own.add(os.readlink(each))
        for table in ("udp", "udp6"):
            for line in (place / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if f"socket:[{fields[9]}]" in own:
                    ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports
