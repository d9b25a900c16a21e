"""Group commit: one task writes, and whatever waits meanwhile shares the next transaction."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa

from actors.ledger.database import Database, TermLost, Work
from actors.ledger.journal import Append, Appended, append_all
from broker.errors import ErrorCode, Internal, SwitchboardError, Unavailable

T = TypeVar("T")

_log = logging.getLogger(__name__)
_AWAY = ("08", "25006", "25P03", "28", "3D", "53", "55", "57", "58")
"""States, and classes of them, in which the database is the problem: it cannot be reached, has
become a replica, has given this ledger up, lets nobody in, is missing, is full, holds up what was
asked, is starting or stopping, or its disk fails (PostgreSQL's manual, appendix A)."""
_UNDONE = "40"
"""The class in which it undid a transaction for the sake of another: it may go well once more."""
_TRIES = 3
"""Of one transaction that is undone."""


@dataclass(slots=True)
class _Write:
    work: Append | Work[Any]
    outcome: asyncio.Future[Any]


class Writer:
    """All writes of a ledger, in the order they were asked for.

    A refused write harms no other one of its transaction, and one that fails only holds the others
    up. At most `writes_limit` wait; further ones get `ledger_away`. `on_failed` is told of each
    transaction that fails. When the term is lost everything fails, `on_term_lost` is told once, and
    the writer stops. The ledger calls `close()`, which lets the transaction at work finish and
    fails the rest.
    """

    def __init__(
        self,
        database: Database,
        *,
        batch_limit: int = 512,
        writes_limit: int = 20_000,
        commit_s: float = 10.0,
        on_term_lost: Callable[[], None] = lambda: None,
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._batch_limit = batch_limit
        self._writes_limit = writes_limit
        self._commit_s = commit_s
        self._on_term_lost = on_term_lost
        self._on_failed = on_failed
        self._waiting: deque[_Write] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._task: asyncio.Task[None] | None = None
        self.transactions = 0
        """Transactions committed so far."""

    @property
    def waiting(self) -> int:
        """Writes that wait for the transaction at work."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to write."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop after the transaction at work; harmless when closed."""
        self._closed = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait({task}, timeout=self._commit_s)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._refuse_waiting()

    def append(self, append: Append) -> asyncio.Future[Appended]:
        """Queue an append at once, so that calls keep their order; the future says what came."""
        return self._queue(append)

    async def do(self, job: Work[T]) -> T:
        """Run `job` in a write transaction; what it raises undoes its statements and no other's.

        It may run in a thread, and touches nothing but its connection.

        Raises:
            Unavailable: `ledger_away`: the database is away, or may not be written any more.
        """
        outcome: asyncio.Future[T] = self._queue(job)
        return await outcome

    def _queue(self, work: Append | Work[Any]) -> asyncio.Future[Any]:
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._closed or len(self._waiting) >= self._writes_limit:
            outcome.set_exception(_away())
        else:
            self._waiting.append(_Write(work, outcome))
            self._wake.set()
        return outcome

    async def _run(self) -> None:
        while not self._closed:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting and not self._closed:
                size = min(self._batch_limit, len(self._waiting))
                batch = [self._waiting.popleft() for _ in range(size)]
                try:
                    await self._settle(batch)
                except TermLost:
                    _log.error("Another ledger has taken the term; this one stops.")
                    self._closed = True
                    _fail(batch, _away())
                    self._on_term_lost()
                except BaseException:
                    _fail(batch, _away())
                    raise
        self._refuse_waiting()

    async def _settle(self, batch: list[_Write]) -> None:
        """Commit a batch; one that fails by halves, in order, until what does not fit is alone.

        The halves have `commit_s` together, and the database itself may fail meanwhile: whoever
        writes next waits for all of it. What is left then is refused, to be asked for once more.
        """
        loop = asyncio.get_running_loop()
        deadline, parts = loop.time() + self._commit_s, [batch]
        while parts:
            part = parts.pop()
            error = await self._try(part, deadline)
            if error is None:
                continue
            if part is batch:
                deadline = loop.time() + self._commit_s
            if len(part) > 1 and not _is_away(error):
                # Of a batch that fails one failure counts, however many halves fail with it.
                if part is batch:
                    self._on_failed()
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                continue
            _log.error("A write failed.", extra={"writes": len(part)}, exc_info=error)
            self._on_failed()
            if _is_away(error):
                parts.append(part)
                break
            _fail(part, Internal(ErrorCode.INTERNAL, "The write does not fit the database."))
        for part in parts:
            _fail(part, _away())

    async def _try(self, batch: list[_Write], deadline: float) -> Exception | None:
        """Commit writes and answer them, or say what failed; what was undone is tried again."""
        for tries_left in reversed(range(_TRIES)):
            try:
                async with asyncio.timeout_at(deadline):
                    outcomes = await self._commit(batch)
            except TermLost:
                raise
            except Exception as error:
                # Whatever it was, the writer goes on: one entry that nobody can store must not stop
                # the journals of all others.
                if not (_state(error).startswith(_UNDONE) and tries_left):
                    return error
                self._on_failed()
            else:
                _answer(batch, outcomes)
                break
        return None

    async def _commit(self, batch: list[_Write]) -> list[Any]:
        outcomes = await self._database.write(lambda connection: _apply(connection, batch))
        self.transactions += 1
        return outcomes

    def _refuse_waiting(self) -> None:
        _fail(self._waiting, _away())
        self._waiting.clear()


def _apply(connection: sa.Connection, batch: list[_Write]) -> list[Any]:
    """Do the work of a batch, appends that follow one another at once; return what came of each."""
    outcomes: list[Any] = []
    run: list[Append] = []
    for write in batch:
        if isinstance(write.work, Append):
            run.append(write.work)
            continue
        outcomes += _append(connection, run)
        outcomes.append(_do(connection, write.work))
    outcomes += _append(connection, run)
    return outcomes


def _append(connection: sa.Connection, run: list[Append]) -> list[Appended | SwitchboardError]:
    outcomes = append_all(connection, run) if run else []
    run.clear()
    return outcomes


def _do(connection: sa.Connection, job: Work[Any]) -> Any:
    try:
        with connection.begin_nested():
            return job(connection)
    except (SwitchboardError, sa.exc.IntegrityError) as error:
        return error


def _answer(batch: list[_Write], outcomes: list[Any]) -> None:
    for write, outcome in zip(batch, outcomes, strict=True):
        if write.outcome.done():
            continue
        if isinstance(outcome, Exception):
            write.outcome.set_exception(outcome)
        else:
            write.outcome.set_result(outcome)


def _fail(batch: list[_Write] | deque[_Write], error: SwitchboardError) -> None:
    for write in batch:
        if not write.outcome.done():
            write.outcome.set_exception(error)


def _away() -> SwitchboardError:
    return Unavailable(ErrorCode.LEDGER_AWAY, "The ledger cannot write now.")


def _is_away(error: Exception) -> bool:
    """Whether the database is the problem, rather than what was written."""
    if _state(error).startswith((*_AWAY, _UNDONE)):
        return True
    if isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated:
        return True
    return isinstance(
        error, OSError | sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError
    )


def _state(error: Exception) -> str:
    """Return PostgreSQL's SQLSTATE, empty without one; much of it comes as no class of its own."""
    orig = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    return getattr(orig, "sqlstate", None) or ""
