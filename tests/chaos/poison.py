"""A journal that no actor can replay."""

from __future__ import annotations

from tests.ledger import postgres


async def poison(url: str, session_id: str) -> None:
    """Put an event behind the last of a session's journal that concerns nobody in it."""
    await postgres.execute(
        url,
        "INSERT INTO journal (session_id, seq, epoch, at_ms, type, version, body)"
        " SELECT session_id, last_seq + 1, epoch, 1, 'participant.returned', 1,"
        """ '{"participant_id": "nobody"}' FROM sessions"""
        f" WHERE session_id = '{session_id}'",
    )
    await postgres.execute(
        url, f"UPDATE sessions SET last_seq = last_seq + 1 WHERE session_id = '{session_id}'"
    )
