"""The session's side of the journal: events go out in order, their consequences wait."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Protocol

from broker.errors import Conflict, SwitchboardError
from broker.events import AnyEvent, event_body
from broker.messages.cluster.tenure import JournalAppend, JournalEntry, Subject
from broker.tracing import Span, Traces

_LOG = logging.getLogger(__name__)
_RETRY_S = (0.02, 0.1, 0.25, 0.5, 1.0)
_UNFIT_RETRY_S = (*_RETRY_S, 2.0, 5.0, 10.0, 30.0)
"""Of what the ledger is there for and does not take: the next release of it may, and each try costs
all the others a few transactions."""
_STALLED_S = 1.0
UNSAVED_S = 2.0
"""What has waited for so long is said to be unsaved."""
BATCH_ENTRIES = 512
BATCH_SUBJECTS = 256
"""Of one append, which with as many of either is far below the frame that a link takes."""


class JournalStore(Protocol):
    """What the journal needs of the ledger."""

    async def append(self, append: JournalAppend) -> None:
        """Make entries durable; of none only the epoch is looked at.

        Raises:
            Conflict: `stale_epoch`.
            Unavailable: `ledger_away`.
        """
        ...

    @property
    def reachable(self) -> bool:
        """Whether a ledger link stands now."""
        ...


class JournalReader(Protocol):
    """Who is told what became of the entries."""

    def on_durable(self, seq: int) -> None:
        """Everything up to `seq` is durable, or was released while the ledger is away."""
        ...

    def on_unsaved(self, entries: Sequence[JournalEntry]) -> None:
        """This is about to be let out, or has been, and is not durable; nothing: all is again."""
        ...

    def on_saving(self, saved: bool) -> None:
        """Something has waited for `UNSAVED_S`; or, after that, all is durable."""
        ...

    def on_fenced(self) -> None:
        """Another tenure holds the session: fall silent."""
        ...


def to_entry(seq: int, event: AnyEvent) -> JournalEntry:
    """Put an event into the form in which it is stored."""
    return JournalEntry(
        seq=seq,
        at_ms=event.at_ms,
        type=event.type,
        version=event.version,
        body=event_body(event),
    )


class Journal:
    """Ordered, at-least-once appends of one session's tenure.

    The pending entries are bounded by the core: while the ledger is away only what ends things is
    accepted. Of what is known about a person only the newest waits. Closed by its session; `close`
    drops nothing that was appended.
    """

    def __init__(
        self,
        session_id: str,
        epoch: int,
        first_seq: int,
        store: JournalStore,
        reader: JournalReader,
        *,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces
        self._trace: str | None = None
        self._span: Span | None = None
        self._session_id = session_id
        self._epoch = epoch
        self._seq = first_seq - 1
        self._store = store
        self._reader = reader
        self._entries: deque[JournalEntry] = deque()
        self._subjects: dict[str, Subject] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._oldest_at: float | None = None
        self._failing = False
        self._unsaved = False
        self._let_out = False
        """Whether something was told to be unsaved that may not be any more."""
        self._look: asyncio.TimerHandle | None = None
        self._task = asyncio.create_task(self._run(), name="session-journal")
        self.durable_seq = self._seq

    @property
    def available(self) -> bool:
        """Whether what widens exposure may be decided: the ledger answers."""
        if not self._store.reachable or self._failing:
            return False
        stalled = self._oldest_at is not None and (
            asyncio.get_running_loop().time() - self._oldest_at > _STALLED_S
        )
        return not stalled

    def add(
        self,
        events: Sequence[AnyEvent],
        subjects: Sequence[Subject] = (),
        trace: str | None = None,
    ) -> int:
        """Queue events (and what is known beside them); return the last sequence number.

        Of those that share an append the first that belongs to a trace gives it that one.
        """
        self._trace = self._trace or trace
        for subject in subjects:
            self._subjects[subject.participant_id] = subject
        for event in events:
            self._seq += 1
            self._entries.append(to_entry(self._seq, event))
        if self._pending:
            if self._oldest_at is None:
                self._oldest_at = asyncio.get_running_loop().time()
                self._look_later(UNSAVED_S)
            self._idle.clear()
            self._wake.set()
        return self._seq

    def release(self, seq: int) -> None:
        """Let consequences out before they are durable: the ledger is away, and they reduce."""
        if seq > self.durable_seq:
            self.durable_seq = seq
            self._tell_unsaved()
            self._reader.on_durable(seq)

    @property
    def last_seq(self) -> int:
        """The number of the last event that was queued."""
        return self._seq

    @property
    def stored(self) -> bool:
        """Whether the ledger has all that was let out."""
        return not self._entries or self._entries[0].seq > self.durable_seq

    @property
    def unsaved(self) -> list[JournalEntry]:
        """What was let out and the ledger does not have."""
        return [entry for entry in self._entries if entry.seq <= self.durable_seq]

    async def flush(self, timeout_s: float) -> bool:
        """Wait until all is durable; False when it is not in time, or never will be: fenced."""
        idle = asyncio.ensure_future(self._idle.wait())
        await asyncio.wait(
            (idle, self._task), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        idle.cancel()
        return self._idle.is_set()

    async def close(self) -> None:
        """Stop appending."""
        self._look_no_more()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._span is not None:
            self._span.end()

    def _tell_unsaved(self) -> None:
        if self._let_out or not self.stored:
            unsaved = self.unsaved
            self._let_out = bool(unsaved)
            self._reader.on_unsaved(unsaved)

    @property
    def _pending(self) -> bool:
        return bool(self._entries or self._subjects)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                if not await self._append_batch():
                    return
            self._oldest_at = None
            self._idle.set()
            if self._unsaved:
                self._unsaved = False
                self._reader.on_saving(True)

    def _look_later(self, delay_s: float) -> None:
        if self._look is None:
            loop = asyncio.get_running_loop()
            self._look = loop.call_later(delay_s, self._look_now)

    def _look_now(self) -> None:
        """Say that something is unsaved, or look again when what waits now could be old."""
        self._look = None
        if self._oldest_at is None:
            return
        left_s = self._oldest_at + UNSAVED_S - asyncio.get_running_loop().time()
        if left_s > 0:
            self._look_later(left_s)
        else:
            self._unsaved = True
            self._reader.on_saving(False)

    def _look_no_more(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    async def _append_batch(self) -> bool:
        subjects = list(islice(self._subjects.values(), BATCH_SUBJECTS))
        # What is known of people is stored no later than what they did.
        all_known = len(subjects) == len(self._subjects)
        entries = list(islice(self._entries, BATCH_ENTRIES if all_known else 0))
        trace, self._trace = self._trace, None
        span = self._span = None
        if trace is not None and self._traces is not None:
            span = self._span = self._traces.begin(JournalAppend.method, "client", trace)
        append = JournalAppend(
            session_id=self._session_id,
            epoch=self._epoch,
            entries=entries,
            subjects=subjects,
            trace=None if span is None else span.context,
        )
        attempt = 0
        while True:
            try:
                await self._store.append(append)
                break
            except Conflict as fenced:
                _LOG.warning("session fenced", extra={"session_id": self._session_id})
                if span is not None:
                    span.end(str(fenced.code))
                self._look_no_more()
                self._reader.on_fenced()
                return False
            except Exception as error:
                # Whatever it is, also a mistake of ours: a session without a journal is none.
                self._failing = True
                _LOG.warning(
                    "journal append failed",
                    extra={
                        "session_id": self._session_id,
                        # Not what it says, which may be what somebody wrote.
                        "error": type(error).__name__,
                        "code": str(getattr(error, "code", "")),
                        "attempt": attempt,
                    },
                )
                pauses = _RETRY_S if _may_pass(error) else _UNFIT_RETRY_S
                await asyncio.sleep(pauses[min(attempt, len(pauses) - 1)])
                attempt += 1
        if span is not None:
            span.end()
        self._failing = False
        for _ in entries:
            self._entries.popleft()
        for subject in subjects:
            if self._subjects[subject.participant_id] is subject:
                del self._subjects[subject.participant_id]
        self._oldest_at = asyncio.get_running_loop().time() if self._pending else None
        if entries:
            self.release(entries[-1].seq)
            self._tell_unsaved()
        return True


def _may_pass(error: Exception) -> bool:
    """Whether it is the ledger's state that an append failed for, rather than what it holds."""
    if isinstance(error, SwitchboardError):
        return error.retryable
    return isinstance(error, TimeoutError)
