"""A database of a release before this one becomes the present one, with the calls that are live."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from actors.ledger.database import Database
from actors.ledger.migrations import MIGRATIONS, OLDEST_READER
from actors.ledger.schema import metadata, schema_floor, schema_version
from tests.contract.record_release import RELEASES
from tests.ledger.conftest import Town
from tests.ledger.fakes import entry
from tests.patience import until

LATER_INDEXES = {"sessions_of_engagement": 11, "dead_letters_again": 11}
"""Those of columns that were there before, by the version that has them first."""


@dataclass(frozen=True)
class Past:
    """A schema as a release left it."""

    version: int
    tables: Mapping[str, Sequence[str]]
    """Each table's columns."""

    def __call__(self, connection: sa.Connection) -> None:
        """Take away what came later."""
        for table in reversed(metadata.sorted_tables):
            if table.name not in self.tables:
                table.drop(connection)
                continue
            later = {each.name for each in table.columns} - set(self.tables[table.name])
            for index in table.indexes:
                if (
                    self.version < LATER_INDEXES.get(str(index.name), 0)
                    or later & {each.name for each in index.columns}
                    or any(name in str(index.dialect_options["sqlite"]["where"]) for name in later)
                ):
                    index.drop(connection)
            for name in sorted(later):
                connection.execute(sa.text(f"ALTER TABLE {table.name} DROP COLUMN {name}"))
        connection.execute(sa.delete(schema_version).where(schema_version.c.version > self.version))


def first() -> Past:
    """The oldest schema there was: the first step's, before the columns that later steps add."""
    tables = ("terms", "sessions", "journal", "subjects", "tenures", "guest_links", "api_keys")
    later = {"delivered_seq", "label", "polite"}
    columns = {
        name: [each.name for each in metadata.tables[name].columns if each.name not in later]
        for name in tables
    }
    return Past(1, {**columns, schema_version.name: ["version"]})


def recorded() -> dict[str, Past]:
    """What the releases recorded of theirs."""
    found = {"before the first release": first()}
    for path in sorted(RELEASES.glob("*.json")):
        schema = json.loads(path.read_text())["schema"]
        found[path.stem] = Past(schema["version"], schema["tables"])
    return found


PAST = recorded()


def shape(connection: sa.Connection) -> dict[str, tuple[set[str], set[str | None]]]:
    """Every table's columns and indexes."""
    look = sa.inspect(connection)
    return {
        name: (
            {each["name"] for each in look.get_columns(name)},
            {each["name"] for each in look.get_indexes(name)},
        )
        for name in look.get_table_names()
    }


@pytest.fixture
def database_url(empty_url: str) -> str:
    """The tables are what these tests ask about."""
    return empty_url


@pytest.mark.parametrize("release", PAST)
async def test_a_call_outlives_the_upgrade_of_its_database(bare_town: Town, release: str) -> None:
    town = bare_town
    await town.new_ledger()
    holder, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    await holder.append(entry(2, word="said before"))
    await town.ledger.close()

    database = Database(town.url)
    await database.take_term(1)
    present = await database.read(shape)
    await database.write(PAST[release])
    await database.close()

    await town.new_ledger()
    upgraded = Database(town.url)
    assert await upgraded.read(shape) == present
    rows = await upgraded.rows(sa.select(schema_floor.c.version))
    assert [row.version for row in rows] == [OLDEST_READER]
    rows = await upgraded.rows(sa.select(schema_version.c.version).order_by("version"))
    assert [row.version for row in rows] == list(range(1, len(MIGRATIONS) + 1))
    await upgraded.close()

    await until(lambda: holder.link.is_up and len(holder.kept) == 2, "the holder is back")
    await holder.append(entry(3, word="said after"))
    elsewhere = await town.actor(node="node-2")
    await gateway.drain("node-1")
    await until(lambda: bool(elsewhere.committed), "the move")
    await elsewhere.append(entry(4, "session.ended", reason="ended_by_agent"))
    events = (await gateway.record(session_id)).events
    assert [one.body.get("word") for one in events] == [None, "said before", "said after", None]
