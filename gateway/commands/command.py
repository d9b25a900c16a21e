"""The `switchboard` command.

Only typer is imported at the top: `--help` must not wait for Ray, FastAPI or cryptography.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gateway.commands import operation, upkeep_command
from gateway.commands.command_options import DEMO_GATEWAY, Gateway, KeyFile

if TYPE_CHECKING:
    import httpx

OLDEST_PYTHON = (3, 11)
NOTHING_THERE = 1
BAD_SETTING = 2
ANSWER_S = 10.0
"""How long a gateway may take to answer a command."""

app = typer.Typer(
    help="Switchboard: video sessions between agents, consumers and guests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def demo(
    gateway_port: Annotated[int, typer.Option(help="Port of the gateway.")] = 8787,
    host_port: Annotated[int, typer.Option(help="Port of the demo page.")] = 8788,
    bind: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    data_dir: Annotated[
        Path | None, typer.Option(help="Where records are kept.", show_default=False)
    ] = None,
    standbys: Annotated[int, typer.Option(help="Session actors kept ready.")] = 2,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            metavar="NAME=VALUE",
            help="A session policy value, such as invitation_ms=20000; may be repeated.",
            show_default=False,
        ),
    ] = None,
    webhook: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="Gets every event, signed; may be repeated.", show_default=False
        ),
    ] = None,
    page: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="May frame the widgets, as http://localhost:3000; may be repeated.",
            show_default=False,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log what happens.")] = False,
) -> None:
    """Run everything on this machine and print one address to open."""
    from gateway.settings import BadSettings, DemoSettings

    try:
        settings = DemoSettings(
            gateway_port=gateway_port,
            host_port=host_port,
            bind=bind,
            data_dir=data_dir,
            standbys=standbys,
            webhooks=tuple(webhook or ()),
            pages=tuple(page or ()),
            verbose=verbose,
            policy=tuple(policy_value(each) for each in policy or ()),
        )
        from gateway.commands import logs
        from gateway.commands.ray_environment import private_folder

        logs.configure(verbose=verbose)
        # Ray reads its environment when it is imported, so what imports it comes afterwards.
        with private_folder() as folder:
            from gateway.commands.demo import run_demo

            status = run_demo(settings, folder)
    except BadSettings as error:
        fail(str(error), BAD_SETTING)
    except TimeoutError:
        fail("Ray did not start the actors in time; is the machine short of memory or CPU?")
    except KeyboardInterrupt:
        status = 130
    raise typer.Exit(status)


@app.command()
def status(
    gateway: Gateway = DEMO_GATEWAY,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether a gateway takes widgets, and what it waits for if it does not."""
    with http(gateway) as client:
        answer = json_of(client.get("/readyz"), "ready", "ledger", "stopping")
        metrics = client.get("/metrics")
    # Shown to who asks the gateway itself, from inside.
    shown = metrics.is_success
    connections = int(metric(metrics.text, "switchboard_gateway_connections")) if shown else None
    if as_json:
        typer.echo(json.dumps({**answer, "connections": connections}))
        raise typer.Exit(0 if answer["ready"] else NOTHING_THERE)
    typer.echo(f"ready        {yes(answer['ready'])}")
    typer.echo(f"ledger       {yes(answer['ledger'])}")
    # A gateway of the release before says nothing of it.
    typer.echo(f"pool         {yes(answer['pool']) if 'pool' in answer else 'not said'}")
    typer.echo(f"stopping     {yes(answer['stopping'])}")
    typer.echo(f"connections  {connections if shown else 'not shown to who asks from here'}")
    raise typer.Exit(0 if answer["ready"] else NOTHING_THERE)


