"""A session's record, which may be longer than one answer of the ledger."""

from __future__ import annotations

from broker.messages.cluster.records import RecordGet, SessionRecord
from gateway.links.directory import Directory

PART = 1_000
"""Events that are asked for at once."""
_COUNTED = ("invitation.", "participant.joined", "participant.left", "participant.quality")
"""How the types begin of what a call record is computed from."""


async def read_record(
    directory: Directory, session_id: str, account_id: str
) -> tuple[SessionRecord, SessionRecord]:
    """Return a record with its first events, and the whole with those that are added up only.

    The two are one where it is short, as nearly all are.

    Raises:
        NotFound: `unknown_session`, also when it is another account's.
    """
    asked = RecordGet(session_id=session_id, account_id=account_id, limit=PART)
    part = first = await directory.get_record(asked)
    if not (first.more or first.more_people):
        return first, first
    events = [each for each in first.events if each.type.startswith(_COUNTED)]
    people = [*first.subjects]
    while part.more or part.more_people:
        asked = asked.model_copy(
            update={
                "after": max((each.seq for each in part.events), default=asked.after),
                "after_person": part.subjects[-1].participant_id
                if part.subjects
                else asked.after_person,
            }
        )
        part = await directory.get_record(asked)
        events += (each for each in part.events if each.type.startswith(_COUNTED))
        people += part.subjects
    return first, first.model_copy(update={"events": events, "subjects": people})
