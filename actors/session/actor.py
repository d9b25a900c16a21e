"""The session actor: a standby that becomes one session, and listens for its trunks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from actors.chores import Chores
from actors.ledger_link import LedgerLink
from actors.link import Request
from actors.listener import Listener
from actors.session.arrivals import Arrivals
from actors.session.clock import agreed
from actors.session.colleagues import R
from actors.session.config import SessionConfig
from actors.session.live import LiveSession, new_id
from actors.session.measuring import Measuring
from actors.session.past import Past
from actors.session.trunks import Trunks
from broker.errors import (
    Conflict,
    ErrorCode,
    Malformed,
    SwitchboardError,
    TooFast,
    Unavailable,
)
from broker.messages.cluster.base import Done, read
from broker.messages.cluster.members import Enlisted, LinkHello, SessionMember
from broker.messages.cluster.tenure import (
    JournalAppend,
    Journalled,
    SessionAssign,
    SessionCommitted,
    SessionContinue,
    SessionKeep,
    SessionLeaving,
    SessionPast,
    SessionRing,
    SessionYield,
)
from broker.messages.colleagues import ColleagueDeclined
from broker.policy import Policy
from broker.words import SessionPhase

_LOG = logging.getLogger(__name__)
APPEND_TIMEOUT_S = 5.0
ASK_TIMEOUT_S = 3.0
"""For what a person waits for and may ask again."""
UNSAVED_S = 120.0
"""How long an actor whose session has ended waits for the ledger. One that leaves earlier leaves a
session that looks live, and a standby would take it over and ring again."""
LAST_WORDS_S = 1.0
FREEZE_TIMEOUT_S = 1.5
"""Below the ledger's own `yield_s`, so that it hears the refusal."""
WATCH_BEATS = 10
"""How often within `lonely_s` the actor looks whether it is cut off, and how late its loop is."""


