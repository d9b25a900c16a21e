"""What the ledger gives: the record of a call of two that has ended, and a dead letter."""

from __future__ import annotations

from typing import Any

from broker.messages import upkeep
from broker.messages.cluster.records import SessionRecord
from broker.messages.cluster.tenure import JournalEntry, Subject
from broker.messages.parts import EngagementIds
from broker.words import EndReason, Mode, SessionPhase


def entry(seq: int, kind: str, **body: Any) -> JournalEntry:
    return JournalEntry(seq=seq, at_ms=1_000 * seq, type=kind, version=1, body=body)


RECORD = SessionRecord(
    session_id="s-1",
    account_id="acc",
    engagement_key="eng-1",
    ids=EngagementIds(account_id="acc", rt_session_id="eng-1", window_session_id="win-1"),
    epoch=2,
    phase=SessionPhase.ENDED,
    mode=Mode.VIDEO,
    created_ms=1_000,
    ended_ms=9_000,
    end_reason=EndReason.ENDED_BY_AGENT,
    events=[
        entry(1, "session.started", owner_id="p1"),
        entry(2, "participant.joined", participant_id="p1", role="agent"),
        entry(3, "invitation.sent", invitation_id="i1", by="p1"),
        entry(4, "invitation.ringing", invitation_id="i1", participant_id="p2", claim_hash="h"),
        entry(6, "invitation.accepted", invitation_id="i1", participant_id="p2"),
        entry(7, "participant.joined", participant_id="p2", role="consumer"),
        entry(8, "participant.left", participant_id="p2", reason="left"),
        entry(9, "session.ended", reason="ended_by_agent"),
    ],
    subjects=[
        Subject(participant_id="p1", body={"role": "agent", "name": "=Alex", "agent_id": "7"}),
        Subject(participant_id="p2", body={}),
    ],
)

LETTER = upkeep.DeadLetter(
    account_id="acc",
    endpoint_id="crm",
    session_id="s-1",
    seq=3,
    type="session.ended",
    dead_ms=1_000,
    why="status 500",
)
