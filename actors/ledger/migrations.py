"""How an older database becomes the present one.

Migrations only go forward. While nodes are upgraded one by one, a ledger of the release before may
have to go on with a database that the next one has migrated; `schema_floor` says whether it can. So
a migration adds, with defaults; one that takes away raises `OLDEST_READER`.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from actors.ledger.schema import (
    answers,
    api_keys,
    cordons,
    dead_letters,
    deliveries,
    deliveries_failing,
    devices,
    endpoints,
    enrolments,
    erasures,
    erasures_unnoted,
    guest_links,
    journal,
    letters_again,
    letters_newest,
    metadata,
    notes,
    of_engagement,
    owners,
    revocations,
    schema_floor,
    schema_version,
    sessions,
    subjects,
    tenures,
    terms,
    undelivered,
)

_FIRST = (
    terms,
    sessions,
    journal,
    subjects,
    tenures,
    guest_links,
    api_keys,
)


def _add_column(connection: sa.Connection, table: sa.Table, column: str, rest: str) -> None:
    """Add a column, unless the table was made with it."""
    if column not in {each["name"] for each in sa.inspect(connection).get_columns(table.name)}:
        connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column} {rest}"))


def _create_first(connection: sa.Connection) -> None:
    metadata.create_all(connection, tables=_FIRST)


def _add_keeping(connection: sa.Connection) -> None:
    """Webhooks and erasures."""
    _add_column(connection, sessions, "delivered_seq", "INTEGER DEFAULT 0 NOT NULL")
    undelivered.create(connection, checkfirst=True)
    metadata.create_all(connection, tables=(deliveries, dead_letters, erasures))


def _add_sharing(connection: sa.Connection) -> None:
    """What gateways know together."""
    metadata.create_all(connection, tables=(revocations, answers))


def _add_cordons(connection: sa.Connection) -> None:
    """Drains, and the tenures they caused."""
    _add_column(connection, tenures, "polite", "BOOLEAN DEFAULT FALSE NOT NULL")
    metadata.create_all(connection, tables=(cordons,))


def _add_devices(connection: sa.Connection) -> None:
    """Agents' enrolled devices."""
    metadata.create_all(connection, tables=(enrolments, devices))


def _add_labels(connection: sa.Connection) -> None:
    """Sessions that may be on some nodes only."""
    _add_column(connection, sessions, "label", "VARCHAR(128) DEFAULT '' NOT NULL")


def _add_notes(connection: sa.Connection) -> None:
    """The brand's own reference and metadata."""
    metadata.create_all(connection, tables=(notes,))


def _add_floor(connection: sa.Connection) -> None:
    """Which releases can work with the database."""
    metadata.create_all(connection, tables=(schema_floor,))


def _add_owners(connection: sa.Connection) -> None:
    """Whose the term is."""
    metadata.create_all(connection, tables=(owners,))


def _add_refusals(connection: sa.Connection) -> None:
    """Since when events are refused, and which endpoints were taken away."""
    _add_column(connection, deliveries, "refused_ms", "BIGINT")
    metadata.create_all(connection, tables=(endpoints,))


def _add_indexes(connection: sa.Connection) -> None:
    """Finding an engagement's sessions, and the few dead letters that are due once more."""
    of_engagement.create(connection, checkfirst=True)
    letters_again.create(connection, checkfirst=True)


def _add_failing(connection: sa.Connection) -> None:
    """Finding the deliveries that are to be tried again, and the newest dead letters."""
    deliveries_failing.create(connection, checkfirst=True)
    letters_newest.create(connection, checkfirst=True)


def _add_unnoted(connection: sa.Connection) -> None:
    """Finding the erasures of which a journal does not tell yet."""
    erasures_unnoted.create(connection, checkfirst=True)


# The first step makes its tables as they are now, so a later step looks before it alters.
MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (
    _create_first,
    _add_keeping,
    _add_sharing,
    _add_cordons,
    _add_devices,
    _add_notes,
    _add_labels,
    _add_floor,
    _add_owners,
    _add_refusals,
    _add_indexes,
    _add_failing,
    _add_unnoted,
)
"""Step n leads from version n to n + 1; a released step is never changed."""
OLDEST_READER = 8
"""A release that knows this many steps can work with what all of them made."""


def migrate(connection: sa.Connection) -> int:
    """Bring the database to the present version, inside the caller's transaction.

    Returns the version it has: a later one than this release knows, if that lets it work with it.

    Raises:
        RuntimeError: the database is newer than this release can work with.
    """
    if connection.dialect.name == "postgresql":
        # Two ledgers that start at once take turns; the number is arbitrary, and ours.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(727301)"))
    schema_version.create(connection, checkfirst=True)
    present = connection.scalar(sa.select(sa.func.max(schema_version.c.version))) or 0
    if present > len(MIGRATIONS):
        if sa.inspect(connection).has_table("schema_floor"):
            floor = connection.scalar(sa.select(sa.func.max(schema_floor.c.version)))
            if floor is not None and floor <= len(MIGRATIONS):
                return int(present)
        raise RuntimeError(
            f"The database has schema version {present}; this release knows {len(MIGRATIONS)}."
        )
    for version, step in enumerate(MIGRATIONS[present:], start=present + 1):
        step(connection)
        connection.execute(sa.insert(schema_version).values(version=version))
    if present < len(MIGRATIONS):
        connection.execute(sa.delete(schema_floor))
        connection.execute(sa.insert(schema_floor).values(version=OLDEST_READER))
    return len(MIGRATIONS)
