"""Takeover: a session whose actor is gone continues on a standby, under the next epoch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from actors.chores import Chores
from actors.ledger.audience import Audience
from actors.ledger.database import Database
from actors.ledger.live import Directory, Live
from actors.ledger.parts import before_the_last, size_of, split
from actors.ledger.policy import LedgerPolicy
from actors.ledger.presence import Key
from actors.ledger.probe import Verdict, probe
from actors.ledger.rows import Ending, Grant, Settle, load_journal, session_ended
from actors.ledger.standbys import MOVE, RESCUE, Actor, Standbys
from actors.ledger.stop import stop
from actors.ledger.writer import Writer
from actors.link import Tls, call
from broker.errors import ErrorCode, Gone, NotFound, SwitchboardError, Unavailable
from broker.messages.cluster.base import Done
from broker.messages.cluster.tenure import (
    Journalled,
    SessionContinue,
    SessionKeep,
    SessionYield,
)
from broker.messages.cluster.trunk import Location
from broker.words import EndReason, SessionPhase

_log = logging.getLogger(__name__)


class Rescue:
    """Finds sessions without a holder a new one, one attempt per session at a time.

    An attempt first asks the old holder for a sign of life: refused means dead, silent means
    fenced; one that can be reached has `return_s` to bring back its link. Each attempt costs a
    standby and an epoch, and `takeover_limit` within the window end the session: an event whose
    replay kills standbys must not eat the pool. A move, whose holder lives and agrees, costs no
    part of that limit.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        directory: Directory,
        standbys: Standbys,
        audience: Audience,
        chores: Chores,
        policy: LedgerPolicy,
        now_ms: Callable[[], int],
        on_live_changed: Callable[[Key], None],
        tls: Tls | None = None,
    ) -> None:
        self._tls = tls
        self._database = database
        self._writer = writer
        self._directory = directory
        self._standbys = standbys
        self._audience = audience
        self._chores = chores
        self._policy = policy
        self._now_ms = now_ms
        self._on_live_changed = on_live_changed
        self.failed = 0
        """Sessions ended because no actor could go on with them."""
        self.moving = 0
        """Sessions that have a standby and are on their way to it."""

    def begin(self, live: Live) -> None:
        """See to it that somebody holds the session, or that one that is over is ended in its
        record; a running attempt goes on."""
        if live.rescue is None and not live.ended:
            live.rescue = self._chores.start(self._run(live))

    async def located(self, live: Live) -> Location:
        """Wait for the attempt at work, `settle_s` at most, and say where the session is then.

        Raises:
            Gone: `session_ended`.
            Unavailable: `session_away`.
        """
        task = live.rescue
        if task is not None:
            await asyncio.wait({task}, timeout=self._policy.settle_s)
        location = live.location()
        if live.ended:
            raise session_ended()
        if live.rescue is not None or live.holder is None or location is None:
            raise Unavailable(ErrorCode.SESSION_AWAY, "The session is being taken over.")
        return location

    async def move(self, live: Live, *, timeout_s: float) -> bool:
        """Continue a session on another standby while its holder lives; say whether it moved.

        Raises:
            Unavailable: `no_capacity`: no standby came within `timeout_s`.
        """
        holder = live.holder
        if holder is None or live.rescue is not None:
            return False
        standby = await self._standbys.take(
            MOVE,
            live.created_ms,
            timeout_s=timeout_s,
            account_id=live.account_id,
            label=live.label,
        )
        if live.holder is not holder or live.rescue is not None or live.ended:
            self._standbys.add(standby)
            return False
        with self._on_the_way():
            live.rescue = self._chores.start(self._move(live, holder, standby))
            if live.rescue is None:
                self._standbys.add(standby)
                return False
            await asyncio.wait({live.rescue})
        return live.holder is standby

    async def end(self, live: Live, reason: EndReason) -> None:
        """End a session in its record, because no actor can."""
        await self.close(live, reason)
        self.failed += 1
        _log.warning(
            "The ledger ended a session.",
            extra={"session_id": live.session_id, "reason": str(reason)},
        )

    async def close(self, live: Live, reason: EndReason) -> None:
        """End a session in its record, and whoever holds it: their widgets find it ended."""
        await self._writer.do(Ending(live.session_id, reason, self._now_ms()))
        self._audience.journal_grew(live.account_id, live.session_id)
        live.epoch += 1
        if live.holder is not None:
            stop(self._chores, live.holder)
        self.forget(live)

    def forget(self, live: Live) -> None:
        """Take an ended session out of the directory."""
        self._directory.remove(live)
        if live.holder is not None:
            live.holder.session_id = None
        self._on_live_changed(live.key)
        self._audience.level_changed()

    async def _run(self, live: Live) -> None:
        try:
            if live.ends_as is not None:
                await self.close(live, live.ends_as)
            elif not await self._still_held(live):
                await self._find_home(live)
        except (Gone, NotFound):
            # Its end was written, and whoever wrote it did not live to hear that it was.
            self.forget(live)
        except (SwitchboardError, sa.exc.SQLAlchemyError, OSError) as error:
            # Homeless still; whoever asks next, or the reconciler, begins anew.
            _log.warning(
                "A takeover was given up.",
                extra={"session_id": live.session_id, "why": repr(error)},
            )
        finally:
            live.rescue = None

    async def _find_home(self, live: Live) -> None:
        while not live.ended and live.holder is None:
            if self._exhausted(live):
                await self.end(live, EndReason.TAKEOVER_EXHAUSTED)
                return
            standby = await self._standbys.take(
                RESCUE,
                live.created_ms,
                timeout_s=self._policy.lost_after_ms / 1000,
                account_id=live.account_id,
                label=live.label,
                # A node dies process by process: its standbys may be the next.
                rather_not=live.left_node,
            )
            if live.ended or live.holder is not None:
                self._standbys.add(standby)
                return
            with self._on_the_way():
                await self._continue(live, standby)

    async def _move(self, live: Live, holder: Actor, standby: Actor) -> None:
        epoch = live.epoch
        try:
            if not await self._yields(live, holder):
                self._standbys.add(standby)
                return
            await self._continue(live, standby, polite=True)
        except (SwitchboardError, sa.exc.SQLAlchemyError, OSError) as error:
            _log.warning(
                "A move was given up.",
                extra={"session_id": live.session_id, "why": repr(error)},
            )
        finally:
            live.rescue = None
            if live.epoch == epoch:
                keep = SessionKeep(session_id=live.session_id, epoch=epoch)
                holder.end.notify("session.keep", keep.to_bytes())
            elif not live.ended:
                # Its epoch is over, whether or not the standby came to hold the session.
                if live.holder is holder:
                    live.unsettle(self._now_ms())
                if self._chores.start(self._part_from(holder)) is None:
                    stop(self._chores, holder)
            if live.holder is None:
                self.begin(live)

    @contextmanager
    def _on_the_way(self) -> Iterator[None]:
        """Tell the pools, which start nothing meanwhile that would hold a session up."""
        self.moving += 1
        try:
            yield
        finally:
            self.moving -= 1
            self._audience.level_changed()

    async def _yields(self, live: Live, holder: Actor) -> bool:
        ask = SessionYield(session_id=live.session_id, epoch=live.epoch)
        try:
            await call(holder.end, ask, Done, timeout_s=self._policy.yield_s)
        except (SwitchboardError, ValueError) as error:
            _log.info(
                "A holder did not yield.",
                extra={"session_id": live.session_id, "why": repr(error)},
            )
            return False
        return not live.ended

    async def _part_from(self, holder: Actor) -> None:
        """Stop the old holder once the widgets had time to build their new connections."""
        await asyncio.sleep(self._policy.linger_s)
        stop(self._chores, holder)

    async def _still_held(self, live: Live) -> bool:
        holder = live.holder
        if live.member_id is None or live.host is None or live.port is None:
            # Its last holder has no part in the present epoch, whether or not it lives.
            return False
        verdict = await probe(
            live.host,
            live.port,
            None if holder is None else holder.end,
            timeout_s=self._policy.probe_s,
            tls=self._tls,
        )
        if verdict is Verdict.ALIVE and live.holder is None:
            try:
                async with asyncio.timeout(self._policy.return_s):
                    await live.returned.wait()
            except TimeoutError:
                return False
        if verdict is Verdict.ALIVE or (live.holder is not None and live.holder is not holder):
            return live.holder is not None or live.ended
        if live.holder is not None:
            # From here on it is not the holder, even if it dials again before the grant.
            stop(self._chores, live.holder)
            live.unsettle(self._now_ms())
            live.member_id = None
        return False

    def _exhausted(self, live: Live) -> bool:
        since = self._now_ms() - self._policy.takeover_window_ms
        while live.granted_ms and live.granted_ms[0] < since:
            live.granted_ms.popleft()
        return len(live.granted_ms) >= self._policy.takeover_limit

    async def _continue(self, live: Live, standby: Actor, *, polite: bool = False) -> None:
        """Try one standby; one that fails is stopped, because nobody knows what it holds.

        Raises:
            SwitchboardError, SQLAlchemyError, OSError: the database failed; no other standby
                would fare better.
        """
        if standby.end.link.closed:
            # It went as it was given away: nothing was tried.
            return
        # First the epoch, then the journal: what the old holder still sends is refused before the
        # journal is read, so none of it can be missing from what the standby gets.
        standby.session_id = live.session_id
        try:
            await self._grant(live, standby, polite=polite)
            entries, subjects = await self._database.read(
                lambda connection: load_journal(connection, live.session_id)
            )
        except BaseException:
            standby.session_id = None
            self._standbys.add(standby)
            raise
        journal = split(entries)
        # Who does not read people in parts would overlook them, and store them as unknown.
        people = split(subjects) if standby.member.people_in_parts else [subjects]
        if sum(map(size_of, [*entries, *subjects])) > self._policy.journal_limit_bytes:
            # No standby could keep it; trying them one by one would only eat the pool.
            standby.session_id = None
            self._standbys.add(standby)
            await self.end(live, EndReason.TAKEOVER_EXHAUSTED)
            return
        try:
            for part in before_the_last(live.session_id, live.epoch, journal, people):
                await call(standby.end, part, Done, timeout_s=self._policy.continue_s)
            ask = SessionContinue(
                session_id=live.session_id,
                epoch=live.epoch,
                account_id=live.account_id,
                engagement_key=live.engagement_key,
                ids=live.ids,
                policy=dict(self._policy.session),
                entries=journal[-1],
                subjects=people[-1],
                now_ms=self._now_ms(),
            )
            # A long one takes its time: three standbys given up over it would cost it the session.
            more_s = len(entries) * self._policy.continue_event_s
            first = await call(
                standby.end, ask, Journalled, timeout_s=self._policy.continue_s + more_s
            )
        except BaseException as error:
            stop(self._chores, standby)
            if not isinstance(error, SwitchboardError | ValueError):
                raise
            _log.warning(
                "A standby failed to take over.",
                extra={"session_id": live.session_id, "why": repr(error)},
            )
            return
        try:
            phase = await self._writer.do(
                Settle(live.session_id, live.epoch, first, standby.member)
            )
        except BaseException:
            stop(self._chores, standby)
            raise
        self._on_settled(live, standby, phase)

    async def _grant(self, live: Live, standby: Actor, *, polite: bool) -> None:
        now_ms = self._now_ms()
        live.granting = True
        try:
            live.epoch = await self._writer.do(
                Grant(live.session_id, live.epoch, standby.member, now_ms, polite)
            )
            if not polite:
                live.granted_ms.append(now_ms)
            live.member_id = None
        finally:
            live.granting = False

    def _on_settled(self, live: Live, standby: Actor, phase: SessionPhase) -> None:
        self._audience.journal_grew(live.account_id, live.session_id)
        if standby.end.link.closed:
            return  # It died in the same moment: still homeless, the next one is tried.
        live.settle(standby)
        live.commit_to(standby)
        if phase is SessionPhase.ENDED:
            self.forget(live)
            return
        location = live.location()
        assert location is not None
        self._audience.relocated(location)
        self._on_live_changed(live.key)
