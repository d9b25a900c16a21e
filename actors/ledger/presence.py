"""Who waits to be rung, and who wants to know: memory only, gone with the gateway's link.

Pure and synchronous. A waiting connection costs an entry here and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from actors.ledger.policy import LedgerPolicy
from broker.crowd import Crowd
from broker.errors import ErrorCode, TooFast
from broker.messages.cluster.presence import PresencePut, PresenceState, PresenceWatch
from broker.messages.cluster.trunk import Location
from broker.words import Reach, Surface

G = TypeVar("G", bound=Hashable)
Key = tuple[str, str]
"""Account and engagement key."""


@dataclass(frozen=True, slots=True)
class Waiting(Generic[G]):
    """One waiting connection, and the gateway that holds its socket."""

    gateway: G
    put: PresencePut

    def keys(self) -> Iterator[Key]:
        for key in dict.fromkeys(self.put.keys):
            yield self.put.account_id, key


@dataclass(slots=True)
class Watching(Generic[G]):
    """One agent's connection that wants to know, and what it was told last."""

    gateway: G
    connection_id: str
    key: Key
    told: PresenceState
    agent_id: str | None
    name: str
    starter_id: str | None = None


class Presence(Generic[G]):
    """The waiting and the watching connections of all gateways.

    `live` says where the live session of an engagement is; `tell` is called for each watcher
    whose answer changed, and only then; `displaced` for a waiting connection that gave way;
    `watched` for an engagement to which a watcher came, or from which one went.
    """

    def __init__(
        self,
        policy: LedgerPolicy,
        live: Callable[[Key], Location | None],
        tell: Callable[[G, PresenceState], None],
        displaced: Callable[[G, str], None] = lambda gateway, connection_id: None,
        watched: Callable[[Key], None] = lambda key: None,
    ) -> None:
        self._policy = policy
        self._live = live
        self._tell = tell
        self._displaced = displaced
        self._watched = watched
        self._waiting: dict[str, Waiting[G]] = {}
        self._by_key: dict[Key, dict[str, Waiting[G]]] = {}
        self._everybody: Crowd[str] = Crowd(policy.waiting_limit, policy.waiting_limit)
        self._by_account: dict[str, Crowd[str]] = {}
        self._claims: dict[Key, str] = {}
        self._watching: dict[str, Watching[G]] = {}
        self._watchers: dict[Key, dict[str, Watching[G]]] = {}
        self._agents: dict[str, dict[str, dict[str, Watching[G]]]] = {}
        """By account and agent: the watching connections of those whom colleagues may see."""
        self._by_gateway: dict[G, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, gateway: G, put: PresencePut) -> PresenceState:
        """Note a waiting connection, or what changed about it. Raises TooFast at a bound."""
        new = Waiting(gateway, put)
        old = self._waiting.get(put.connection_id)
        for other in self._in_its_way(new, old):
            gone = self._waiting[other].gateway
            self.drop(other)
            self._displaced(gone, other)
        if old is not None and old.put.account_id != put.account_id:
            self.drop(put.connection_id)
            old = None
        if old is None:
            self._everybody.add(put.connection_id, _source(new))
            self._of_account(put.account_id).add(put.connection_id, _source(new))
        else:
            # A connection that says something again keeps its place among the others.
            del self._waiting[put.connection_id]
            self._leave(old.gateway, put.connection_id)
            self._leave_keys(old, keep=set(new.keys()))
        self._waiting[put.connection_id] = new
        self._by_gateway.setdefault(gateway, {})[put.connection_id] = None
        for key in new.keys():
            self._by_key.setdefault(key, {})[put.connection_id] = new
            if put.claim_hash is not None:
                self._claims.setdefault(key, put.claim_hash)
        touched = set(new.keys()) | (set() if old is None else set(old.keys()))
        for key in touched:
            self._settle(key)
        return self._state(put.connection_id, list(new.keys()))

    def drop(self, connection_id: str) -> None:
        """Forget a waiting connection; harmless when unknown."""
        old = self._waiting.get(connection_id)
        if old is None:
            return
        self._remove(old)
        for key in old.keys():
            self._settle(key)

    def watch(self, gateway: G, watch: PresenceWatch) -> PresenceState:
        """Begin to tell a connection about an engagement. Raises TooFast at a bound."""
        key = (watch.account_id, watch.key)
        # Who watches the same as before was not gone in between.
        former = self._unwatch(watch.connection_id)
        if former is not None and former.key != key:
            self._watched(former.key)
        watchers = self._watchers.get(key, {})
        if (
            len(self._watching) >= self._policy.watching_limit
            or len(watchers) >= self._policy.watching_per_key
        ):
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many connections watch.")
        told = self._state(watch.connection_id, [key])
        watching = Watching(
            gateway,
            watch.connection_id,
            key,
            told,
            watch.agent_id,
            watch.name,
            watch.starter_id,
        )
        if watch.agent_id is not None:
            of_account = self._agents.setdefault(watch.account_id, {})
            of_account.setdefault(watch.agent_id, {})[watch.connection_id] = watching
        self._watching[watch.connection_id] = watching
        self._watchers.setdefault(key, {})[watch.connection_id] = watching
        self._by_gateway.setdefault(gateway, {})[watch.connection_id] = None
        self._watched(key)
        return told

    def unwatch(self, connection_id: str) -> None:
        """Stop telling a connection; harmless when unknown."""
        watching = self._unwatch(connection_id)
        if watching is not None:
            self._watched(watching.key)

    def watchers(self, key: Key) -> list[Watching[G]]:
        """Return who watches an engagement."""
        return list(self._watchers.get(key, {}).values())

    def _unwatch(self, connection_id: str) -> Watching[G] | None:
        watching = self._watching.pop(connection_id, None)
        if watching is None:
            return None
        watchers = self._watchers[watching.key]
        del watchers[connection_id]
        if not watchers:
            del self._watchers[watching.key]
        if watching.agent_id is not None:
            self._part(watching.key[0], watching.agent_id, connection_id)
        self._leave(watching.gateway, connection_id)
        return watching

    def agents(self, account_id: str) -> dict[str, str]:
        """The names of an account's agents who have a widget open, by their ids."""
        return {
            agent_id: next(reversed(there.values())).name
            for agent_id, there in self._agents.get(account_id, {}).items()
        }

    def widgets_of(self, account_id: str, agent_id: str) -> list[Watching[G]]:
        """The open widgets of an agent whom colleagues may see."""
        return list(self._agents.get(account_id, {}).get(agent_id, {}).values())

    def on_gateway_lost(self, gateway: G) -> None:
        """Forget everything that came by a gateway's link."""
        for connection_id in list(self._by_gateway.get(gateway, ())):
            self.drop(connection_id)
            self.unwatch(connection_id)

    def on_live_changed(self, key: Key) -> None:
        """The engagement's live session began, moved or ended."""
        self._announce(key)

    def waiting(self, key: Key) -> list[Waiting[G]]:
        """Return who waits on an engagement: those with its claim first, then as they came."""
        claim = self._claims.get(key)
        return sorted(
            self._by_key.get(key, {}).values(),
            key=lambda one: claim is not None and one.put.claim_hash != claim,
        )

    def claim(self, key: Key) -> str | None:
        """Return the claim of the first connection that brought one, while any waits."""
        return self._claims.get(key)

    def _in_its_way(self, new: Waiting[G], old: Waiting[G] | None) -> list[str]:
        """Return which connections give way to this one: one at most for each of its keys.

        Whoever gives way at a key is of its account, and so leaves a place there and in all.

        Raises:
            TooFast: it would be one too many, and nobody has more places than who it comes from.
        """
        gone: dict[str, None] = {}
        put, source = new.put, _source(new)
        full = len(put.keys) > self._policy.waiting_per_key
        for key in new.keys():
            if put.connection_id in self._by_key.get(key, {}):
                continue
            beside = self._beside(new, key)
            leaving = any(each.put.connection_id in gone for each in beside)
            if not leaving and len(beside) >= self._policy.waiting_per_key:
                other = _largest_but(source, beside)
                full |= other is None
                if other is not None:
                    gone[other] = None
        if old is None or old.put.account_id != put.account_id:
            for crowd in (self._of_account(put.account_id), self._everybody):
                if gone:
                    break
                full |= not crowd.has_room(source)
                other = crowd.gives_way(source)
                if other is not None:
                    gone[other] = None
        self._forget_empty(put.account_id)
        if full:
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many connections wait.")
        return list(gone)

    def _beside(self, new: Waiting[G], key: Key) -> list[Waiting[G]]:
        """Return who waits there with the first claim, if that is the newcomer's, or without it.

        Whoever else knows the ids of an engagement cannot fill the places of who was there first.
        """
        claim = self._claims.get(key)
        is_first = claim is not None and new.put.claim_hash == claim
        there = self._by_key.get(key, {}).values()
        return [
            each
            for each in there
            if (claim is not None and each.put.claim_hash == claim) == is_first
        ]

    def _of_account(self, account_id: str) -> Crowd[str]:
        most = self._policy.waiting_per_account
        return self._by_account.setdefault(account_id, Crowd(most, most))

    def _forget_empty(self, account_id: str) -> None:
        if not self._by_account.get(account_id):
            self._by_account.pop(account_id, None)

    def _remove(self, old: Waiting[G]) -> None:
        connection_id, account_id = old.put.connection_id, old.put.account_id
        del self._waiting[connection_id]
        self._leave(old.gateway, connection_id)
        self._everybody.discard(connection_id)
        self._by_account[account_id].discard(connection_id)
        self._forget_empty(account_id)
        self._leave_keys(old)

    def _leave_keys(self, old: Waiting[G], keep: set[Key] | frozenset[Key] = frozenset()) -> None:
        for key in old.keys():
            if key not in keep:
                del self._by_key[key][old.put.connection_id]

    def _leave(self, gateway: G, connection_id: str) -> None:
        if connection_id in self._waiting or connection_id in self._watching:
            return
        mine = self._by_gateway.get(gateway)
        if mine is not None:
            mine.pop(connection_id, None)
            if not mine:
                del self._by_gateway[gateway]

    def _part(self, account_id: str, agent_id: str, connection_id: str) -> None:
        of_account = self._agents[account_id]
        del of_account[agent_id][connection_id]
        if not of_account[agent_id]:
            del of_account[agent_id]
        if not of_account:
            del self._agents[account_id]

    def _settle(self, key: Key) -> None:
        """Forget an engagement where nobody waits any more, and tell its watchers."""
        if not self._by_key.get(key):
            self._by_key.pop(key, None)
            self._claims.pop(key, None)
        self._announce(key)

    def _announce(self, key: Key) -> None:
        for watching in list(self._watchers.get(key, {}).values()):
            state = self._state(watching.connection_id, [key])
            if state != watching.told:
                watching.told = state
                self._tell(watching.gateway, state)

    def _state(self, connection_id: str, keys: list[Key]) -> PresenceState:
        waiting = {
            one.put.connection_id: one.put
            for key in keys
            for one in self._by_key.get(key, {}).values()
        }
        surfaces: set[Surface] = {put.surface for put in waiting.values()}
        if any(put.visible for put in waiting.values()):
            reach = Reach.REACHABLE
        else:
            reach = Reach.HIDDEN if waiting else Reach.ABSENT
        live = next((at for key in keys if (at := self._live(key)) is not None), None)
        return PresenceState(
            connection_id=connection_id, reach=reach, surfaces=sorted(surfaces), live=live
        )


def _source(waiting: Waiting[G]) -> str:
    """Where somebody waits from; each on its own where its gateway does not say."""
    return waiting.put.origin or waiting.put.connection_id


def _largest_but(source: str, there: Sequence[Waiting[G]]) -> str | None:
    """Return the newest of the source that has most there; `None`: this one would have as many."""
    counts = Counter(map(_source, there))
    largest, count = counts.most_common(1)[0]
    if count <= counts[source] + 1:
        return None
    return next(each.put.connection_id for each in reversed(there) if _source(each) == largest)
