"""The live sessions: finding them, taking in what their actors journal, ending what is lost."""

from __future__ import annotations

from collections.abc import Callable

from actors.chores import Chores
from actors.ledger.audience import Audience
from actors.ledger.database import Database
from actors.ledger.drains import Drains
from actors.ledger.journal import Append
from actors.ledger.linked import Linked
from actors.ledger.live import Directory, Live
from actors.ledger.lost import LostSessions
from actors.ledger.opening import Openings
from actors.ledger.policy import LedgerPolicy
from actors.ledger.presence import Key, Presence
from actors.ledger.rescue import Rescue
from actors.ledger.rows import find_link, last_known, load_live, session_ended, why_not_live
from actors.ledger.standbys import Actor, Standbys
from actors.ledger.stop import stop
from actors.ledger.writer import Writer
from actors.link import End, Tls
from broker.errors import ErrorCode, Gone, NotFound, Unavailable
from broker.messages.cluster.base import Done
from broker.messages.cluster.members import Enlisted, SessionMember
from broker.messages.cluster.nodes import PoolLevel
from broker.messages.cluster.sessions import GuestLocated, SessionTakeover
from broker.messages.cluster.tenure import SessionRing
from broker.messages.cluster.trunk import Location
from broker.shards import Shard
from broker.words import SessionPhase


