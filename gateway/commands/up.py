"""`switchboard up`: ledger, pool and one gateway, in the foreground.

On a private Ray everything ends with the command. On an existing Ray the actors are detached:
the command's end, in whatever way, ends this gateway only, and `switchboard down` ends the rest.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import secrets
import socket
import ssl
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import uvloop
from fastapi import FastAPI
from rich.console import Console

from broker.keys import KeyPurpose
from broker.messages.cluster.members import LinkHello
from gateway.accounts import with_policy
from gateway.accounts_file import BadAccounts, load_accounts
from gateway.app import create_app
from gateway.commands import running
from gateway.commands.deployment import Deployment
from gateway.commands.ray_logs import RayLogs
from gateway.commands.starting import hear_signals, start
from gateway.compose import entry as compose
from gateway.compose.options import NODE
from gateway.level import Level
from gateway.links.ledger_client import LedgerClient
from gateway.links.shards import Shards
from gateway.measured import MeasuredCollector
from gateway.proofs.key_rotation import KeyRotation
from gateway.secret_file import read_secret
from gateway.serve import EdgeServer, bind
from gateway.settings import BadSettings, Settings
from gateway.tasks import cancel
from gateway.tracing import traces_of

_LOG = logging.getLogger(__name__)
MEDIA_SLOTS = 512
LOOPBACK = "127.0.0.1"


class Edge(EdgeServer):
    """The gateway's server, with TLS of its own when the deployment has a certificate."""

    def __init__(
        self, app: FastAPI, sockets: Sequence[socket.socket], deployment: Deployment, stop_s: float
    ) -> None:
        super().__init__(
            app, sockets, trusted_proxies=deployment.trusted_proxies, stop_bound_s=stop_s
        )
        if deployment.certificate is not None and deployment.certificate_key is not None:
            config = self._server.config
            config.ssl_certfile = str(deployment.certificate)
            config.ssl_keyfile = str(deployment.certificate_key)


def run_up(deployment: Deployment, ray_folder: Path, *, as_json: bool) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status.

    `ray_folder` is that of `ray_environment.private_folder`; unused on an existing Ray.

    Raises:
        BadSettings: it cannot start, in one sentence with what to do.
        TimeoutError: Ray did not start ledger and pool in time.
    """
    settings = gateway_settings(deployment)
    check_certificate(deployment)
    running.prepare(deployment.data)
    raise_descriptors()
    listening = bind(deployment.bind, deployment.port)
    console = Console(stderr=True)
    try:
        if deployment.address is None:
            with console.status("Starting a private Ray …"):
                log_folder = compose.private_ray(ray_folder, MEDIA_SLOTS)
        else:
            with console.status(f"Joining the Ray at {deployment.address} …"):
                log_folder = compose.join_ray(deployment.address)
            refuse_many_nodes(deployment)
        serving = _serve(deployment, settings, listening, log_folder, console, as_json)
        return uvloop.run(serving)
    finally:
        listening.close()
        running.remove(deployment.data)
        if deployment.address is None:
            compose.stop_ray()
        else:
            compose.leave_ray()


def gateway_settings(deployment: Deployment) -> Settings:
    """What this deployment's gateway is told.

    Raises:
        BadSettings: the accounts or the secret cannot be used.
    """
    try:
        accounts = with_policy(load_accounts(deployment.accounts_file), dict(deployment.policy))
        secret = read_secret(deployment.secret_file)
        compose.webhook_endpoints(accounts)
        for account in accounts.values():
            if account.liveperson is not None:
                read_secret(account.liveperson.client_secret_file, least=1)
    except (BadAccounts, OSError, ValueError) as error:
        raise BadSettings(str(error)) from error
    return Settings(
        origin=deployment.origin,
        secret=secret,
        accounts=accounts,
        gateway_id=secrets.token_urlsafe(9),
        allowed_origins=tuple(
            dict.fromkeys(each for one in accounts.values() for each in one.allowed_origins)
        ),
        trusted_proxies=deployment.trusted_proxies,
        metrics_networks=deployment.metrics_networks,
    )


def cluster_settings(deployment: Deployment) -> compose.ClusterSettings:
    """What this deployment's actors are told: paths and addresses, never a secret."""
    alone = deployment.address is None
    turn_secret = deployment.turn_secret_file
    return compose.ClusterSettings(
        secret_file=str(deployment.secret_file.resolve()),
        accounts_file=str(deployment.accounts_file.resolve()),
        database_url=deployment.database_url,
        public_url=deployment.origin,
        standbys=deployment.standbys,
        reserve=deployment.reserve,
        reuse=deployment.reuse,
        vacate_below=deployment.vacate_below,
        ledger_shards=deployment.ledger_shards,
        bind=deployment.media_bind or ((LOOPBACK,) if alone else (NODE,)),
        advertise=deployment.advertise,
        media_ports=deployment.media_ports,
        policy=deployment.policy,
        inside=LOOPBACK if alone else NODE,
        ice_servers=deployment.turn,
        turn_secret_file=None if turn_secret is None else str(turn_secret.resolve()),
        relay_only=deployment.relay_only,
    )