@app.command()
def sessions(
    session_id: Annotated[
        str | None, typer.Argument(help="Show one session with all its events.")
    ] = None,
    gateway: Gateway = DEMO_GATEWAY,
    api_key_file: KeyFile = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many to list.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List recorded sessions, newest first, or show one."""
    from gateway.commands.session_print import print_session, print_sessions

    with http(gateway, require_key(api_key_file)) as client:
        if session_id is not None:
            place = f"/v1/sessions/{session_id}"
            record = body_of(client.get(place), "session_id")
            while (after := record.pop("cursor", None)) is not None:
                query = {"after": after, "limit": 200}
                page = body_of(client.get(f"{place}/events", params=query), "events")
                record["events"] += page["events"]
                record["cursor"] = page.get("cursor")
            if as_json:
                typer.echo(json.dumps(record, indent=2))
            else:
                print_session(record)
            return
        records = body_of(client.get("/v1/sessions", params={"limit": limit}), "sessions")[
            "sessions"
        ]
    if as_json:
        typer.echo(json.dumps(records, indent=2))
        return
    print_sessions(records)


@app.command()
def openapi() -> None:
    """Print the OpenAPI description of the REST API."""
    from gateway.commands.openapi import describe

    typer.echo(json.dumps(describe(), indent=2, sort_keys=True))


@app.command("api-key")
def api_key(
    account: Annotated[str, typer.Argument(help="The account the key is for.")],
    key_id: Annotated[str, typer.Option(help="Letters and digits that name the key.")],
) -> None:
    """Make an API key: the key once, and the lines for the accounts file."""
    import secrets

    from gateway.accounts import KEY_ID, hash_key

    key = f"swk_{key_id}_{secrets.token_urlsafe(32)}"
    if not re.fullmatch(KEY_ID, key_id):
        fail("A key id has letters and digits only, at most 32.", BAD_SETTING)
    typer.echo(f"The key, shown only now: {key}\n")
    typer.echo(f"[[accounts.{account}.api_keys]]")
    typer.echo(f'key_id = "{key_id}"')
    typer.echo(f'hash = "{hash_key(key)}"')


@app.command("operator-token")
def operator_token(
    secret_file: Annotated[Path, typer.Option(help="The deployment's secret file.")],
    name: Annotated[str, typer.Option(help="Who will use it; it stands in the token.")],
    hours: Annotated[float, typer.Option(min=0.01, max=24, help="How long it holds.")] = 8.0,
) -> None:
    """Mint a token for /v1/operator. Whoever can read the secret can."""
    import jwt

    token = minted(secret_file, name, round(hours * 3_600))
    token_id = jwt.decode(token, options={"verify_signature": False})["jti"]
    typer.echo(f"Gateways log what is done by it under its id, {token_id}.", err=True)
    typer.echo(token)


@app.command("operator-revoke")
def operator_revoke(
    secret_file: Annotated[Path, typer.Option(help="The deployment's secret file.")],
    name: Annotated[str, typer.Option(help="Whose tokens hold no more, as they were minted.")],
    gateway: Gateway = DEMO_GATEWAY,
) -> None:
    """End every token that was minted for an operator until now, at every gateway."""
    with http(gateway, minted(secret_file, "operator-revoke", 60)) as client:
        done = body_of(client.post("/v1/operator/revocations", json={"name": name}), "everywhere")
    if not done["everywhere"]:
        typer.echo("The ledger is away: the other gateways learn it when it is back.", err=True)


def minted(secret_file: Path, name: str, life_s: int) -> str:
    """Mint an operator's token by the deployment's secret."""
    import secrets
    import time

    from gateway.proofs.operators import operator_token as mint
    from gateway.proofs.tokens import Tokens
    from gateway.secret_file import read_secret

    try:
        secret = read_secret(secret_file)
        tokens = Tokens(secret, time.time, secrets.token_bytes, resume_s=0)
        return mint(tokens, name, life_s)
    except (OSError, ValueError) as error:
        fail(str(error), BAD_SETTING)


operation.register(app)
upkeep_command.register(app)


def main() -> None:
    """Entry point."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit("Switchboard needs Python 3.11 or newer; run it with a newer interpreter.")
    try:
        app()
    except SystemExit as end:
        if "ray" in sys.modules:
            leave_with_ray(end)
        raise


def leave_with_ray(end: SystemExit) -> NoReturn:
    """End a process that had Ray in it, without what an interpreter does at its end.

    Ray's library has threads that go on until the process is gone, while what they use is destroyed
    beneath them. A command whose work was done died at its end by SIGSEGV, most likely of that.
    Everything of ours is closed by then.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))


def fail(sentence: str, status: int = NOTHING_THERE) -> NoReturn:
    """Say what went wrong in one sentence, and exit."""
    typer.echo(sentence, err=True)
    raise typer.Exit(status)


def policy_value(text: str) -> tuple[str, object]:
    """Read NAME=VALUE, the value as JSON."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        fail(f"--policy {text} is not NAME=VALUE with a number, true or false.", BAD_SETTING)


def require_key(file: Path | None) -> str:
    """Return the API key to use: that of a file, of the environment, or the demo's.

    It is no argument: those are shown by `ps` to everybody on the machine, and kept by shells.
    """
    if file is not None:
        from gateway.secret_file import read_secret

        try:
            return read_secret(file).decode()
        except (OSError, ValueError) as error:
            fail(str(error), BAD_SETTING)
    key = os.environ.get("SWITCHBOARD_API_KEY") or demo_key()
    if key is None:
        fail("No API key: give --api-key-file or set SWITCHBOARD_API_KEY.", BAD_SETTING)
    return key


def http(gateway: str, key: str | None = None, *, timeout_s: float | None = None) -> httpx.Client:
    """Open a client; what goes wrong on the way becomes one sentence."""
    import httpx

    from gateway.commands.asking import Asking, names_another

    class Client(Asking):
        def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
            try:
                return super().send(request, **options)
            except httpx.HTTPError as error:
                if names_another(error):
                    fail(
                        f"The certificate of what answers at {gateway} does not hold for it; give "
                        "the address that it names by --gateway."
                    )
                if isinstance(error, httpx.ReadTimeout):
                    fail(
                        f"What listens at {gateway} does not answer; a gateway that is starting "
                        "waits for Ray, ledger and pool."
                    )
                fail(
                    f"No gateway answers at {gateway}; start one (`switchboard demo`) or give "
                    "--gateway."
                )

    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    try:
        return Client(gateway, headers, timeout_s=timeout_s or ANSWER_S)
    except httpx.InvalidURL:
        fail(f"{gateway!r} is no address of a gateway; write https://HOST[:PORT].", BAD_SETTING)


def body_of(response: httpx.Response, *names: str) -> Any:
    """Return the JSON of an answer, with these names in it; a problem becomes one sentence."""
    if response.is_error:
        fail(str(json_of(response).get("detail", "The gateway refused.")))
    return json_of(response, *names)


def json_of(response: httpx.Response, *names: str) -> dict[str, Any]:
    """Return what a gateway says, with these names in it; what is none becomes one sentence."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or response.is_redirect or not body.keys() >= set(names):
        fail(f"What answers at {response.url} is no gateway; give its address by --gateway.")
    return body


def demo_key() -> str | None:
    """Return the demo's API key, if a demo has run here."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    try:
        return Path(base, "switchboard", "demo", "api-key").read_text().strip()
    except OSError:
        return None


def metric(text: str, name: str) -> float:
    """Read one sample from Prometheus' text format."""
    for line in text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    return 0.0


def yes(value: object) -> str:
    """Write a truth for people."""
    return "yes" if value else "no"
