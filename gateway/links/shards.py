"""The directory of a deployment whose accounts are divided among several ledgers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import reduce
from typing import TypeVar, cast

from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.cluster.exporting import MeasureList, MeasureQuery
from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeQuery, NodeState, NodeUndrain
from broker.messages.cluster.presence import PresencePut, PresenceState, PresenceWatch
from broker.messages.cluster.records import (
    RecordGet,
    RecordPage,
    RecordQuery,
    RecordRate,
    SessionRecord,
)
from broker.messages.cluster.sessions import GuestLocated, SessionOpen
from broker.messages.cluster.trunk import Location
from broker.messages.colleagues import ColleagueAnswer
from broker.messages.sharing import Revocation
from broker.shards import shard_of
from gateway.links.directory import Call, Holds, Listener, always
from gateway.links.ledger_client import LedgerClient

Reply = TypeVar("Reply", bound=ClusterMessage)


class Shards:
    """A gateway's links to all ledgers, in the order of their shards.

    What names an account goes to that account's ledger. What names none is in the database and
    may be asked of any: it goes to the first that is there. Nodes are everybody's.
    """

    def __init__(self, ledgers: Sequence[LedgerClient]) -> None:
        self._ledgers = tuple(ledgers)

    def listen(self, listener: Listener) -> None:
        """Set who is told what the ledgers say unasked."""
        for each in self._ledgers:
            each.listen(listener)

    async def run(self) -> None:
        """Keep every link until cancelled."""
        async with asyncio.TaskGroup() as group:
            for each in self._ledgers:
                group.create_task(each.run())

    @property
    def ready(self) -> bool:
        """Whether any can be asked: the accounts of one that is away must not cost the others."""
        return any(each.ready for each in self._ledgers)

    @property
    def pool_linked(self) -> bool:
        """Whether any can be asked that has a pool."""
        return any(each.pool_linked for each in self._ledgers)

    @property
    def was_complete(self) -> bool:
        return any(each.was_complete for each in self._ledgers)

    async def put_presence(self, put: PresencePut) -> PresenceState:
        return await self._of(put.account_id).put_presence(put)

    async def watch_presence(self, watch: PresenceWatch) -> PresenceState:
        return await self._of(watch.account_id).watch_presence(watch)

    def forget(self, connection_id: str) -> None:
        for each in self._ledgers:
            each.forget(connection_id)

    def answer_colleague(self, said: ColleagueAnswer) -> None:
        # Only the one that has the session knows of it.
        for each in self._ledgers:
            each.answer_colleague(said)

    async def open_session(self, request: SessionOpen, *, holds: Holds = always) -> Location:
        return await self._of(request.account_id).open_session(request, holds=holds)

    async def locate(self, session_id: str, account_id: str | None) -> Location:
        if account_id is None:
            account_id = (
                await self.get_record(RecordGet(session_id=session_id, limit=1))
            ).account_id
        return await self._of(account_id).locate(session_id, account_id)

    async def takeover(self, left: Location) -> Location:
        return await self._of(left.account_id).takeover(left)

    async def locate_guest(self, code_hash: str) -> GuestLocated:
        return await self._of(None).locate_guest(code_hash)

    async def list_records(self, query: RecordQuery) -> RecordPage:
        return await self._reader(query.account_id).list_records(query)

    async def get_record(self, query: RecordGet) -> SessionRecord:
        return await self._reader(query.account_id).get_record(query)

    async def revoke(self, revocation: Revocation) -> bool:
        return await self._of(revocation.account_id).revoke(revocation)

    async def ask(self, request: Call, reply: type[Reply], *, timeout_s: float = 3.0) -> Reply:
        match request:
            case NodeQuery():
                found = await self._ask_all(request, NodeList, timeout_s)
                return cast(Reply, NodeList.of_all(found))
            case MeasureQuery():
                return cast(Reply, await self._measured(request, timeout_s))
            case NodeDrain():
                return cast(Reply, await self._drain(request, timeout_s))
            case NodeUndrain():
                await self._ask_all(request, Done, timeout_s)
                return cast(Reply, Done())
        account_id: str | None = getattr(request, "account_id", None)
        return await self._of(account_id).ask(request, reply, timeout_s=timeout_s)

    async def rate(self, rating: RecordRate) -> None:
        await self._of(rating.account_id).rate(rating)

    def _of(self, account_id: str | None) -> LedgerClient:
        if account_id is None:
            return next((each for each in self._ledgers if each.ready), self._ledgers[0])
        return self._ledgers[shard_of(account_id, len(self._ledgers))]

    def _reader(self, account_id: str | None) -> LedgerClient:
        """Choose who reads records: the account's ledger, or another while that one is away."""
        own = self._of(account_id)
        return own if own.ready else self._of(None)

    async def _measured(self, request: Call, timeout_s: float) -> MeasureList:
        """Ask all; those that are away count nothing, and hide nothing of the others."""
        said = await asyncio.gather(
            *(each.ask(request, MeasureList, timeout_s=timeout_s) for each in self._ledgers),
            return_exceptions=True,
        )
        return MeasureList.of_all(each for each in said if isinstance(each, MeasureList))

    async def _drain(self, ask: NodeDrain, timeout_s: float) -> NodeState:
        """Drain a node of the sessions of all shards, though one of them may have none there."""
        lists = await self._ask_all(NodeQuery(), NodeList, timeout_s)
        if any(state.node == ask.node for each in lists for state in each.nodes):
            ask = ask.model_copy(update={"known": True})
        return reduce(NodeState.with_other, await self._ask_all(ask, NodeState, timeout_s))

    async def _ask_all(self, request: Call, reply: type[Reply], timeout_s: float) -> list[Reply]:
        """Ask every ledger; raises what the first that fails does, when all have answered."""
        said = await asyncio.gather(
            *(each.ask(request, reply, timeout_s=timeout_s) for each in self._ledgers),
            return_exceptions=True,
        )
        answers: list[Reply] = []
        for each in said:
            if isinstance(each, BaseException):
                raise each
            answers.append(each)
        return answers