def check_certificate(deployment: Deployment) -> None:
    """Load certificate and key once, to fail before anything starts.

    Raises:
        BadSettings: they do not fit together, or are no PEM.
    """
    if deployment.certificate is None or deployment.certificate_key is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(deployment.certificate, deployment.certificate_key)
    except (OSError, ssl.SSLError) as error:
        raise BadSettings(
            f"{deployment.certificate} and {deployment.certificate_key} are no certificate and "
            "its key in PEM form."
        ) from error


def refuse_many_nodes(deployment: Deployment) -> None:
    """Refuse SQLite where a second node could not reach its file.

    Raises:
        BadSettings: SQLite, and more than one node.
    """
    nodes = compose.count_nodes()
    if deployment.is_sqlite and nodes > 1:
        raise BadSettings(
            f"This Ray has {nodes} nodes and SQLite serves one; give --database "
            "postgresql://USER@HOST/NAME with --database-passfile."
        )


def raise_descriptors() -> None:
    """Take all descriptors the hard limit grants: a widget needs two, its socket and its trunk."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(
    deployment: Deployment,
    settings: Settings,
    listening: socket.socket,
    log_folder: Path,
    console: Console,
    as_json: bool,
) -> int:
    stop = hear_signals()
    cluster = await start(cluster_settings(deployment), stop, console)
    if cluster is None:
        return 0
    traces = traces_of("gateway")
    hello = LinkHello(
        kind="gateway",
        member_id=settings.gateway_id,
        node=compose.node_name(),
        shards=deployment.ledger_shards,
    )
    key = cluster.settings.key(KeyPurpose.TRUNK)
    ledgers = [
        LedgerClient(resolve, key, hello, limits=settings.limits, traces=traces)
        for resolve in cluster.resolvers
    ]
    directory: LedgerClient | Shards = ledgers[0] if len(ledgers) == 1 else Shards(ledgers)
    app = create_app(settings, directory, traces=traces)
    room = app.state.switchroom
    directory.listen(room)
    level = Level(cluster.level, lambda: room.ready, lambda: all(each.ready for each in ledgers))
    level.install(room.metrics.registry)
    measured = MeasuredCollector(directory, room.metrics.registry)
    # On an existing Ray the workers may be out of sight, each in a container of its own.
    logs = RayLogs(log_folder, room.metrics.registry, tidies=deployment.address is None)
    keys = KeyRotation(deployment.accounts_file, app.state.api_keys)
    edge = Edge(app, [listening], deployment, settings.limits.stop_bound_s)
    async with AsyncExitStack() as stack:
        if traces is not None:
            stack.push_async_callback(asyncio.to_thread, traces.close)
        parts = (directory, level, measured, logs, keys, edge)
        tasks = [asyncio.create_task(each.run()) for each in parts]
        for task in tasks:
            stack.push_async_callback(cancel, task)
        async with asyncio.timeout(compose.ACTOR_START_S):
            await edge.started.wait()
        _announce(deployment, listening, console, as_json)
        failed = await stopped(stop, tasks)
        with console.status("Stopping …"):
            await edge.stop()
    if deployment.address is None:
        await compose.stop_cluster()
    # As whatever fails, so that a supervisor starts it again.
    return 1 if failed else 0


def _announce(
    deployment: Deployment, listening: socket.socket, console: Console, as_json: bool
) -> None:
    scheme = "http" if deployment.certificate is None else "https"
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    at = f"{scheme}://{shown}:{port}"
    run = running.write(
        deployment.data, gateway=at, origin=deployment.origin, address=deployment.address
    )
    if as_json:
        print(json.dumps({"gateway": at, "origin": run.origin, "pid": run.pid}), flush=True)
        return
    console.print(f"\n  Switchboard serves [bold]{deployment.origin}[/bold], listening at {at}\n")
    end = (
        "everything" if deployment.address is None else "this gateway; `switchboard down` the rest"
    )
    console.print(f"  Ctrl-C ends {end}.\n", style="dim")


async def stopped(stop: asyncio.Event, parts: Iterable[asyncio.Task[None]]) -> bool:
    """Wait for the word to stop; say whether a part ended by itself before: the gateway failed."""
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({told, *parts}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        told.cancel()
    failed = not stop.is_set()
    if failed:
        _LOG.error("a part of the gateway ended; the gateway ends")
    return failed
