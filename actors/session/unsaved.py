"""What a session let out before it was saved: kept by gateways, and done again by a successor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from broker.errors import ErrorCode, SwitchboardError, Unavailable
from broker.messages.cluster.tenure import JournalEntry, SessionUnsaved
from broker.past import read_event
from broker.recall import RECALLED, recall

if TYPE_CHECKING:
    from actors.session.live import LiveSession

_LOG = logging.getLogger(__name__)


class UnsavedRecall:
    """Says to the gateways what to keep, and does what they kept of an earlier tenure.

    A cut-off actor may die, or be taken for dead, before it has the ledger back. Whoever was sent
    out, or ended the session, must not find the next actor ignorant of it.
    """

    def __init__(self, session: LiveSession, tell: Callable[[SessionUnsaved], None]) -> None:
        self._session = session
        self._tell = tell
        self._done: set[tuple[int, int]] = set()
        """Epoch and seq of what was done again: several gateways have kept the same."""
        self.now = self._said([])

    def changed(self, entries: Sequence[JournalEntry]) -> None:
        """These are let out and not saved; tell what the gateways have to keep of them."""
        said = self._said([entry for entry in entries if entry.type in RECALLED])
        if said != self.now:
            self.now = said
            self._tell(said)

    def recall(self, kept: SessionUnsaved, done: Callable[[], None]) -> None:
        """Do again what an earlier tenure did and could not save; `done` is called once it is
        durable, also when nothing is left to do.

        Raises:
            Unavailable: the session is moving, or it is this tenure's own, and not saved yet.
        """
        if kept.epoch >= self._session.epoch and self.now.entries:
            raise Unavailable(ErrorCode.LEDGER_AWAY, "It is not saved yet.")
        for entry in kept.entries:
            mark = (kept.epoch, entry.seq)
            if kept.epoch < self._session.epoch and mark not in self._done:
                self._again(entry)
                self._done.add(mark)
        self._session.after_durable(done)

    def _again(self, entry: JournalEntry) -> None:
        session = self._session
        facts = {"session_id": session.session_id, "entry": entry.seq}
        try:
            event = read_event(entry.type, entry.version, entry.at_ms, entry.body)
            command = recall(session.decided, event)
            if command is not None and not session.over:
                session.do(command, widens=False, mark=event.mark)
        except SwitchboardError as refusal:
            if refusal.retryable:
                raise
            # Somebody else has done it, or what it was about is over.
            _LOG.info("nothing to recall", extra={**facts, "code": str(refusal.code)})
        except Exception:
            # A mistake about one must not cost the others: each took something from somebody.
            _LOG.exception("not recalled", extra=facts)

    def _said(self, entries: list[JournalEntry]) -> SessionUnsaved:
        session = self._session
        return SessionUnsaved(session_id=session.session_id, epoch=session.epoch, entries=entries)
