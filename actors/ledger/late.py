"""Deleting rows whose time is over, which several ledgers may do at once."""

from __future__ import annotations

import sqlalchemy as sa


def delete_late(connection: sa.Connection, table: sa.Table, late: sa.ColumnElement[bool]) -> None:
    """Delete the rows that are `late`, but those that somebody else has at hand.

    Another ledger is deleting those: who waited for it in the middle of a transaction might be
    waited for by it, and PostgreSQL would undo the one or the other.
    """
    keys = list(table.primary_key.columns)
    found = sa.select(*keys).where(late).with_for_update(skip_locked=True)
    connection.execute(sa.delete(table).where(sa.tuple_(*keys).in_(found)))
