"""What members may call of the ledger, who may call what, and what answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from actors.ledger import keeping
from actors.ledger.audience import Audience
from actors.ledger.colleagues import ColleagueCalls
from actors.ledger.devices import DeviceBook
from actors.ledger.erasure import Erasing
from actors.ledger.journal import Append
from actors.ledger.measures import Measures
from actors.ledger.outbox import Outbox
from actors.ledger.presence import Presence
from actors.ledger.ratings import Ratings
from actors.ledger.records import Records
from actors.ledger.sessions import Sessions
from actors.ledger.sharing import Sharing
from actors.link import End, ListenedEnd
from broker.measures import APPEND, Count, Standing
from broker.messages import colleagues, devices, sharing, upkeep
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.exporting import MeasureList, MeasureQuery
from broker.messages.cluster.members import LinkHello, SessionMember
from broker.messages.cluster.nodes import NodeDrain, NodeQuery, NodeUndrain
from broker.messages.cluster.presence import (
    PresenceDrop,
    PresencePut,
    PresenceUnwatch,
    PresenceWatch,
)
from broker.messages.cluster.records import RecordGet, RecordQuery, RecordRate
from broker.messages.cluster.sessions import (
    GuestLocate,
    SessionLocate,
    SessionOpen,
    SessionTakeover,
    SessionWithdraw,
)
from broker.messages.cluster.tenure import JournalAppend, SessionRing

M = TypeVar("M", bound=ClusterMessage)
Handler = Callable[["Member", bytes], Awaitable[ClusterMessage]]

_EDGE = frozenset({"gateway", "keeper"})
_ACTOR = frozenset({"session"})
_KEEPER = frozenset({"keeper"})


class Member:
    """One proven link, and what it said it is."""

    def __init__(self, end: ListenedEnd, hello: LinkHello) -> None:
        self.end = end
        self.hello = hello
        self.calls = 0
        self.heard = 0
        self.unanswered = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What of a ledger answers calls."""

    term: Callable[[], int]
    audience: Audience
    presence: Presence[End]
    sessions: Sessions
    records: Records
    outbox: Outbox
    sharing: Sharing
    devices: DeviceBook
    erasing: Erasing
    ratings: Ratings
    asking: ColleagueCalls
    measures: Measures
    measured: Callable[[], MeasureList]