class Sessions:
    """The live sessions and the actors that have a link.

    An engagement has at most one: among `openings` while it is being opened, in the database from
    then on.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        audience: Audience,
        presence: Presence[End],
        chores: Chores,
        policy: LedgerPolicy,
        now_ms: Callable[[], int],
        shard: Shard,
        tls: Tls | None = None,
    ) -> None:
        self._shard = shard
        self._database = database
        self._writer = writer
        self._audience = audience
        self._presence = presence
        self._chores = chores
        self._policy = policy
        self._now_ms = now_ms
        self._actors = Linked()
        self.directory = Directory()
        self.standbys = Standbys(
            policy.queue_limit,
            policy.reused_limit,
            audience.level_changed,
            lambda actor: stop(chores, actor),
            self.directory.loads,
        )
        self.rescue = Rescue(
            database,
            writer,
            self.directory,
            self.standbys,
            audience,
            chores,
            policy,
            now_ms,
            self._live_changed,
            tls,
        )
        self.openings = Openings(
            database,
            writer,
            self.directory,
            self.standbys,
            self.rescue,
            audience,
            presence,
            chores,
            policy,
            now_ms,
            self._live_changed,
            self.load,
        )
        self.lost = LostSessions(self.directory, self.rescue, policy, now_ms, self.load, tls)
        self.drains = Drains(
            database,
            writer,
            self.directory,
            self.standbys,
            self.rescue,
            chores,
            policy,
            now_ms,
            self._actors.all,
        )

    async def load(self) -> None:
        """Read the live sessions; their actors are expected to come back by themselves."""
        now_ms = self._now_ms()
        since_ms = now_ms - self._policy.takeover_window_ms
        known = self.directory.known()
        found = await self._database.read(
            lambda connection: load_live(connection, since_ms, known, self._shard)
        )
        for live in found:
            if not self.directory.knew(live.session_id):
                live.homeless_ms = now_ms
                self.directory.add(live)

    def level(self) -> PoolLevel:
        """Say how many standbys wait, and how much they are wanted."""
        members = [actor.member for actor in self._actors.all()]
        return PoolLevel(
            standbys=len(self.standbys),
            live=len(self.directory),
            queued=self.standbys.queued,
            members=[member.member_id for member in members],
            nodes=self.drains.all().nodes,
            queued_for=self.standbys.queued_for(),
            taken=self.standbys.taken,
            reused=[each.member_id for each in members if each.account_id is not None],
            failed=self.rescue.failed,
            moving=self.rescue.moving,
            waited=self.standbys.waited,
            processes=[each.process for each in members if each.process],
        )

    def news(self) -> PoolLevel:
        """Say the level, and who came and went since this was asked before."""
        return self.level().model_copy(update={"passed": self._actors.passed()})

    def located(self, key: Key) -> Location | None:
        """Return where the live session of an engagement is."""
        live = self.directory.of(key)
        return None if live is None else live.location()

    def enlist(self, end: End, member: SessionMember, term: int) -> Enlisted:
        """Take note of an actor: a standby, or one that says it holds a session.

        Raises:
            Unavailable: `session_away`: the session is being granted to another this moment;
                ask again, the grant may fail.
        """
        old = self._actors.of_member(member.member_id)
        if old is not None:
            self._part(old)
            if old.end is not end:
                old.end.link.abort()
        if end.link.closed:
            return Enlisted(term=term, keep=False)
        actor = Actor(member, end)
        if member.session_id is None:
            self._actors.add(actor)
            self.standbys.add(actor)
            return Enlisted(term=term, keep=True)
        live = self.directory.get(member.session_id)
        if live is not None and live.granting:
            raise Unavailable(ErrorCode.SESSION_AWAY, "The session is being granted.")
        if (
            live is None
            or live.epoch != member.epoch
            or live.member_id != member.member_id
            or live.holder is not None
        ):
            return Enlisted(term=term, keep=False)
        self._actors.add(actor)
        live.settle(actor)
        # Said again, because the link may have broken before the first time was heard.
        live.commit_to(actor)
        self._audience.level_changed()
        return Enlisted(term=term, keep=True)

    def on_actor_lost(self, end: End) -> None:
        """An actor's link is gone: what it held needs a home."""
        actor = self._actors.of_end(end)
        if actor is not None:
            self._part(actor)
            self._audience.level_changed()

    async def locate(self, session_id: str) -> Location:
        """Say where a session is. Raises NotFound, Gone, Unavailable (`session_away`)."""
        live = await self._live(session_id)
        live.ask(self._now_ms())
        if live.holder is None:
            self.rescue.begin(live)
        return await self.rescue.located(live)

    async def takeover(self, ask: SessionTakeover) -> Location:
        """See to it that somebody holds the session, after a trunk of `observed_epoch` broke.

        Raises:
            NotFound, Gone: there is no such session, or it has ended (also now, exhausted).
            Unavailable: `session_away`: no standby came in time; the attempt goes on.
        """
        live = await self._live(ask.session_id)
        live.ask(self._now_ms())
        if live.epoch <= ask.observed_epoch or live.holder is None:
            self.rescue.begin(live)
        return await self.rescue.located(live)

    async def guest(self, code_hash: str) -> GuestLocated:
        """Say which session a guest code opens, also when it is another shard's.

        Raises:
            NotFound: `unknown_invitation`.
            Gone: `link_used`, used up or revoked; `session_ended`.
        """
        links = await self._database.rows(find_link(code_hash))
        if not links:
            raise NotFound(ErrorCode.UNKNOWN_INVITATION, "There is no such link.")
        row = links[0]
        mine = self._shard.has(row.account_id)
        if row.phase == str(SessionPhase.ENDED) or (
            mine and self.directory.get(row.session_id) is None
        ):
            raise session_ended()
        if row.uses_left <= 0:
            raise Gone(ErrorCode.LINK_USED, "The link has been used or withdrawn.")
        return GuestLocated(
            location=await self.locate(row.session_id) if mine else last_known(row),
            guest_invitation_id=row.guest_invitation_id,
        )

    async def ring(self, ask: SessionRing) -> Done:
        """Have the waiting connections of a claim dial the session again. Raises NotFound, Gone."""
        live = await self._live(ask.session_id)
        location = live.location()
        if location is not None:
            for waiting in self._presence.waiting((live.account_id, live.engagement_key)):
                if waiting.put.claim_hash == ask.claim_hash:
                    connection_id = waiting.put.connection_id
                    self._audience.attach(waiting.gateway, connection_id, location, again=True)
        return Done()

    async def append(self, append: Append) -> Done:
        """Make events durable. Raises what `Tail.admit` raises, and `unknown_session`."""
        appended = await self._writer.append(append)
        if appended.phase is SessionPhase.ENDED:
            live = self.directory.get(append.session_id)
            if live is not None:
                self.rescue.forget(live)
        return Done()

    async def _live(self, session_id: str) -> Live:
        live = self.directory.get(session_id)
        if live is None:
            raise await self._database.read(
                lambda connection: why_not_live(connection, session_id, self._shard)
            )
        return live

    def _live_changed(self, key: Key) -> None:
        """Tell who waits at an engagement where its session is now, and who watches that it is.

        After a move, too: a gateway that could not reach the actor before has given its offer up.
        """
        location = self.located(key)
        if location is not None:
            for waiting in self._presence.waiting(key):
                self._audience.attach(waiting.gateway, waiting.put.connection_id, location)
        self._presence.on_live_changed(key)

    def _part(self, actor: Actor) -> None:
        """Forget an actor's link, and what it was doing on it."""
        self._actors.remove(actor)
        self.standbys.discard(actor)
        live = None if actor.session_id is None else self.directory.get(actor.session_id)
        if live is not None and live.holder is actor:
            live.unsettle(self._now_ms())
            self.rescue.begin(live)
