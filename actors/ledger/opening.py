"""Giving an engagement a session: once, on a standby, within a bound."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from actors.chores import Chores
from actors.ledger.audience import Audience
from actors.ledger.database import Database
from actors.ledger.live import Directory, Live
from actors.ledger.policy import LedgerPolicy
from actors.ledger.presence import Key, Presence, Watching
from actors.ledger.rescue import Rescue
from actors.ledger.rows import NewSession, already_live, find_session, where_it_was
from actors.ledger.sharing import KEPT_MS
from actors.ledger.standbys import Actor, Standbys
from actors.ledger.stop import stop
from actors.ledger.under_way import UnderWay, withdrawn
from actors.ledger.writer import Writer
from actors.link import End, call
from broker.errors import (
    Conflict,
    ErrorCode,
    Gone,
    NotFound,
    SwitchboardError,
    TooFast,
    Unavailable,
)
from broker.messages.cluster.base import Done
from broker.messages.cluster.sessions import SessionOpen, SessionWithdraw
from broker.messages.cluster.tenure import Journalled, SessionAssign
from broker.messages.cluster.trunk import Location
from broker.words import EndReason, SessionPhase

TRIES = 3
"""Standbys that are asked for one session."""

_log = logging.getLogger(__name__)


class Openings:
    """The sessions that are being opened.

    An engagement is taken from the first look on: here until its session is in the database, in
    the directory and there from then on.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        directory: Directory,
        standbys: Standbys,
        rescue: Rescue,
        audience: Audience,
        presence: Presence[End],
        chores: Chores,
        policy: LedgerPolicy,
        now_ms: Callable[[], int],
        on_live_changed: Callable[[Key], None],
        load: Callable[[], Awaitable[None]],
    ) -> None:
        """`load` takes up what the database has and the directory lacks: a session whose commit
        nobody heard of."""
        self._load = load
        self._database = database
        self._writer = writer
        self._directory = directory
        self._standbys = standbys
        self._rescue = rescue
        self._audience = audience
        self._presence = presence
        self._chores = chores
        self._policy = policy
        self._now_ms = now_ms
        self._on_live_changed = on_live_changed
        self._under_way: dict[Key, UnderWay] = {}
        """By engagement."""
        self._paused_until_ms = 0

    def pause(self, for_ms: int) -> int:
        """Open no session for so long, 0 for again; say how many are being opened now."""
        self._paused_until_ms = self._now_ms() + for_ms
        return len(self._under_way)

    async def open(
        self, ask: SessionOpen, on_queued: Callable[[float], None] = lambda within_s: None
    ) -> Location:
        """Create a session on a standby; `on_queued` is told how long it waits for one at most.

        A request that names its session and is said again is answered with what it made, for a day
        also where that is over.

        Raises:
            Conflict: `already_live`.
            TooFast: `rate_limited`: the account has as many live sessions as it may.
            Gone: `withdrawn`, or who asked went and did not come back in time.
            Unavailable: `no_capacity`; `ledger_away`; `session_away`: the same request is at it;
                `shutting_down`: openings are paused.
        """
        row = None if ask.session_id is None else await self._named(ask.session_id)
        if row is not None and row.phase == str(SessionPhase.ENDED) and self._counts(row):
            return where_it_was(row)
        name = secrets.token_urlsafe(16) if row is not None else ask.session_id
        key = (ask.account_id, ask.engagement_key)
        if row is not None and key not in self._under_way and self._directory.of(key) is None:
            await self._load()
        live = self._directory.of(key)
        if live is not None and live.ends_as is not None:
            self._rescue.begin(live)
            with suppress(Gone):
                await self._rescue.located(live)
            live = self._directory.of(key)
        if live is not None and live.session_id == ask.session_id:
            if live.holder is None:
                self._rescue.begin(live)
            return await self._rescue.located(live)
        begun = self._under_way.get(key)
        if (
            begun is not None
            and ask.session_id is not None
            and begun.ask.session_id == ask.session_id
        ):
            raise Unavailable(ErrorCode.SESSION_AWAY, "The session is being opened already.")
        if begun is not None or live is not None:
            raise already_live()
        opening = sum(account_id == ask.account_id for account_id, _ in self._under_way)
        if opening + self._directory.count(ask.account_id) >= self._policy.live_per_account:
            raise TooFast(ErrorCode.RATE_LIMITED, "The account has too many live sessions.")
        if self._now_ms() < self._paused_until_ms:
            raise Unavailable(ErrorCode.SHUTTING_DOWN, "The deployment is about to end.")
        self._under_way[key] = way = UnderWay(ask, self._tell_waits)
        self.on_watched(key)
        try:
            live = await self._open(name or secrets.token_urlsafe(16), way, on_queued)
        except BaseException:
            way.fail()
            raise
        finally:
            del self._under_way[key]
            way.over.set()
        location = live.location()
        assert location is not None
        self._audience.journal_grew(live.account_id, live.session_id)
        if not live.ended:
            self._on_live_changed(key)
            self._audience.level_changed()
        return location

    def on_watched(self, key: Key) -> None:
        """Somebody came to an engagement, or went: it may be for them that it is given a session.

        What was given one is the session's, which has a time of its own for who is gone.
        """
        way = self._under_way.get(key)
        if way is not None:
            way.look(self._presence.watchers(key))

    def _tell_waits(self, watching: Watching[End], within_s: float) -> None:
        self._audience.queued(watching.gateway, watching.connection_id, within_s)

    async def withdraw(self, ask: SessionWithdraw) -> Done:
        """Take a start back. What it has led to by now is ended, as by the agent.

        Raises:
            NotFound: `unknown_session`: that connection has begun nothing here that is not over.
            Unavailable: `ledger_away`: its end could not be written.
        """
        key = (ask.account_id, ask.engagement_key)
        way, live = self._under_way.get(key), self._directory.of(key)
        if way is not None and way.connection_id == ask.connection_id:
            way.withdraw()
            await way.over.wait()
        elif live is not None and live.opened_by == ask.connection_id:
            await self._rescue.close(live, EndReason.ENDED_BY_AGENT)
        else:
            raise NotFound(ErrorCode.UNKNOWN_SESSION, "This connection has begun no session here.")
        return Done()

    async def _open(
        self, session_id: str, way: UnderWay, on_queued: Callable[[float], None]
    ) -> Live:
        ask, now_ms = way.ask, self._now_ms()
        standby, first = await self._assigned(session_id, way, now_ms, on_queued)
        try:
            phase = await self._writer.do(
                NewSession(session_id, ask, first, standby.member, now_ms)
            )
        except BaseException as error:
            stop(self._chores, standby)
            if isinstance(error, Conflict):
                await self._load()
            raise
        live = Live(
            session_id=session_id,
            account_id=ask.account_id,
            engagement_key=ask.engagement_key,
            ids=ask.ids,
            created_ms=now_ms,
            epoch=1,
            member_id=None,
            host=None,
            port=None,
            label=ask.label,
            opened_by=way.connection_id,
        )
        if way.withdrawn:
            # Its actor has not heard that it is durable, so nobody was told of it.
            stop(self._chores, standby)
            await self._end(live)
            raise withdrawn()
        live.settle(standby)
        if phase is SessionPhase.ENDED:
            live.ended = True
            return live
        self._directory.add(live)
        if standby.end.link.closed:
            live.unsettle(now_ms)
            self._rescue.begin(live)
        live.commit_to(standby)
        return live

    async def _end(self, live: Live) -> None:
        """End what was taken back; where that cannot be written now, as soon as it can be."""
        try:
            await self._rescue.close(live, EndReason.ENDED_BY_AGENT)
        except SwitchboardError as error:
            _log.warning(
                "A start that was taken back is not ended yet.",
                extra={"session_id": live.session_id, "why": str(error)},
            )
            live.ends_as, live.homeless_ms = EndReason.ENDED_BY_AGENT, self._now_ms()
            self._directory.add(live)

    async def _named(self, session_id: str) -> sa.Row[Any] | None:
        """Find the session of this name, live or over."""
        return next(iter(await self._database.rows(find_session(session_id))), None)

    def _counts(self, row: sa.Row[Any]) -> bool:
        """Whether the request that named a session may still be said again."""
        return bool(row.created_ms > self._now_ms() - KEPT_MS)

    async def _assigned(
        self,
        session_id: str,
        way: UnderWay,
        now_ms: int,
        on_queued: Callable[[float], None],
    ) -> tuple[Actor, Journalled]:
        """Find a standby that takes the session. One that fails is stopped, the next is asked.

        None is asked when its gateway might not hear of it any more
        (`gateway.settings.Limits.open_timeout_s`).
        """
        ask, loop = way.ask, asyncio.get_running_loop()
        deadline = loop.time() + self._policy.capacity_wait_s
        for _ in range(TRIES):
            # One wait in all: who was given one that fails has waited already.
            standby = await way.standby(self._standbys, now_ms, deadline, on_queued)
            standby.session_id = session_id
            assign = SessionAssign(
                session_id=session_id,
                epoch=1,
                account_id=ask.account_id,
                engagement_key=ask.engagement_key,
                ids=ask.ids,
                mode=ask.mode,
                owner=ask.owner,
                policy={**self._policy.session, **ask.policy},
                now_ms=self._now_ms(),
                opened_by=way.connection_id,
            )
            try:
                first = await call(standby.end, assign, Journalled, timeout_s=self._policy.assign_s)
            except BaseException as error:
                stop(self._chores, standby)
                if not isinstance(error, SwitchboardError | ValueError):
                    raise
                _log.warning(
                    "A standby did not take its session.",
                    extra={
                        "session_id": session_id,
                        "node": standby.member.node,
                        "why": repr(error),
                    },
                )
                if loop.time() >= deadline + self._policy.assign_s:
                    break
            else:
                if way.withdrawn:
                    stop(self._chores, standby)
                    raise withdrawn()
                return standby, first
        raise Unavailable(ErrorCode.NO_CAPACITY, "No standby took the session.")
