"""Which webhook endpoints the accounts have, and had until a short time ago.

One may be taken away by mistake: what it has not got is kept for `KEPT_MS`, and sent when it is
named again. What none of an account's endpoints waits for leaves the outbox's index.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from actors.ledger.journal import insert_for
from actors.ledger.schema import FAILING, UNDELIVERED, deliveries, endpoints, sessions
from broker.shards import Shard

KEPT_MS = 24 * 3_600_000
"""As long as an endpoint that is there is tried."""
AT_ONCE = 500
"""Sessions that one transaction gives up: what calls write meanwhile waits for one transaction, not
for all of them."""


def wanted_endpoints(
    connection: sa.Connection, account_id: str, named: Iterable[str], now_ms: int
) -> set[str]:
    """The endpoints of an account: those named now, which is noted, and those that were lately."""
    known = _known(connection, account_id)
    _note_there(connection, account_id, named, known)
    return _kept(known, now_ms).union(named)


def _known(connection: sa.Connection, account_id: str) -> dict[str, int | None]:
    """Say since when each endpoint of an account is gone."""
    mine = endpoints.c.account_id == account_id
    rows = connection.execute(sa.select(endpoints).where(mine)).all()
    return {row.endpoint_id: row.gone_ms for row in rows}


def _kept(known: Mapping[str, int | None], now_ms: int) -> set[str]:
    """Those that are there, or were until lately."""
    return {name for name, gone_ms in known.items() if not _is_over(gone_ms, now_ms)}


def _note_there(
    connection: sa.Connection,
    account_id: str,
    named: Iterable[str],
    known: Mapping[str, int | None],
) -> None:
    """Note that the named ones are there; mostly that is known."""
    news = [name for name in named if name not in known or known[name] is not None]
    if news:
        insert = insert_for(connection, endpoints).values(
            [{"account_id": account_id, "endpoint_id": name, "gone_ms": None} for name in news]
        )
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["account_id", "endpoint_id"], set_={"gone_ms": None}
            )
        )


def _is_over(gone_ms: int | None, now_ms: int) -> bool:
    """Whether an endpoint was taken away too long ago."""
    return gone_ms is not None and gone_ms <= now_ms - KEPT_MS


def note_endpoints(
    connection: sa.Connection, named: Mapping[str, Sequence[str]], shard: Shard, now_ms: int
) -> None:
    """Note which endpoints there are, and since when the others of the shard are not named."""
    known: dict[str, dict[str, int | None]] = {}
    for row in connection.execute(sa.select(endpoints)).all():
        if shard.has(row.account_id):
            known.setdefault(row.account_id, {})[row.endpoint_id] = row.gone_ms
    for account_id, names in named.items():
        _note_there(connection, account_id, names, known.get(account_id, {}))
    for account_id, each in known.items():
        for endpoint_id, gone_ms in each.items():
            if gone_ms is None and endpoint_id not in named.get(account_id, ()):
                connection.execute(
                    sa.update(endpoints)
                    .where(endpoints.c.account_id == account_id)
                    .where(endpoints.c.endpoint_id == endpoint_id)
                    .values(gone_ms=now_ms)
                )


def reached_by(wanted: Collection[str]) -> sa.ScalarSelect[int]:
    """The last event of a session that each of these endpoints has; NULL if one has none of it."""
    return (
        sa.select(sa.func.min(deliveries.c.next_seq) - 1)
        .where(deliveries.c.session_id == sessions.c.session_id)
        .where(deliveries.c.endpoint_id.in_(wanted))
        .group_by(deliveries.c.session_id)
        .having(sa.func.count() == len(wanted))
        .correlate(sessions)
        .scalar_subquery()
    )


def has_over(connection: sa.Connection, account_id: str, named: Iterable[str], now_ms: int) -> bool:
    """Whether `give_up` has anything to do. It reads all that an account's endpoints have still to
    get, so whoever calls writes asks this first, beside them."""
    wanted = _kept(_known(connection, account_id), now_ms).union(named)
    return connection.execute(_over(account_id, wanted).limit(1)).first() is not None


def _over(account_id: str, wanted: Collection[str]) -> sa.Select[Any]:
    """Select sessions that have nothing more for any endpoint, with how far all of these are."""
    reached: sa.ColumnElement[int] = reached_by(wanted) if wanted else sessions.c.last_seq
    return (
        sa.select(sessions.c.session_id, reached.label("reached"))
        .where(UNDELIVERED)
        .where(sessions.c.account_id == account_id)
        .where(reached > sessions.c.delivered_seq)
    )


def give_up(connection: sa.Connection, account_id: str, named: Iterable[str], now_ms: int) -> int:
    """Take sessions out of the index that have nothing for any endpoint of the account; says how
    many there were, `AT_ONCE` at most."""
    wanted = wanted_endpoints(connection, account_id, named, now_ms)
    rows = connection.execute(_over(account_id, wanted).limit(AT_ONCE)).all()
    if rows:
        connection.execute(
            sa.update(sessions)
            .where(sessions.c.session_id == sa.bindparam("session"))
            .values(delivered_seq=sa.bindparam("reached")),
            [{"session": row.session_id, "reached": row.reached} for row in rows],
        )
        # Nobody is to try them again.
        connection.execute(
            sa.update(deliveries)
            .where(deliveries.c.session_id.in_([row.session_id for row in rows]))
            .where(deliveries.c.endpoint_id.not_in(wanted))
            .where(FAILING)
            .values(due_ms=0)
        )
    return len(rows)


def forget_gone(connection: sa.Connection, shard: Shard, now_ms: int) -> None:
    """Forget the endpoints that were taken away too long ago."""
    for row in connection.execute(sa.select(endpoints)).all():
        if shard.has(row.account_id) and _is_over(row.gone_ms, now_ms):
            connection.execute(
                sa.delete(endpoints)
                .where(endpoints.c.account_id == row.account_id)
                .where(endpoints.c.endpoint_id == row.endpoint_id)
            )
