"""A ledger of this release among actors, and on a database, of the next one."""

from __future__ import annotations

import json

import sqlalchemy as sa

from actors.ledger.database import Database
from actors.ledger.migrations import MIGRATIONS, OLDEST_READER
from actors.ledger.schema import schema_version, sessions
from broker.messages.cluster.records import RecordPage, RecordQuery
from broker.words import SessionPhase
from tests.ledger.conftest import Town
from tests.ledger.fakes import entry


async def test_what_it_does_not_know_is_kept_shown_and_handed_over(town: Town) -> None:
    actor, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    await actor.append(
        entry(2, "participant.blessed", participant_id="p1", by={"whom": 1}),
        entry(3, "participant.left", participant_id="p1", reason="raptured"),
    )
    standby = await town.actor()
    await actor.die()
    assert (await gateway.takeover(session_id, 1)).port == standby.port
    assert [one.type for one in standby.past][1:] == ["participant.blessed", "participant.left"]
    assert standby.past[1].body == {"participant_id": "p1", "by": {"whom": 1}}
    await standby.append(entry(4, "session.ended", reason="a reason far longer than the column is"))
    record = await gateway.record(session_id)
    assert (record.phase, record.end_reason) == (SessionPhase.ENDED, None)
    assert record.events[-1].body["reason"].endswith("the column is")
    await town.actor()
    assert (await gateway.open()).session_id != session_id, "the engagement is free again"


async def test_ids_of_the_next_release_stay_in_the_row(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger()
    await town.actor()
    gateway = await town.gateway()
    session_id = (await gateway.open()).session_id
    await town.ledger.close()
    database = Database(town.url)
    await database.take_term(1)
    ids = {"account_id": "acme", "rt_session_id": "eng-1", "channel": "pigeon", "mood": "calm"}
    later = (
        sa.update(sessions)
        .where(sessions.c.session_id == session_id)
        .values(ids=json.dumps(ids), mode="hologram")
    )
    await database.write(lambda connection: connection.execute(later))
    await database.close()
    await town.new_ledger()
    record = await gateway.record(session_id)
    assert (record.ids.rt_session_id, record.ids.channel, record.mode) == ("eng-1", None, "voice")
    pages = await gateway.link.call(RecordQuery(), RecordPage)
    assert [one.session_id for one in pages.records] == [session_id]


async def test_a_database_that_the_next_release_migrated_is_worked_with(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger()
    actor, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    await town.ledger.close()
    assert OLDEST_READER <= len(MIGRATIONS)
    database = Database(town.url)
    await database.take_term(1)

    def migrate_further(connection: sa.Connection) -> None:
        connection.execute(sa.insert(schema_version).values(version=len(MIGRATIONS) + 1))
        connection.execute(sa.text("ALTER TABLE sessions ADD COLUMN mood VARCHAR DEFAULT ''"))

    await database.write(migrate_further)
    await database.close()
    await town.new_ledger()
    await actor.append(entry(2, word="kept"))
    assert [one.seq for one in (await gateway.record(session_id)).events] == [1, 2]
