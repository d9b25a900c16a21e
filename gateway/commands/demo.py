"""The demo: everything in one foreground command, on loopback, with its own private Ray."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
from rich.console import Console

from broker.keys import KeyPurpose
from broker.messages.cluster.members import LinkHello
from gateway.accounts import Account, hash_key, with_policy
from gateway.accounts_file import BadAccounts, load_accounts
from gateway.app import create_app
from gateway.commands.demo_hosts import NOTE, create_demo_hosts, origins_of
from gateway.commands.starting import hear_signals, start
from gateway.compose import entry as compose
from gateway.level import Level
from gateway.links.ledger_client import LedgerClient
from gateway.measured import MeasuredCollector
from gateway.secret_file import read_secret
from gateway.serve import EdgeServer, bind, gateway_server
from gateway.settings import BadSettings, DemoHost, DemoSettings, Limits, Settings
from gateway.tasks import cancel
from gateway.tracing import traces_of

_LOG = logging.getLogger(__name__)
ACCOUNT = "demo"
ACCOUNTS_FILE = "accounts.toml"
MEDIA_SLOTS = 128
DEMO_LIMITS = Limits(
    requests_per_minute=60_000,
    request_burst=10_000,
    guest_tries_per_minute=60,
    guest_try_burst=60,
    engagement_tries_per_minute=60_000,
    engagement_try_burst=10_000,
    connections_by_claim_from_one=20_000,
)
"""On loopback all callers have one address, which is not to be held back as one."""


def run_demo(demo: DemoSettings, ray_folder: Path) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status. Leaves no process or socket.

    `ray_folder` is that of `ray_environment.private_folder`.

    Raises:
        BadSettings: it cannot start, in one sentence with what to do.
    """
    console = Console(stderr=True)
    gateway_socket = bind(demo.bind, demo.gateway_port)
    host_socket = bind(demo.bind, demo.host_port)
    data = demo.data_dir or default_data_dir()
    prepare_data(data)
    try:
        with console.status("Starting a private Ray …"):
            compose.private_ray(ray_folder, MEDIA_SLOTS)
        gateway_at = f"http://{demo.bind}:{gateway_socket.getsockname()[1]}"
        host_at = f"http://{demo.bind}:{host_socket.getsockname()[1]}"
        settings = Settings(
            origin=gateway_at,
            secret=read_secret(data / "secret"),
            accounts=with_policy(demo_accounts(data, host_at, demo), dict(demo.policy)),
            gateway_id=secrets.token_urlsafe(9),
            allowed_hosts=(gateway_at.split("://")[1],),
            agent_sdk=f"{host_at}/simulator/agent-sdk.js",
            window_sdk=f"{host_at}/simulator/widget-sdk.js",
            demo=DemoHost(origin=host_at, account_id=ACCOUNT),
            limits=DEMO_LIMITS,
        )
        cluster = compose.ClusterSettings(
            secret_file=str(data / "secret"),
            database_url=f"sqlite:///{data / 'ledger.sqlite3'}",
            public_url=gateway_at,
            standbys=demo.standbys,
            accounts_file=str(data / ACCOUNTS_FILE),
            demo=True,
            bind=(demo.bind,),
            policy=demo.policy,
        )
        servers = [gateway_socket, host_socket]
        return uvloop.run(_serve(settings, cluster, servers, console, host_at, data, demo.pages))
    finally:
        gateway_socket.close()
        host_socket.close()
        compose.stop_ray()


