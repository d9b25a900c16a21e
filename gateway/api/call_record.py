"""One line about a session, computed from its events: durations, people, outcomes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from pydantic import BaseModel

from broker.messages.cluster.records import SessionRecord
from broker.messages.cluster.tenure import JournalEntry
from broker.past import LEAST, known_word
from broker.words import EndReason, Mode, Role
from gateway.api.quality import Quality, qualities

_OUTCOMES = {
    "invitation.accepted": "accepted",
    "invitation.declined": "declined",
    "invitation.expired": "expired",
    "invitation.cancelled": "cancelled",
    "invitation.failed": "failed",
}


class Attended(BaseModel):
    """One participant's time in the session."""

    participant_id: str
    role: Role
    joined_ms: int
    left_ms: int | None
    left_reason: str | None
    quality: Quality | None = None
    """How the person's connection was; `None`: it never stood."""


class CallRecord(BaseModel):
    """What a manager asks about a call. Times are Unix milliseconds, durations milliseconds."""

    session_id: str
    account_id: str
    engagement_key: str
    rt_session_id: str | None
    window_session_id: str | None
    conversation_id: str | None
    reference: str | None
    """The brand's own name for the session."""
    agent_id: str | None
    visitor_id: str | None
    mode: Mode
    started_ms: int
    ended_ms: int | None
    end_reason: EndReason | None
    ringing_ms: int
    """How long invitations rang, added up."""
    in_call_ms: int
    """From the consumer's first acceptance to the end of the session."""
    rating: int | None
    """Stars the consumer gave, 1 to 5."""
    invitations: list[str]
    """The outcome of each invitation, in order; `open` while it is not answered."""
    attended: list[Attended]
    poor_ms: int = 0
    """How long the poorest connection was poor."""


COLUMNS = tuple(
    name for name in CallRecord.model_fields if name not in {"invitations", "attended", "poor_ms"}
)
"""What CSV begins with; later columns come behind those that were there."""


def summarise(record: SessionRecord) -> CallRecord:
    """Compute the call record of a session."""
    ringing: dict[str, int] = {}
    outcomes: dict[str, str] = {}
    rang_ms = 0
    accepted_ms: int | None = None
    for event in record.events:
        invitation_id = str(event.body.get("invitation_id", ""))
        if event.type == "invitation.sent":
            outcomes[invitation_id] = "open"
        elif event.type == "invitation.ringing":
            ringing.setdefault(invitation_id, event.at_ms)
        elif event.type in _OUTCOMES:
            outcomes[invitation_id] = _OUTCOMES[event.type]
            if invitation_id in ringing:
                rang_ms += event.at_ms - ringing.pop(invitation_id)
            if event.type == "invitation.accepted" and accepted_ms is None:
                accepted_ms = event.at_ms
    in_call = 0
    if accepted_ms is not None and record.ended_ms is not None:
        in_call = max(0, record.ended_ms - accepted_ms)
    people = {each.participant_id: each.body for each in record.subjects}
    measured = qualities(record)
    attended = [
        each.model_copy(update={"quality": measured.get(each.participant_id)})
        for each in _attended(record.events, record.ended_ms)
    ]
    agent = next((each for each in attended if each.role is Role.AGENT), None)
    consumer = next((each for each in attended if each.role is Role.CONSUMER), None)
    given = people.get(consumer.participant_id, {}).get("rating") if consumer else None
    return CallRecord(
        session_id=record.session_id,
        account_id=record.account_id,
        engagement_key=record.engagement_key,
        rt_session_id=record.ids.rt_session_id,
        window_session_id=record.ids.window_session_id,
        conversation_id=record.ids.conversation_id,
        reference=record.reference,
        agent_id=None if agent is None else people.get(agent.participant_id, {}).get("agent_id"),
        visitor_id=record.ids.visitor_id,
        mode=record.mode,
        started_ms=record.created_ms,
        ended_ms=record.ended_ms,
        end_reason=record.end_reason,
        ringing_ms=rang_ms,
        in_call_ms=in_call,
        rating=given["stars"] if given else None,
        invitations=list(outcomes.values()),
        attended=attended,
        poor_ms=max((each.poor_ms for each in measured.values()), default=0),
    )


def write_csv(records: Iterable[CallRecord]) -> str:
    """Write records as CSV (RFC 4180) with a header line.

    Cells that a spreadsheet would run as a formula are written behind an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*COLUMNS, "invitations", "participants", "poor_ms"])
    for record in records:
        values = record.model_dump(mode="json")
        row = [values[name] for name in COLUMNS]
        row += [" ".join(record.invitations), len(record.attended), record.poor_ms]
        writer.writerow([_harmless(value) for value in row])
    return out.getvalue()


def write_json_lines(records: Iterable[CallRecord]) -> str:
    """Write one JSON object a line."""
    return "".join(record.model_dump_json() + "\n" for record in records)


def _attended(events: Iterable[JournalEntry], ended_ms: int | None) -> list[Attended]:
    found: dict[str, Attended] = {}
    for event in events:
        participant_id = str(event.body.get("participant_id", ""))
        if event.type == "participant.joined" and participant_id in found:
            # Staff may leave and come back: what counts is the last time they left.
            found[participant_id] = found[participant_id].model_copy(
                update={"left_ms": None, "left_reason": None}
            )
        elif event.type == "participant.joined":
            found[participant_id] = Attended(
                participant_id=participant_id,
                role=Role(known_word(Role, event.body["role"]) or LEAST[Role]),
                joined_ms=event.at_ms,
                left_ms=None,
                left_reason=None,
            )
        elif event.type == "participant.left" and participant_id in found:
            left = {"left_ms": event.at_ms, "left_reason": str(event.body.get("reason"))}
            found[participant_id] = found[participant_id].model_copy(update=left)
    return [
        each if each.left_ms is not None else each.model_copy(update={"left_ms": ended_ms})
        for each in found.values()
    ]


def _harmless(value: object) -> object:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