class SessionActor:
    """Hosts one session.

    Closed by whoever hosts it (`close`), or over by itself: `on_over` is called once when its
    session has ended and everything of it is durable or fenced. It closes its trunks, its session
    and its ledger link.
    """

    def __init__(
        self,
        config: SessionConfig,
        resolve_ledger: Callable[[], Awaitable[tuple[str, int]]],
        *,
        now_ms: Callable[[], int],
        on_over: Callable[[], None],
    ) -> None:
        self._config = config
        self._now_ms = now_ms
        self._on_over = on_over
        self._member_id = new_id()
        self._session: LiveSession | None = None
        self._committed = False
        self._past = Past()
        self._chores = Chores(limit=64)
        self._trunks = Trunks(WATCH_BEATS)
        self._arrivals = Arrivals(self._trunks, config.traces)
        self._listener = Listener(config.trunk_key, self._arrivals.on_hello, tls=config.tls)
        self._link = LedgerLink(
            resolve_ledger,
            config.trunk_key,
            LinkHello(kind="session", member_id=self._member_id, node=config.node),
            enlist=self._enlist,
            on_call=self._on_call,
            on_notice=self._on_notice,
            on_down=self._on_ledger_down,
            tls=config.tls,
        )
        self._measuring = Measuring(self._link.notify, config.report_s)
        self._committing: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._port = 0
        self._media_port = 0
        self._clean = False

    @property
    def reusable_for(self) -> str | None:
        """The account whose next session this process may hold.

        `None` when it held no session, or one that did not end as it should.
        """
        return self._session.account_id if self._clean and self._session is not None else None

    @property
    def media_port(self) -> int:
        """The UDP port its session had, 0 if there was none."""
        return self._media_port

    @property
    def member_id(self) -> str:
        """This process's random id."""
        return self._member_id

    async def start(self) -> None:
        """Listen for trunks and enlist with the ledger as a standby."""
        self._port = await self._listener.start(self._config.trunk_host, 0)
        await self._link.start()
        self._watching = asyncio.create_task(self._watch(), name="session-watch")

    async def close(self) -> None:
        """Stop at once; what is not yet durable stays with the ledger's takeover."""
        tasks = [t for t in (self._watching, self._committing, self._ending) if t is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.close()
        if self._session is not None:
            await self._session.close()
        await self._chores.close()
        await self._link.close()

    # Ledger side.

    @property
    def reachable(self) -> bool:
        """Whether the ledger link stands."""
        return self._link.is_up

    async def append(self, append: JournalAppend) -> None:
        """Make entries durable (see `JournalStore`)."""
        await self._link.call(append, Done, timeout=APPEND_TIMEOUT_S)

    def _ask_ledger(
        self,
        request: Request,
        reply: type[R],
        then: Callable[[R], None],
        refused: Callable[[SwitchboardError], None],
    ) -> None:
        async def ask() -> None:
            try:
                said = await self._link.call(request, reply, timeout=ASK_TIMEOUT_S)
            except SwitchboardError as error:
                refused(error)
            except TimeoutError:
                refused(Unavailable(ErrorCode.LEDGER_AWAY, "The ledger is away."))
            else:
                then(said)

        if self._chores.start(ask()) is None:
            refused(TooFast(ErrorCode.RATE_LIMITED, "Too much is being asked; wait a little."))

    def _ring_waiting(self, session_id: str, claim_hash: str) -> None:
        self._chores.start(
            self._say_ring(SessionRing(session_id=session_id, claim_hash=claim_hash))
        )

    async def _say_ring(self, ring: SessionRing) -> None:
        try:
            await self._link.call(ring, Done, timeout=APPEND_TIMEOUT_S)
        except (SwitchboardError, TimeoutError) as error:
            # Whoever was let in rings on coming again; the agent sees the open link.
            _LOG.warning("not rung", extra={"session_id": ring.session_id, "error": str(error)})

    def _on_ledger_down(self) -> None:
        """A move that was under way is nobody's any more, as far as can be known here.

        A successor that there is all the same has a higher epoch. Until the ledger is back what
        reduces exposure must act at once, as it does whenever the ledger is away.
        """
        self._past.forget()
        if self._session is not None and self._ending is None:
            self._session.thaw()

    async def _enlist(self, link: LedgerLink) -> None:
        session = self._session
        member = SessionMember(
            member_id=self._member_id,
            node=self._config.node,
            host=self._config.trunk_host,
            port=self._port,
            session_id=None if session is None else session.session_id,
            epoch=0 if session is None else session.epoch,
            label=self._config.label,
            account_id=self._config.account_id,
            process=self._config.process,
            people_in_parts=True,
        )
        enlisted = await link.call(member, Enlisted, timeout=APPEND_TIMEOUT_S)
        if not enlisted.keep:
            self._over(fenced=True)
        elif session is not None:
            # As when the link went down: the word to yield may have come in that moment.
            session.thaw()

    async def _on_call(self, method: str, payload: bytes) -> Journalled | Done:
        match method:
            case SessionAssign.method:
                assign = read(SessionAssign, payload)
                session = self._become(assign)
                return session.begin(assign)
            case SessionContinue.method:
                given = self._past.whole(read(SessionContinue, payload))
                return self._become(given).resume(given)
            case SessionPast.method:
                self._past.add(read(SessionPast, payload))
                return Done()
            case SessionYield.method:
                await self._yield(read(SessionYield, payload))
                return Done()
            case "session.stop":
                self._over(fenced=True)
                return Done()
            case _:
                raise Malformed(ErrorCode.MALFORMED, "The ledger asked for something unknown.")

    async def _yield(self, ask: SessionYield) -> None:
        session = self._session
        if session is None or (session.session_id, session.epoch) != (ask.session_id, ask.epoch):
            raise Conflict(ErrorCode.STALE_EPOCH, "This actor does not hold that.")
        if not self._committed or not await session.freeze(FREEZE_TIMEOUT_S):
            session.thaw()
            raise Unavailable(ErrorCode.SESSION_AWAY, "What was decided is not durable yet.")

    def _on_notice(self, method: str, payload: bytes) -> None:
        if method == "session.keep":
            keep = read(SessionKeep, payload)
            if self._session is not None and self._session.epoch == keep.epoch:
                self._session.thaw()
            return
        if method == "session.leaving":
            leaving = read(SessionLeaving, payload)
            if self._session is not None and self._session.epoch == leaving.epoch:
                self._session.announce_move(leaving.within_ms)
            return
        if method == "colleague.declined":
            declined = read(ColleagueDeclined, payload)
            if self._session is not None and self._session.session_id == declined.session_id:
                self._session.asking.on_declined(declined)
            return
        if method == "session.committed":
            self._on_committed(payload)

    def _on_committed(self, payload: bytes) -> None:
        try:
            committed = read(SessionCommitted, payload)
        except ValueError:
            if self._committing is None:
                # Nobody says it again, and whoever comes would wait here: another may read it.
                self._over(fenced=True)
            raise
        session = self._session
        if (
            session is not None
            and (session.session_id, session.epoch) == (committed.session_id, committed.epoch)
            and self._committing is None
        ):
            self._committing = asyncio.create_task(self._commit(session), name="session-commit")

    async def _commit(self, session: LiveSession) -> None:
        try:
            await session.commit()
        except Exception:
            # Without its relay it is no session: another standby, perhaps on another node, is.
            _LOG.exception("session not opened", extra={"session_id": session.session_id})
            self._over(fenced=True)
            return
        self._media_port = session.media.port
        self._committed = True
        self._arrivals.begin()

    def _become(self, given: SessionAssign | SessionContinue) -> LiveSession:
        if self._session is not None:
            raise Conflict(ErrorCode.ALREADY_LIVE, "This actor holds a session already.")
        if self._config.account_id not in (None, given.account_id):
            raise Conflict(ErrorCode.ALREADY_LIVE, "This actor is another account's.")
        session = LiveSession(
            given.session_id,
            given.epoch,
            given.account_id,
            given.engagement_key,
            given.ids,
            Policy().with_known(given.policy),
            config=self._config,
            store=self,
            now_ms=agreed(self._now_ms, given.now_ms),
            ring_waiting=lambda claim_hash: self._ring_waiting(given.session_id, claim_hash),
            tell_unsaved=self._trunks.tell_unsaved,
            ask_ledger=self._ask_ledger,
            heard=self._trunks.answer,
            on_over=lambda session: self._over(fenced=session.durable.phase != SessionPhase.ENDED),
        )
        self._session = session
        self._arrivals.expect(session)
        return session

    def _over(self, *, fenced: bool) -> None:
        if fenced and self._session is not None:
            # At once: what else waits in this turn of the loop could be media.
            self._session.fall_silent()
        if self._ending is None:
            self._ending = asyncio.create_task(self._finish(fenced), name="session-finish")

    async def _finish(self, fenced: bool) -> None:
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.gather(self._committing, return_exceptions=True)
        session = self._session
        if session is not None:
            await session.media.close()
            saved = await session.flush(UNSAVED_S) if not fenced else False
            if not fenced and not saved:
                _LOG.error("session ended unsaved", extra={"session_id": session.session_id})
            self._clean = saved and self._committed
            await session.close()
        self._measuring.report(session)
        if self._trunks and not fenced:
            await self._last_words()
        await self._listener.close()
        self._on_over()

    async def _watch(self) -> None:
        """Tell what was counted, and fall silent when cut off.

        A successor may hold the session then, and nobody could tell us. What a network swallows is
        not closed: a trunk counts while its gateway is heard, and the link while it answers.
        Counted in beats, as by `Trunks`.
        """
        alone = 0
        beat_s = self._config.lonely_s / WATCH_BEATS
        while True:
            # Not the loop's own clock: it stands while one callback after another is run.
            due_s = time.monotonic() + beat_s
            await asyncio.sleep(beat_s)
            self._measuring.beat(time.monotonic() - due_s, self._session)
            if self._trunks.beat() or self._link.answers or self._session is None:
                alone = 0
                continue
            alone += 1
            if alone >= WATCH_BEATS:
                _LOG.error("cut off", extra={"session_id": self._session.session_id})
                self._over(fenced=True)
                return

    async def _last_words(self) -> None:
        """Let the trunks write what they were given; a slow one does not hold the others."""
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self._trunks.gone()
        except TimeoutError:
            _LOG.info("trunks cut unsent", extra={"count": len(self._trunks)})
