"""What a standby is given of a session before it is told to continue it."""

from __future__ import annotations

from broker.messages.cluster.tenure import JournalEntry, SessionContinue, SessionPast, Subject


class Past:
    """The parts of a session that was too long for one frame, until the last one comes.

    They are of one tenure. A ledger may die between two of them, or find another standby; then what
    came before belongs to nobody, and gets into no other session.
    """

    def __init__(self) -> None:
        self._of: tuple[str, int] | None = None
        self._entries: list[JournalEntry] = []
        self._subjects: list[Subject] = []

    def add(self, part: SessionPast) -> None:
        """Take the next part; the first of another tenure drops those of the one before."""
        if self._of != (part.session_id, part.epoch):
            self.forget()
            self._of = part.session_id, part.epoch
        self._entries += part.entries
        self._subjects += part.subjects

    def whole(self, last: SessionContinue) -> SessionContinue:
        """Return the session with the parts of the same tenure before its last one; keeps none."""
        if self._of == (last.session_id, last.epoch):
            last = last.model_copy(
                update={
                    "entries": [*self._entries, *last.entries],
                    "subjects": [*self._subjects, *last.subjects],
                }
            )
        self.forget()
        return last

    def forget(self) -> None:
        """Drop what came; harmless when nothing did."""
        self._of = None
        self._entries, self._subjects = [], []
