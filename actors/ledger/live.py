"""The sessions that have not ended, in memory: by id and by engagement."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from actors.ledger.presence import Key
from actors.ledger.standbys import Actor
from broker.messages.cluster.tenure import SessionCommitted
from broker.messages.cluster.trunk import Location
from broker.messages.parts import EngagementIds
from broker.words import EndReason

_REMEMBERED = 10_000


@dataclass(eq=False, slots=True)
class Live:
    """One session that has not ended: who holds it, or held it last."""

    session_id: str
    account_id: str
    engagement_key: str
    ids: EngagementIds
    created_ms: int
    epoch: int
    member_id: str | None
    """Whose tenure the present epoch is."""
    host: str | None
    port: int | None
    label: str = ""
    """Which kind of node may have it; empty: any."""
    opened_by: str | None = None
    """The connection that asked for it, of this ledger's time."""
    holder: Actor | None = None
    """The holder, while its link is up."""
    left_node: str = ""
    """The node of the holder whose link went last, if that is known."""
    homeless_ms: int | None = None
    """Since when no link of a holder is up."""
    asked_ms: int = 0
    """When somebody last wanted to know where it is."""
    asks: int = 0
    """How often somebody did: two of one millisecond are two."""
    granted_ms: deque[int] = field(default_factory=deque)
    """When epochs after the first were granted; as far back as the window of the limit."""
    rescue: asyncio.Task[None] | None = None
    returned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while a holder's link is up."""
    granting: bool = False
    """The next epoch is on its way to the database: nobody knows yet whose the session is."""
    sought: bool = False
    """Whether its last holder was looked for before it is given up; anew with each holder."""
    ends_as: EndReason | None = None
    """It is over for everybody, and that could not be written yet: it gets no holder any more."""
    ended: bool = False

    @property
    def key(self) -> Key:
        return self.account_id, self.engagement_key

    def location(self) -> Location | None:
        """Where it is, or was last; `None` before any holder was known."""
        if self.host is None or self.port is None:
            return None
        return Location(
            session_id=self.session_id,
            epoch=self.epoch,
            host=self.host,
            port=self.port,
            account_id=self.account_id,
            engagement_key=self.engagement_key,
        )

    def is_lost(self, now_ms: int, after_ms: int, at_last_ms: int) -> bool:
        """Whether nobody held it or asked for it for so long, or nobody held it for the longer."""
        if self.homeless_ms is None:
            return False
        quiet_ms = now_ms - max(self.homeless_ms, self.asked_ms)
        return quiet_ms >= after_ms or now_ms - self.homeless_ms >= at_last_ms

    def ask(self, now_ms: int) -> None:
        """Note that somebody wants to know where it is."""
        self.asked_ms = now_ms
        self.asks += 1

    def settle(self, actor: Actor) -> None:
        """Say who holds it from now on."""
        self.holder = actor
        self.member_id = actor.member.member_id
        self.host, self.port = actor.member.host, actor.member.port
        self.homeless_ms = None
        self.sought = False
        actor.session_id = self.session_id
        self.returned.set()

    def commit_to(self, actor: Actor) -> None:
        """Tell an actor that it holds the session, and that this is durable."""
        committed = SessionCommitted(session_id=self.session_id, epoch=self.epoch)
        actor.end.notify("session.committed", committed.to_bytes())

    def unsettle(self, now_ms: int) -> None:
        """Say that the holder's link is gone."""
        if self.holder is not None:
            self.left_node = self.holder.member.node
        self.holder = None
        self.homeless_ms = now_ms
        self.returned.clear()


class Directory:
    """Finds live sessions, and remembers for a while which ones were taken out."""

    def __init__(self) -> None:
        self._removed: dict[str, None] = {}
        self._by_id: dict[str, Live] = {}
        self._by_key: dict[Key, Live] = {}
        self._by_account: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Live]:
        return iter(list(self._by_id.values()))

    def get(self, session_id: str) -> Live | None:
        return self._by_id.get(session_id)

    def of(self, key: Key) -> Live | None:
        return self._by_key.get(key)

    def knew(self, session_id: str) -> bool:
        """Whether it is here or was lately: a slow read of the database may show it as live."""
        return session_id in self._by_id or session_id in self._removed

    def known(self) -> frozenset[str]:
        """Every id for which `knew` holds now."""
        return frozenset((*self._by_id, *self._removed))

    def loads(self) -> dict[str, int]:
        """Count the sessions that are held, by node."""
        return Counter(
            live.holder.member.node for live in self._by_id.values() if live.holder is not None
        )

    def left(self) -> Counter[str]:
        """Count the sessions that nobody holds, by the node they were on; empty: nobody knows."""
        return Counter(live.left_node for live in self._by_id.values() if live.holder is None)

    def count(self, account_id: str) -> int:
        """Count an account's sessions."""
        return self._by_account[account_id]

    def add(self, live: Live) -> None:
        if live.session_id not in self._by_id:
            self._by_account[live.account_id] += 1
        self._by_id[live.session_id] = live
        self._by_key[live.key] = live

    def remove(self, live: Live) -> None:
        """Take out what has ended; harmless when out."""
        live.ended = True
        self._removed[live.session_id] = None
        if len(self._removed) > _REMEMBERED:
            del self._removed[next(iter(self._removed))]
        if self._by_id.pop(live.session_id, None) is not None:
            self._by_account[live.account_id] -= 1
            if self._by_account[live.account_id] == 0:
                del self._by_account[live.account_id]
        if self._by_key.get(live.key) is live:
            del self._by_key[live.key]
