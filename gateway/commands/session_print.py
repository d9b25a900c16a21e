"""Sessions as a terminal shows them: a table, or one session with its people and time line."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from unicodedata import category

from rich.console import Console
from rich.table import Table
from rich.text import Text

_OPAQUE = 8
"""Characters of an opaque id that tell two of one session apart."""
_SPOILS = {
    "loss_down": "loss to them",
    "loss_up": "loss from them",
    "delay": "delay",
    "bandwidth": "a narrow line",
    "silent": "silence",
}
"""What makes a connection less than good, by the names of `gateway.api.quality.Quality`."""


def print_sessions(records: list[dict[str, Any]]) -> None:
    """Print what `GET /v1/sessions` lists."""
    if not records:
        Console().print("No session has been recorded yet.")
        return
    table = Table("session", "started", "lasted", "phase", "ended", "agent side", "window side")
    table.columns[0].no_wrap = True
    for record in records:
        ids = record["ids"]
        table.add_row(
            record["session_id"],
            _moment(record["created_ms"]),
            _lasted(record),
            record["phase"],
            record.get("end_reason") or "",
            shown(ids.get("rt_session_id")),
            shown(ids.get("window_session_id") or ids.get("conversation_id")),
        )
    Console().print(table)


def print_session(record: dict[str, Any]) -> None:
    """Print what `GET /v1/sessions/{id}` says."""
    console = Console()
    facts = Table.grid(padding=(0, 2))
    ids = record["ids"]
    for name, value in (
        ("session", record["session_id"]),
        ("started", _moment(record["created_ms"])),
        ("lasted", _lasted(record) or "still open"),
        ("ended", record.get("end_reason")),
        ("agent side", ids.get("rt_session_id")),
        ("window side", ids.get("window_session_id")),
        ("conversation", ids.get("conversation_id")),
        ("visitor", ids.get("visitor_id")),
    ):
        if value:
            facts.add_row(Text(name, style="dim"), shown(value))
    console.print(facts)
    names = {each["participant_id"]: _person(each) for each in record["participants"]}
    people = Table("participant", "role", "name", "agent id", "visitor id", "connection")
    for each in record["participants"]:
        row = [each.get(key) or "" for key in ("role", "name", "agent_id", "visitor_id")]
        quality = _quality(each.get("quality"))
        people.add_row(each["participant_id"][:_OPAQUE], *map(shown, [*row, quality]))
    console.print(people)
    line = Table("after", "event", "who", "what")
    for event in record["events"]:
        body = event["body"]
        who = str(body.get("participant_id") or body.get("by") or "")
        after = (event["at_ms"] - record["created_ms"]) / 1000
        line.add_row(f"{after:.3f} s", event["type"], shown(names.get(who)), _what(body))
    console.print(line)


def shown(value: object) -> Text:
    """What others have written, as text: no markup, and no character that a terminal obeys.

    A guest chooses a name, and a page the ids it claims.
    """
    text = "" if value is None else str(value)
    return Text("".join("\ufffd" if category(each) == "Cc" else each for each in text))


def _person(participant: dict[str, Any]) -> str:
    return str(participant.get("name") or participant.get("role") or participant["participant_id"])


def _quality(quality: dict[str, Any] | None) -> str:
    """How much of the time the connection was good, and what spoiled it longest."""
    if not quality:
        return ""
    spoiled = {name: quality[f"{name}_ms"] for name in _SPOILS}
    bad_ms = quality["fair_ms"] + quality["poor_ms"]
    total_ms = quality["good_ms"] + bad_ms
    # Rounded down: a connection that was not good throughout is not called so.
    said = f"{100 * quality['good_ms'] // max(1, total_ms)} % good"
    if not bad_ms:
        return said
    longest = max(spoiled, key=lambda name: spoiled[name])
    return f"{said}, {spoiled[longest] / 1000:.0f} s {_SPOILS[longest]}"


def _what(body: dict[str, Any]) -> Text:
    """The words and numbers of an event that say something to a person."""
    said = [
        f"{name} {value}"
        for name, value in body.items()
        if isinstance(value, str | int)
        and not isinstance(value, bool)
        and not name.endswith(("_id", "_key"))
        and name != "by"
        and value != ""
    ]
    return shown(", ".join(said))


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _lasted(record: dict[str, Any]) -> str:
    ended = record.get("ended_ms")
    return "" if ended is None else f"{(ended - record['created_ms']) / 1000:.0f} s"
