"""A gateway of this release shows and exports what one of the next release has recorded."""

from __future__ import annotations

import json
from typing import Any

from broker.messages.cluster.base import read
from broker.messages.cluster.records import SessionRecord
from broker.messages.cluster.tenure import JournalEntry, Subject
from gateway.api.call_record import summarise, write_csv
from gateway.api.session_view import view_detail


def test_a_record_with_words_of_the_next_release_is_shown_and_exported() -> None:
    events: list[tuple[str, dict[str, Any]]] = [
        ("session.started", {"mode": "hologram", "owner_id": "p1", "policy": {"secret": 1}}),
        ("participant.joined", {"participant_id": "p1", "role": "interpreter", "aura": "blue"}),
        ("participant.blessed", {"participant_id": "p1"}),
        ("participant.left", {"participant_id": "p1", "reason": "raptured"}),
        ("session.ended", {"reason": "raptured"}),
    ]
    told = SessionRecord(
        session_id="s",
        account_id="acc",
        engagement_key="eng",
        ids={"account_id": "acc", "channel": "pigeon", "mood": "calm"},  # type: ignore[arg-type]
        epoch=1,
        phase="ended",  # type: ignore[arg-type]
        mode="video",  # type: ignore[arg-type]
        created_ms=1,
        ended_ms=5,
        events=[
            JournalEntry(seq=seq, at_ms=seq, type=type_, version=2, body=body)
            for seq, (type_, body) in enumerate(events, start=1)
        ],
        subjects=[Subject(participant_id="p1", body={"role": "interpreter", "name": "Ann"})],
    )
    said = {**json.loads(told.to_bytes()), "mode": "hologram", "end_reason": "raptured"}
    record = read(SessionRecord, json.dumps(said).encode())
    shown = view_detail(record, record)
    assert (shown.mode, shown.end_reason) == ("voice", None)
    assert [(each.role, each.name) for each in shown.participants] == [(None, "Ann")]
    assert shown.events[2].type == "participant.blessed"
    assert "policy" not in shown.events[0].body
    made = summarise(record)
    assert [(each.role, each.left_reason) for each in made.attended] == [("guest", "raptured")]
    assert "eng" in write_csv([made])
