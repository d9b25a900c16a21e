"""The commands of who operates a deployment: `up`, `down`, `drain`, `doctor`, `top`.

As in `gateway.commands.command`, nothing heavy is imported at the top.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands.command_options import DEMO_GATEWAY, AsJson

if TYPE_CHECKING:
    from broker.messages.cluster.nodes import NodeState
    from gateway.commands.doctor import Finding

FAILED = 1
BAD_SETTING = 2

DataDir = Annotated[
    Path | None,
    typer.Option(help="Where the run file lies, and the database if SQLite.", show_default=False),
]
Address = Annotated[
    str | None,
    typer.Option(
        envvar="SWITCHBOARD_RAY_ADDRESS",
        help="An existing Ray, host:port, of which this machine is a node.",
        show_default=False,
    ),
]
Ports = Annotated[
    str | None,
    typer.Option(
        metavar="FIRST-LAST", help="UDP ports for media, one per live session.", show_default=False
    ),
]
MediaBind = Annotated[
    list[str] | None,
    typer.Option(help="Local address for media; may be repeated.", show_default=False),
]
Turn = Annotated[
    list[str] | None,
    typer.Option(help="URL of a TURN server; may be repeated.", show_default=False),
]
Database = Annotated[
    str | None,
    typer.Option(
        envvar="SWITCHBOARD_DATABASE",
        metavar="URL",
        help="postgresql://USER@HOST/NAME, without a password; default: SQLite.",
        show_default=False,
    ),
]
PassFile = Annotated[
    Path | None,
    typer.Option(
        envvar="SWITCHBOARD_DATABASE_PASSFILE",
        help="The database's password, in a file of .pgpass form.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (up, down, nodes, drain, undrain, doctor, top):
        app.command()(command)


def up(
    origin: Annotated[str, typer.Option(help="Where browsers reach it: https://HOST[:PORT].")],
    accounts: Annotated[
        Path, typer.Option(help="The accounts file; gateway/accounts.example.toml explains it.")
    ],
    secret_file: Annotated[
        Path, typer.Option(help="A file only you can read, of 32 bytes or more.")
    ],
    bind: Annotated[str, typer.Option(help="Address the gateway listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port the gateway listens on.")] = 8787,
    address: Address = None,
    database: Database = None,
    database_passfile: PassFile = None,
    data_dir: DataDir = None,
    standbys: Annotated[int, typer.Option(help="Session actors kept ready.")] = 4,
    reserve: Annotated[
        int,
        typer.Option(help="Session actors kept beside those for the death of the fullest node."),
    ] = 16,
    ledger_shards: Annotated[
        int, typer.Option(help="Ledgers that the accounts are divided among; PostgreSQL only.")
    ] = 1,
    reuse: Annotated[
        int,
        typer.Option(help="Further sessions of one account in one process; 0: a process each."),
    ] = 20,
    vacate_below: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Let nodes run empty, for an autoscaler, while the others would be filled to at "
            "most this share of their slots; 0: never.",
        ),
    ] = 0.0,
    media_bind: MediaBind = None,
    advertise: Annotated[
        list[str] | None,
        typer.Option(
            help="Address told to browsers instead of the bound one; may be repeated.",
            show_default=False,
        ),
    ] = None,
    media_ports: Ports = None,
    certificate: Annotated[
        Path | None, typer.Option(help="TLS certificate chain, PEM.", show_default=False)
    ] = None,
    certificate_key: Annotated[
        Path | None, typer.Option(help="Its key, PEM.", show_default=False)
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of a proxy whose X-Forwarded-For is believed; may be repeated.",
            show_default=False,
        ),
    ] = None,
    metrics_network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR",
            help="A network that is shown /metrics beside private addresses; may be repeated.",
            show_default=False,
        ),
    ] = None,
    turn: Turn = None,
    turn_secret_file: Annotated[
        Path | None, typer.Option(help="coturn's static-auth-secret.", show_default=False)
    ] = None,
    relay_only: Annotated[bool, typer.Option(help="Widgets use TURN only.")] = False,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A session policy value, such as invitation_ms=20000; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens.")] = False,
) -> None:
    """Run ledger, pool and one gateway until Ctrl-C."""
    from gateway.commands.command import policy_value
    from gateway.commands.deployment import Deployment, read_ports, require_token

    with one_sentence():
        deployment = Deployment(
            origin=origin,
            accounts_file=accounts,
            secret_file=secret_file,
            bind=bind,
            port=port,
            address=address,
            database=database,
            database_passfile=database_passfile,
            data_dir=data_dir,
            standbys=standbys,
            reserve=reserve,
            ledger_shards=ledger_shards,
            reuse=reuse,
            vacate_below=vacate_below,
            media_bind=tuple(media_bind or ()),
            advertise=tuple(advertise or ()),
            media_ports=read_ports(media_ports),
            certificate=certificate,
            certificate_key=certificate_key,
            trusted_proxies=tuple(trusted_proxy or ()),
            metrics_networks=tuple(metrics_network or ()),
            turn=tuple(turn or ()),
            turn_secret_file=turn_secret_file,
            relay_only=relay_only,
            policy=tuple(policy_value(each) for each in policy or ()),
        )
        from gateway.commands import logs, ray_environment

        logs.configure(verbose=verbose)
        if address is not None:
            require_token(address)
        # Ray reads its environment when it is imported, so what imports it comes afterwards.
        own = ray_environment.private_folder() if address is None else nullcontext(Path())
        with own as folder:
            from gateway.commands.up import run_up

            status = run_up(deployment, folder, as_json=as_json)
    raise typer.Exit(status)


def down(
    address: Address = None,
    data_dir: DataDir = None,
    drop_live: Annotated[
        bool, typer.Option("--drop-live", help="Also while sessions are live.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """End this machine's gateway, and on an existing Ray every actor of the deployment."""
    from gateway.commands.deployment import default_data_dir

    with one_sentence():
        from gateway.commands.down import run_down

        data = data_dir or default_data_dir()
        ended = run_down(data, address, drop_live=drop_live)
    if as_json:
        typer.echo(json.dumps({"gateway": ended.gateway, "actors": ended.actors}))
        return
    gateway = "The gateway was ended" if ended.gateway else f"No gateway runs in {data}"
    typer.echo(f"{gateway}; {ended.actors} actors were ended.")
    if ended.address is not None:
        typer.echo("Gateways that run elsewhere are not ready any more: end each where it runs.")


