"""A ledger as a process of its own: `python -m benchmarks.ledger DATABASE SESSIONS`.

Its sessions are live already, and whoever asks for one by its number is its actor.
"""

from __future__ import annotations

import asyncio
import sys
import time

from actors.ledger import Ledger
from actors.ledger.database import Database
from actors.ledger.rows import NewSession
from actors.ledger.writer import Writer
from benchmarks.serving import run, say_ready, until_told
from broker.messages.cluster.members import SessionMember
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.tenure import JournalEntry, Journalled
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import EngagementIds
from broker.words import Mode, Role

KEY = b"k" * 32
HOST = "127.0.0.1"
ACCOUNT = "benchmark"


def member(number: int, *, holds: bool = True) -> SessionMember:
    """The actor of a session, as it enlists."""
    return SessionMember(
        member_id=f"member-{number}",
        node="node",
        host=HOST,
        port=1,
        session_id=session_id(number) if holds else None,
        epoch=1 if holds else 0,
    )


def session_id(number: int) -> str:
    """Name a session."""
    return f"session-{number}"


def now_ms() -> int:
    """Return the time since 1970."""
    return time.time_ns() // 1_000_000


async def prepare(url: str, sessions: int) -> None:
    """Put sessions into the database, each held by its actor."""
    database = Database(url)
    await database.take_term(now_ms())
    writer = Writer(database)
    writer.start()
    started = JournalEntry(
        seq=1, at_ms=now_ms(), type="session.started", version=1, body={"mode": "video"}
    )
    await asyncio.gather(
        *(
            writer.do(
                NewSession(
                    session_id(number),
                    SessionOpen(
                        account_id=ACCOUNT,
                        engagement_key=f"engagement-{number}",
                        ids=EngagementIds(account_id=ACCOUNT),
                        mode=Mode.VIDEO,
                        owner=Principal(role=Role.AGENT, account_id=ACCOUNT, agent_id="1"),
                    ),
                    Journalled(entries=[started], subjects=[]),
                    member(number, holds=False),
                    now_ms(),
                )
            )
            for number in range(sessions)
        )
    )
    await writer.close()
    await database.close()


async def main() -> None:
    url, sessions = sys.argv[1], int(sys.argv[2])
    await prepare(url, sessions)
    ledger = Ledger(url, KEY, now_ms=now_ms)
    port = await ledger.start(HOST, 0)
    say_ready(port=port)
    await until_told()
    await ledger.close()


if __name__ == "__main__":
    run(main)
