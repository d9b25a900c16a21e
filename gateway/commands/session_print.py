"""Sessions as a terminal shows them: a table, or one session with its people and time line."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from unicodedata import category

from rich.table import Table
from rich.text import Text

from gateway.commands.tables import table_console

_OPAQUE = 8
"""Characters of an opaque id that tell two of one session apart."""
_LONG_S = 120
"""From here on a duration is written as hours, minutes and seconds."""
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
        table_console().print("No session has been recorded yet.")
        return
    rows = [
        (
            record["session_id"],
            _moment(record["created_ms"])[:-3],
            _lasted(record),
            record.get("end_reason") or record["phase"],
            shown(", ".join(_conversation(record["ids"]))),
        )
        for record in records
    ]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for index, name in enumerate(("session", "started", "lasted", "state", "conversation")):
        # Of a terminal of 80 columns the last one gets what is left; the others are needed whole.
        whole = max(len(row[index]) for row in rows) if name != "conversation" else None
        table.add_column(name, no_wrap=True, min_width=whole)
    for row in rows:
        table.add_row(*row)
    table_console().print(table)


def print_session(record: dict[str, Any]) -> None:
    """Print what `GET /v1/sessions/{id}` says."""
    console = table_console()
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


def _conversation(ids: dict[str, Any]) -> Iterable[str]:
    """What the agent's and the consumer's side call it, each name once."""
    names = (ids.get("rt_session_id"), ids.get("window_session_id"), ids.get("conversation_id"))
    return dict.fromkeys(str(each) for each in names if each)


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
    if ended is None:
        return ""
    seconds = round((ended - record["created_ms"]) / 1000)
    return f"{seconds} s" if seconds < _LONG_S else str(timedelta(seconds=seconds))