def nodes(address: Address = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the nodes of an existing Ray, and how many sessions each has."""
    from gateway.commands.deployment import default_data_dir

    with one_sentence():
        from gateway.commands.drain import run_nodes

        found = run_nodes(data_dir or default_data_dir(), address)
    if as_json:
        listed = [{"address": at, "slots": slots, **asdict_of(it)} for at, slots, it in found]
        typer.echo(json.dumps(listed))
        return
    print_nodes(found)


def drain(
    node: Annotated[str, typer.Argument(help="A node's address, host name or id.")],
    deadline: Annotated[
        str, typer.Option(help="How long sessions are moved away, such as 60s or 10m.")
    ] = "60s",
    address: Address = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Move a node's sessions to others, and give it no new ones until `undrain`.

    Nobody is cut off: what is left at the deadline stays. Fails if anything is left.
    """
    from gateway.commands.deployment import default_data_dir

    with one_sentence():
        from gateway.commands.drain import read_seconds, run_drain

        state = run_drain(
            data_dir or default_data_dir(),
            address,
            node,
            read_seconds(deadline),
            show=not as_json,
        )
    if as_json:
        typer.echo(json.dumps(asdict_of(state)))
    else:
        typer.echo(f"{state.moved} sessions were moved away; {left_on(state)}.")
        typer.echo(f"`switchboard undrain {node}` lets it have sessions again.")
    raise typer.Exit(0 if state.drain == "drained" else FAILED)


def undrain(
    node: Annotated[str, typer.Argument(help="A node's address, host name or id.")],
    address: Address = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a node have sessions again; ends a drain that is at work."""
    from gateway.commands.deployment import default_data_dir

    with one_sentence():
        from gateway.commands.drain import run_undrain

        name = run_undrain(data_dir or default_data_dir(), address, node)
    typer.echo(json.dumps({"node": name}) if as_json else f"{name} may have sessions again.")


def doctor(
    bind: Annotated[str, typer.Option(help="Address the gateway listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port the gateway listens on.")] = 8787,
    address: Address = None,
    cluster_network: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR",
            help="A network of the cluster alone, in which Ray may answer; may be repeated.",
            show_default=False,
        ),
    ] = None,
    database: Database = None,
    database_passfile: PassFile = None,
    media_bind: MediaBind = None,
    media_ports: Ports = None,
    turn: Turn = None,
    as_json: AsJson = False,
) -> None:
    """Check this machine for a deployment, and say what to do. Fails if a check fails."""
    from gateway.commands.deployment import check_networks, join_passfile, read_ports

    with one_sentence():
        from gateway.commands.doctor import Plan, examine, healthy

        plan = Plan(
            bind=bind,
            port=port,
            media_bind=tuple(media_bind or ("127.0.0.1",)),
            media_ports=read_ports(media_ports),
            database_url=None if database is None else join_passfile(database, database_passfile),
            address=address,
            cluster_networks=check_networks(cluster_network or ()),
            turn=tuple(turn or ()),
        )
        findings = examine(plan)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in findings], indent=2))
    else:
        print_findings(findings)
    raise typer.Exit(0 if healthy(findings) else FAILED)


def top(
    gateway: Annotated[
        list[str] | None,
        typer.Option(envvar="SWITCHBOARD_GATEWAY", help="Address of a gateway; may be repeated."),
    ] = None,
    period_s: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Show gateways, sessions and standbys until Ctrl-C; with --json, or into a pipe, once."""
    with one_sentence():
        from gateway.commands.tables import table_console
        from gateway.commands.top import look_at_all, run_top, table_of

        gateways = gateway or [DEMO_GATEWAY]
        console = table_console()
        if console.is_terminal and not as_json:
            run_top(gateways, period_s, console)
            return
        rows = look_at_all(gateways)
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in rows], indent=2))
    else:
        console.print(table_of(rows))
    raise typer.Exit(0 if all(each.up for each in rows) else FAILED)


