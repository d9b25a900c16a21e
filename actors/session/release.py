"""What is told before it is saved: while the ledger is away, what reduces exposure acts at once."""

from __future__ import annotations

import asyncio

from actors.session.journal import Journal

LOOK_S = 0.25


class Release:
    """Has the journal let out, unsaved, what exposes nobody more than before.

    Looks after each decision, and again while something waits: that it cannot be saved now may turn
    out only later. Closed with the session.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._widened_seq = 0
        """The last event that exposed somebody more than before."""
        self._look: asyncio.TimerHandle | None = None
        self._closed = False

    def decided(self, *, widened: bool) -> None:
        """Something was decided, which has exposed somebody more, or has not."""
        if widened:
            self._widened_seq = self._journal.last_seq
        self._let_out()

    def close(self) -> None:
        """Let out nothing more; harmless when closed."""
        self._closed = True
        if self._look is not None:
            self._look.cancel()

    def _let_out(self) -> None:
        journal = self._journal
        # Before an acceptance that is not durable nothing goes out, or it would go out too; what
        # reduces exposure holds in the relay all the same.
        if not journal.available and self._widened_seq <= journal.durable_seq:
            journal.release(journal.last_seq)
        if self._look is None and not self._closed and journal.durable_seq < journal.last_seq:
            self._look = asyncio.get_running_loop().call_later(LOOK_S, self._on_look)

    def _on_look(self) -> None:
        self._look = None
        self._let_out()
