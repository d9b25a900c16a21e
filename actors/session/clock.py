"""Which time a session goes by."""

from __future__ import annotations

import logging
from collections.abc import Callable

TOLERANCE_MS = 5_000
"""More than the ledger's word may take to come, and than the clocks of a cluster should differ."""

_LOG = logging.getLogger(__name__)


def agreed(now_ms: Callable[[], int], ledger_ms: int | None) -> Callable[[], int]:
    """Return this process's clock, or one beside it that shows the ledger's time (Unix ms).

    A process keeps the time that its machine had when it started. Deadlines stand in the journal as
    times: an actor whose clock was an hour ahead would end the session that it continues.
    `ledger_ms` is the ledger's time now; `None`: of a release that does not say.
    """
    if ledger_ms is None:
        return now_ms
    ahead_ms = now_ms() - ledger_ms
    if abs(ahead_ms) <= TOLERANCE_MS:
        return now_ms
    _LOG.warning("clock is not the ledger's", extra={"ahead_s": round(ahead_ms / 1000)})
    return lambda: now_ms() - ahead_ms