def default_data_dir() -> Path:
    """Where the demo keeps its records between runs."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "switchboard" / "demo"


def prepare_data(data: Path) -> None:
    """Create the data folder, with a new secret and API key if it has none."""
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, content in (
            ("secret", secrets.token_hex(32)),
            ("webhook-secret", secrets.token_hex(32)),
            ("api-key", f"swk_demo_{secrets.token_urlsafe(32)}"),
        ):
            path = data / name
            if not path.exists():
                path.touch(mode=0o600)
                path.write_text(content)
    except OSError as error:
        raise BadSettings(f"{data} cannot be written ({error.strerror}).") from error


def demo_accounts(data: Path, host_at: str, demo: DemoSettings) -> Mapping[str, Account]:
    """Write the demo's accounts file and read it: one account, whose pages frame the widgets.

    Its API key and the secret of its webhooks lie in the data folder.

    Raises:
        BadSettings: a webhook's URL is none.
    """
    api_key = (data / "api-key").read_text().strip()
    lines = [
        f"[accounts.{ACCOUNT}]",
        'agent_login = "demo"',
        f"frame_ancestors = {json.dumps([*origins_of(host_at), *demo.pages])}",
        # A name that nobody has: what the API says of pictures can be tried.
        'picture_hosts = ["pictures.example"]',
        f"[[accounts.{ACCOUNT}.api_keys]]",
        'key_id = "demo"',
        f'hash = "{hash_key(api_key)}"',
    ]
    for number, url in enumerate(demo.webhooks, start=1):
        lines += [
            f"[[accounts.{ACCOUNT}.webhooks]]",
            f'endpoint_id = "demo-{number}"',
            f"url = {json.dumps(url)}",
            'secret_file = "webhook-secret"',
        ]
    path = data / ACCOUNTS_FILE
    path.write_text("\n".join(lines) + "\n")
    try:
        return load_accounts(path, demo=True)
    except BadAccounts as error:
        raise BadSettings(str(error)) from error


def announce(
    console: Console, host_at: str, gateway_at: str, data: Path, pages: Sequence[str]
) -> None:
    """Say where the demo is and what to do there, and what a page of one's own needs."""
    console.print(f"\n  Switchboard demo: [bold]{host_at}/[/bold]")
    console.print("  Open it and press Start video: the shop beside it rings.\n")
    if pages:
        ids = "data-account-id='demo' data-conversation-id='42'"
        console.print(f"  The tag for a page at {', '.join(pages)}, and its agent in another tab:")
        for line in (
            f"<script async src='{gateway_at}/launcher.js' {ids}></script>",
            f"{gateway_at}/agent?accountId=demo&rtSessionId=42&agentId=7",
        ):
            # Whole, to be copied.
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
        console.print()
    console.print(f"  {NOTE}", style="dim")
    console.print(f"  Records are kept in {data}. Ctrl-C stops everything.\n", style="dim")


async def _serve(
    settings: Settings,
    cluster: compose.ClusterSettings,
    sockets: list[socket.socket],
    console: Console,
    host_at: str,
    data: Path,
    pages: Sequence[str],
) -> int:
    stop = hear_signals()
    running = await start(cluster, stop, console)
    if running is None:
        return 0
    traces = traces_of("gateway")
    directory = LedgerClient(
        running.resolvers[0],
        cluster.key(KeyPurpose.TRUNK),
        LinkHello(kind="gateway", member_id=settings.gateway_id, node="local"),
        traces=traces,
    )
    app = create_app(settings, directory, traces=traces)
    room = app.state.switchroom
    directory.listen(room)
    level = Level(running.level, lambda: room.ready, lambda: directory.ready)
    level.install(room.metrics.registry)
    measured = MeasuredCollector(directory, room.metrics.registry)
    gateway = gateway_server(settings, app, [sockets[0]])
    hosts = EdgeServer(create_demo_hosts(settings), [sockets[1]])
    async with AsyncExitStack() as stack:
        if traces is not None:
            stack.push_async_callback(asyncio.to_thread, traces.close)
        for work in (directory.run(), level.run(), measured.run(), gateway.run(), hosts.run()):
            task = asyncio.create_task(work)
            stack.push_async_callback(cancel, task)
        async with asyncio.timeout(compose.ACTOR_START_S):
            await asyncio.gather(gateway.started.wait(), hosts.started.wait())
        announce(console, host_at, settings.origin, data, pages)
        await stop.wait()
        with console.status("Stopping …"):
            await hosts.stop()
            await gateway.stop()
    await compose.stop_cluster()
    return 0
