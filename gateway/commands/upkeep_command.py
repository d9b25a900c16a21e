"""The commands about what is kept: `records` and `webhooks`.

As in `gateway.commands.command`, nothing heavy is imported at the top.
"""

from __future__ import annotations

import json
import sys
import time
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.commands.command_options import DEMO_GATEWAY, AsJson, Gateway, KeyFile

if TYPE_CHECKING:
    import httpx

TRIES = 20
"""Of one erasure, while a gateway, or a proxy before it, holds us back or cannot say what came of
it."""
UNHEARD = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)
"""Answers that leave open what was done. Who is erased may be erased again."""
LONGEST_PAUSE_S = 60.0

records = typer.Typer(help="Export call records, forget people.", no_args_is_help=True)
webhooks = typer.Typer(
    help="See what a webhook would not take, send it again.", no_args_is_help=True
)


class ExportFormat(StrEnum):
    """How records are written."""

    JSON_LINES = "jsonl"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(records, name="records")
    app.add_typer(webhooks, name="webhooks")


@records.command("export")
def export(
    gateway: Gateway = DEMO_GATEWAY,
    api_key_file: KeyFile = None,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="JSON Lines or CSV.")
    ] = ExportFormat.JSON_LINES,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many at most; absent: all.", show_default=False)
    ] = None,
) -> None:
    """Write call records to standard output, newest first."""
    from gateway.commands.command import body_of, http, require_key

    left = sys.maxsize if limit is None else limit
    query: dict[str, str | int] = {"format": str(form)}
    first = True
    with http(gateway, require_key(api_key_file)) as client:
        while left > 0:
            query["limit"] = min(200, left)
            answer = client.get("/v1/records", params=query)
            if answer.is_error:
                body_of(answer)
            lines = answer.text.splitlines(keepends=True)
            head = form is ExportFormat.CSV
            typer.echo("".join(lines if first or not head else lines[1:]), nl=False)
            left -= len(lines) - head
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return
            query["cursor"] = str(answer.url.join(following).params["cursor"])
            first = False


@records.command("erase")
def erase(
    gateway: Gateway = DEMO_GATEWAY,
    api_key_file: KeyFile = None,
    visitor_id: Annotated[str | None, typer.Option(show_default=False)] = None,
    agent_id: Annotated[str | None, typer.Option(show_default=False)] = None,
    session_id: Annotated[str | None, typer.Option(show_default=False)] = None,
    participant_id: Annotated[str | None, typer.Option(show_default=False)] = None,
    again: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Erase once more whom `records erased` listed: after a backup came back.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Forget one person. Names and ids go, the time line stays."""
    from gateway.commands.command import BAD_SETTING, body_of, fail, http, require_key

    person = {
        "visitor_id": visitor_id,
        "agent_id": agent_id,
        "session_id": session_id,
        "participant_id": participant_id,
    }
    wanted: list[dict[str, Any]] = [{key: value for key, value in person.items() if value}]
    if again is not None:
        if wanted[0]:
            fail("Give a person or --again, not both.", BAD_SETTING)
        try:
            wanted = [
                {"session_id": each["session_id"], "participant_id": each["participant_id"]}
                for each in map(json.loads, again.read_text().splitlines())
            ]
        except (ValueError, KeyError, TypeError):
            fail(f"{again} is not what `switchboard records erased` prints.", BAD_SETTING)
    count = 0
    with http(gateway, require_key(api_key_file), timeout_s=40.0) as client:
        for number, body in enumerate(wanted):
            answer = erasure(client, body)
            if answer.is_error and again is not None:
                done = f"{number} of the {len(wanted)} listed were erased"
                typer.echo(f"{done}; the same command may be given again.", err=True)
            count += len(body_of(answer, "erased")["erased"])
    typer.echo(f"{count} participants were erased.")


def erasure(client: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    """Ask for one erasure; who is held back or hears nothing asks again, so often at most.

    One agent may have thousands of sessions, and each stands in the list.
    """
    for _ in range(TRIES - 1):
        answer = client.post("/v1/erasures", json=body)
        if answer.status_code in UNHEARD:
            typer.echo("The gateway did not say what came of it; it is asked again.", err=True)
        elif answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            return answer
        time.sleep(pause_s(answer.headers.get("Retry-After", ""), time.time()))
    return client.post("/v1/erasures", json=body)


def pause_s(retry_after: str, now: float) -> float:
    """Return how long to wait: seconds or a date (RFC 9110, 10.2.3), `LONGEST_PAUSE_S` at most.

    `now` is Unix time in seconds. What is neither counts as a second.
    """
    from email.utils import parsedate_to_datetime

    try:
        if retry_after.isdecimal():
            wait_s = float(retry_after)
        else:
            wait_s = parsedate_to_datetime(retry_after).timestamp() - now
    except ValueError:
        wait_s = 1.0
    return min(max(wait_s, 0.0), LONGEST_PAUSE_S)


@records.command("erased")
def erased(
    gateway: Gateway = DEMO_GATEWAY,
    api_key_file: KeyFile = None,
    since_ms: Annotated[int, typer.Option(min=0, help="Only those since then.")] = 0,
) -> None:
    """List who was erased, as JSON Lines of opaque ids. Keep it apart from backups."""
    from gateway.commands.command import body_of, http, require_key

    query: dict[str, str | int] = {"since_ms": since_ms}
    with http(gateway, require_key(api_key_file)) as client:
        while True:
            found = body_of(client.get("/v1/erasures", params=query), "erased")
            for each in found["erased"]:
                typer.echo(json.dumps(each))
            if found.get("cursor") is None:
                return
            query["cursor"] = found["cursor"]


@webhooks.command("dead")
def dead(
    gateway: Gateway = DEMO_GATEWAY,
    api_key_file: KeyFile = None,
    endpoint_id: Annotated[str | None, typer.Option(show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters: events an endpoint would not take within a day."""
    from rich.table import Table

    from gateway.commands.command import body_of, http, require_key
    from gateway.commands.session_print import shown
    from gateway.commands.tables import table_console

    query: dict[str, str | int] = {"limit": limit}
    if endpoint_id is not None:
        query["endpoint_id"] = endpoint_id
    with http(gateway, require_key(api_key_file)) as client:
        answer = body_of(client.get("/v1/webhooks/dead-letters", params=query), "dead_letters")
    letters = answer["dead_letters"]
    if as_json:
        typer.echo(json.dumps(letters, indent=2))
        return
    table = Table("endpoint", "session", "seq", "event", "why")
    for each in letters:
        names = ("endpoint_id", "session_id", "seq", "type", "why")
        table.add_row(*(shown(each[name]) for name in names))
    table_console().print(table if letters else "There is no dead letter.")


@webhooks.command("redeliver")
def redeliver(
    endpoint_id: Annotated[str, typer.Argument(help="The endpoint whose letters to send.")],
    session_id: Annotated[
        str | None, typer.Argument(help="Only this session's.", show_default=False)
    ] = None,
    seq: Annotated[
        int | None, typer.Argument(min=1, help="Only this event.", show_default=False)
    ] = None,
    gateway: Gateway = DEMO_GATEWAY,
    api_key_file: KeyFile = None,
) -> None:
    """Send dead letters of an endpoint once more."""
    from gateway.commands.command import body_of, http, require_key

    given = {"endpoint_id": endpoint_id, "session_id": session_id, "seq": seq}
    body = {key: value for key, value in given.items() if value is not None}
    with http(gateway, require_key(api_key_file)) as client:
        count = body_of(client.post("/v1/webhooks/redeliveries", json=body), "count")["count"]
    typer.echo(f"{count} are due once more.")
