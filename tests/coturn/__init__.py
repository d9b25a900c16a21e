"""Debian's coturn, its shipped configuration as it is; what tests need is in files beside it."""

from __future__ import annotations

import asyncio
import runpy
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.commands import probe
from tests.ledger.certificates import make_certificate
from tests.patience import until
from tests.ports import free_port

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "deploy" / "coturn"
ON_LOOPBACK = HERE / "on-loopback.conf"
LOOPBACK_PEERS = HERE / "loopback-peers.conf"
RELAY_IPV6 = HERE / "relay-ipv6.conf"


def program() -> str:
    found = shutil.which("turnserver")
    assert found is not None, "install Debian's coturn"
    return found


@dataclass(frozen=True, slots=True)
class Configuration:
    """One file for `turnserver -c`, with what had to be chosen for it."""

    path: Path
    port: int
    tls_port: int
    certificate: Path
    """Of `localhost`."""


def written(
    folder: Path, secret: str, *, nodes: Sequence[str] = (), beside: Sequence[Path] = ()
) -> Configuration:
    """Write a configuration as docs/operations.md does, file behind file.

    `nodes` are the media nodes, `beside` further files of tests. Those are read before the shipped
    one: coturn takes the first external address, and of others that are given twice the last.
    """
    certificate, key = make_certificate(folder, "localhost")
    made = Configuration(folder / "turnserver.conf", free_port(), free_port(), certificate)
    own = {
        "listening-port": made.port,
        "tls-listening-port": made.tls_port,
        "cert": certificate,
        "pkey": key,
        "pidfile": folder / "pid",
        "userdb": folder / "db",
    }
    parts = [
        *(path.read_text() for path in (ON_LOOPBACK, *beside)),
        (SHIPPED / "turnserver.conf").read_text(),
        *(f"{line}\n" for line in runpy.run_path(str(SHIPPED / "allow.py"))["allowed"](nodes)),
        f"static-auth-secret={secret}\n",
        *(f"{name}={value}\n" for name, value in own.items()),
    ]
    made.path.write_text("".join(parts))
    return made


@asynccontextmanager
async def coturn(
    folder: Path, secret: str, *, nodes: Sequence[str] = (), beside: Sequence[Path] = ()
) -> AsyncIterator[Configuration]:
    """Run it, and end it."""
    made = written(folder, secret, nodes=nodes, beside=beside)
    process = await asyncio.create_subprocess_exec(
        program(),
        "-c",
        str(made.path),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        for port in (made.port, made.tls_port):
            await until(partial(probe.answers_tcp, "127.0.0.1", port), "coturn", every=0.05)
        yield made
    finally:
        process.terminate()
        await process.wait()