def calls_of(parts: Parts) -> dict[str, tuple[frozenset[str], Handler]]:
    """Name every call, who may make it, and what answers it."""
    presence, sessions, records = parts.presence, parts.sessions, parts.records
    outbox, erasing, shared, book = parts.outbox, parts.erasing, parts.sharing, parts.devices
    measures = parts.measures

    async def reconcile(_: Member, ask: keeping.Reconcile) -> ClusterMessage:
        measures.stand(Standing.ACCOUNT_FAULTS, ask.account_faults)
        ended = await sessions.lost.end()
        measures.count(Count.RECONCILES)
        measures.count(Count.GHOSTS, len(ended))
        await erasing.notes.write_missing()
        return keeping.Reconciled(ended=ended)

    async def enlist(member: Member, ask: SessionMember) -> ClusterMessage:
        return sessions.enlist(member.end, ask, parts.term())

    async def append(_: Member, ask: JournalAppend) -> ClusterMessage:
        begun_s = time.perf_counter()
        # Before it is forgotten with its end.
        live = sessions.directory.get(ask.session_id)
        try:
            done = await sessions.append(
                Append(ask.session_id, ask.epoch, ask.entries, ask.subjects)
            )
        finally:
            measures.took(APPEND, time.perf_counter() - begun_s)
        if live is not None:
            parts.audience.journal_grew(live.account_id, live.session_id)
        return done

    async def settle(_: Member, ask: keeping.OutboxSettle) -> ClusterMessage:
        done = await outbox.settle(ask)
        measures.count(_outcome(ask))
        return done

    async def measured(_: Member, ask: MeasureQuery) -> ClusterMessage:
        return parts.measured()

    async def redeliver(_: Member, ask: upkeep.Redeliver) -> ClusterMessage:
        done = await outbox.redeliver(ask)
        parts.audience.outbox_grew(ask.account_id)
        return done

    async def hand(_: Member, ask: sharing.LoginHand) -> ClusterMessage:
        parts.audience.login_handed(ask)
        return Done()

    async def put(member: Member, ask: PresencePut) -> ClusterMessage:
        return presence.put(member.end, ask)

    async def drop(_: Member, ask: PresenceDrop) -> ClusterMessage:
        presence.drop(ask.connection_id)
        return Done()

    async def watch(member: Member, ask: PresenceWatch) -> ClusterMessage:
        return presence.watch(member.end, ask)

    async def unwatch(_: Member, ask: PresenceUnwatch) -> ClusterMessage:
        presence.unwatch(ask.connection_id)
        return Done()

    async def open_session(member: Member, ask: SessionOpen) -> ClusterMessage:
        if ask.connection_id is None:
            return await sessions.openings.open(ask)
        told = partial(parts.audience.queued, member.end, ask.connection_id)
        return await sessions.openings.open(ask, told)

    async def locate(_: Member, ask: SessionLocate) -> ClusterMessage:
        return await sessions.locate(ask.session_id)

    async def nodes(_: Member, ask: NodeQuery) -> ClusterMessage:
        return sessions.drains.all()

    async def guest(_: Member, ask: GuestLocate) -> ClusterMessage:
        return await sessions.guest(ask.code_hash)

    return dict(
        (
            _method(_ACTOR, SessionMember, enlist),
            _method(_ACTOR, JournalAppend, append),
            _method(_ACTOR, SessionRing, _plain(sessions.ring)),
            _method(_ACTOR, colleagues.ColleagueQuery, _plain(parts.asking.list)),
            _method(_ACTOR, colleagues.ColleagueCall, _plain(parts.asking.call)),
            _method(_EDGE, colleagues.ColleagueAnswer, _plain(parts.asking.answer)),
            _method(_EDGE, PresencePut, put),
            _method(_EDGE, PresenceDrop, drop),
            _method(_EDGE, PresenceWatch, watch),
            _method(_EDGE, PresenceUnwatch, unwatch),
            _method(_EDGE, SessionOpen, open_session),
            _method(_EDGE, SessionWithdraw, _plain(sessions.openings.withdraw)),
            _method(_EDGE, SessionLocate, locate),
            _method(_EDGE, SessionTakeover, _plain(sessions.takeover)),
            _method(_EDGE, GuestLocate, guest),
            _method(_EDGE, NodeDrain, _plain(sessions.drains.drain)),
            _method(_EDGE, NodeUndrain, _plain(sessions.drains.undrain)),
            _method(_EDGE, NodeQuery, nodes),
            _method(_EDGE, MeasureQuery, measured),
            _method(_EDGE, RecordQuery, _plain(records.page)),
            _method(_EDGE, RecordGet, _plain(records.get)),
            _method(_EDGE, RecordRate, _plain(parts.ratings.rate)),
            _method(_KEEPER, keeping.Reconcile, reconcile),
            _method(_KEEPER, keeping.OutboxTake, _plain(outbox.take)),
            _method(_KEEPER, keeping.OutboxSettle, settle),
            _method(_KEEPER, keeping.OutboxSkip, _plain(outbox.skip)),
            _method(_EDGE, sharing.Revocation, _plain(shared.revoke)),
            _method(_EDGE, sharing.RevocationList, _plain(shared.revoked)),
            _method(_EDGE, sharing.LoginHand, hand),
            _method(_EDGE, sharing.AnswerClaim, _plain(shared.claim)),
            _method(_EDGE, sharing.AnswerSettle, _plain(shared.settle)),
            _method(_EDGE, sharing.AnswerRelease, _plain(shared.release)),
            _method(_EDGE, devices.EnrolmentMake, _plain(book.make)),
            _method(_EDGE, devices.EnrolmentUse, _plain(book.use)),
            _method(_EDGE, devices.DeviceGet, _plain(book.get)),
            _method(_EDGE, devices.DeviceUse, _plain(book.seen)),
            _method(_EDGE, devices.DeviceList, _plain(book.list)),
            _method(_EDGE, devices.DeviceForget, _plain(book.forget)),
            _method(_EDGE, upkeep.SessionAnnotate, _plain(records.annotate)),
            _method(_EDGE, upkeep.DeadLetters, _plain(outbox.dead)),
            _method(_EDGE, upkeep.Redeliver, redeliver),
            _method(_EDGE, upkeep.PersonErase, _plain(erasing.erase)),
            _method(_EDGE, upkeep.ErasureList, _plain(erasing.erased)),
            _method(_KEEPER, keeping.RecordExpire, _plain(erasing.expire)),
        )
    )


def _outcome(ask: keeping.OutboxSettle) -> Count:
    """How a delivery ended, by what the keeper has settled."""
    if ask.dead is not None:
        return Count.DELIVERIES_DEAD
    return Count.DELIVERIES_DELIVERED if ask.retry_in_ms is None else Count.DELIVERIES_FAILED


def _plain(
    handler: Callable[[M], Awaitable[ClusterMessage]],
) -> Callable[[Member, M], Awaitable[ClusterMessage]]:
    """Leave out who asks, for handlers that need not know."""

    async def handle(_: Member, ask: M) -> ClusterMessage:
        return await handler(ask)

    return handle


def _method(
    kinds: frozenset[str],
    model: type[M],
    handler: Callable[[Member, M], Awaitable[ClusterMessage]],
) -> tuple[str, tuple[frozenset[str], Handler]]:
    async def serve(member: Member, payload: bytes) -> ClusterMessage:
        return await handler(member, read(model, payload))

    name: Any = getattr(model, "method")  # noqa: B009 - the base has none, every call does
    return str(name), (kinds, serve)