def left_on(state: NodeState) -> str:
    """Say what keeps a node from being drained."""
    if state.drain == "drained":
        return f"nothing is left on {state.node}"
    left = [f"{state.live} sessions are left on {state.node}"]
    if state.unheld:
        left.append(f"{state.unheld} may be, whose actors have no link to the ledger")
    elif not state.live:
        left = [f"{state.members} session actors without a session are left on {state.node}"]
    return ", and ".join(left)


def asdict_of(state: NodeState) -> dict[str, object]:
    """A node's state for JSON."""
    return state.model_dump()


def print_nodes(found: Sequence[tuple[str, int, NodeState]]) -> None:
    """Print nodes as a table; `slots` is how many session actors one may have, none on a head."""
    from rich.table import Table

    from gateway.commands.tables import table_console

    # So close that a node whose address is as long as any fits into 80 columns.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("node", "address", "label", "drain"):
        table.add_column(name)
    for name in ("sessions", "standbys", "reusable", "slots"):
        table.add_column(name, justify="right")
    for at, slots, state in found:
        counts = (str(each) for each in (state.live, state.standbys, state.reusable, slots))
        table.add_row(state.node, at, state.label, state.drain, *counts)
    table_console().print(table)


def print_findings(findings: Sequence[Finding]) -> None:
    """Print what was found as a table."""
    from rich.markup import escape
    from rich.table import Table

    from gateway.commands.tables import table_console

    colour = {"ok": "green", "warning": "yellow", "failure": "red"}
    table = Table("check", "", "found", "what to do")
    for each in findings:
        grade = f"[{colour[each.grade]}]{each.grade}[/]"
        table.add_row(escape(each.name), grade, escape(each.found), escape(each.advice))
    table_console().print(table)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn what an operator can act on into one sentence and an exit status."""
    from gateway.commands.command import fail
    from gateway.settings import BadSettings

    try:
        yield
    except BadSettings as error:
        fail(str(error), BAD_SETTING)
    except TimeoutError as error:
        fail(str(error) or "Ray did not answer in time; is the machine short of memory or CPU?")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
