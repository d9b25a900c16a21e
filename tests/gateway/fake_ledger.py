"""A ledger that speaks the real links over loopback, for gateways to meet."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from broker.errors import ErrorCode, NotFound, SwitchboardError
from broker.link import ListeningEnd, Reply
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.nodes import PoolLinked
from broker.messages.cluster.presence import PresencePut, PresenceState, PresenceWatch
from broker.messages.cluster.records import RecordGet, RecordPage, RecordQuery, SessionRecord
from broker.messages.cluster.sessions import (
    GuestLocated,
    SessionAttach,
    SessionLocate,
    SessionOpen,
    SessionRelocated,
    SessionTakeover,
)
from broker.messages.cluster.trunk import Location
from broker.messages.sharing import (
    AnswerClaimed,
    Claim,
    LoginHand,
    Revocation,
    RevocationList,
    Revocations,
)
from broker.words import Reach
from tests.gateway.fake_session import FakeSession
from tests.gateway.listening import End, Future, Listening


class FakeLedger(Listening):
    """A ledger in memory. Tests put sessions into `live`, `guests` and `records`.

    `faults` maps a method to an error to answer; `takeovers` records what was asked.
    """

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.puts: dict[str, PresencePut] = {}
        self.watches: dict[str, PresenceWatch] = {}
        self.live: dict[str, Location] = {}
        self.places: dict[str, Location] = {}
        self.guests: dict[str, GuestLocated] = {}
        self.records: dict[str, SessionRecord] = {}
        self.opened: list[SessionOpen] = []
        self.takeovers: list[SessionTakeover] = []
        self.located = 0
        """How often a session was looked for."""
        self.faults: dict[str, SwitchboardError] = {}
        self.on_open: Callable[[SessionOpen], Awaitable[Location]] | None = None
        self.on_takeover: Callable[[SessionTakeover], Awaitable[Location]] | None = None
        self.others: dict[str, Callable[[bytes], ClusterMessage]] = {}
        self.revocations: list[Revocation] = []
        self.refused: Counter[str] = Counter()
        self.answers: dict[str, tuple[str, str | None]] = {}
        self.pool_linked: bool | None = None
        """What gateways are told of the pool; `None`: nothing, by the release before."""
        self.listed = False
        """Whether a gateway has asked for the revocations since the last start."""
        self._claimed: dict[str, int] = {}
        """By place, when the claim of it began."""
        self._begun = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def prepare(self, end: ListeningEnd[Future]) -> None:
        end.on_call = self._on_call

    def on_hello(self, end: ListeningEnd[Future], hello: bytes) -> None:
        end.accept(json.dumps({"term": 1}).encode())
        if self.pool_linked is not None:
            end.notify(PoolLinked.method, PoolLinked(linked=self.pool_linked).to_bytes())
        self.signal.changed()

    def on_lost(self, end: End) -> None:
        self.listed = False
        # Presence is gone with the gateway's link.
        self.puts.clear()
        self.watches.clear()

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(method, payload, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, method: str, payload: bytes, reply: Reply) -> None:
        try:
            if method in self.faults:
                self.refused[method] += 1
                raise self.faults[method]
            reply.done((await self._handle(method, payload)).to_bytes())
        except SwitchboardError as error:
            reply.fault(error)
        self.signal.changed()

    async def _handle(self, method: str, payload: bytes) -> ClusterMessage:
        data = json.loads(payload)
        match method:
            case "presence.put":
                put = read(PresencePut, payload)
                self.puts[put.connection_id] = put
                live = next((self.live[key] for key in put.keys if key in self.live), None)
                return PresenceState(connection_id=put.connection_id, live=live)
            case "presence.watch":
                watch = read(PresenceWatch, payload)
                self.watches[watch.connection_id] = watch
                return self.state_for(watch)
            case "presence.drop":
                self.puts.pop(data["connection_id"], None)
                return Done()
            case "presence.unwatch":
                self.watches.pop(data["connection_id"], None)
                return Done()
            case "session.open":
                asked = read(SessionOpen, payload)
                self.opened.append(asked)
                assert self.on_open is not None
                return await self.on_open(asked)
            case "session.locate":
                self.located += 1
                return self._place(read(SessionLocate, payload).session_id)
            case "session.takeover":
                request = read(SessionTakeover, payload)
                self.takeovers.append(request)
                self.signal.changed()
                if self.on_takeover is not None:
                    return await self.on_takeover(request)
                return self._place(request.session_id)
            case "guest.locate":
                found = self.guests.get(data["code_hash"])
                if found is None:
                    raise NotFound(ErrorCode.UNKNOWN_INVITATION, "No such link.")
                return found
            case "record.list":
                query = read(RecordQuery, payload)
                mine = [
                    r
                    for r in self.records.values()
                    if query.account_id in (None, r.account_id) and query.phase in (None, r.phase)
                ]
                return RecordPage(records=mine[: query.limit])
            case "record.get":
                get = read(RecordGet, payload)
                record = self.records.get(get.session_id)
                if record is None or get.account_id not in (None, record.account_id):
                    raise NotFound(ErrorCode.UNKNOWN_SESSION, "There is no such session.")
                return _part(record, get)
            case "login.hand":
                self.notify("login.handed", read(LoginHand, payload))
                return Done()
            case "revocation.add":
                self.revocations.append(read(Revocation, payload))
                self.notify("revocation.added", self.revocations[-1])
                return Done()
            case "revocation.list":
                self.listed = True
                return self._revoked(read(RevocationList, payload))
            case "answer.claim" | "answer.settle" | "answer.release":
                return self._keep_answer(method, data)
            case _:
                return self.others[method](payload)

    def _revoked(self, ask: RevocationList) -> Revocations:
        found = sorted(self.revocations, key=_place)
        rest = [each for each in found if ask.after is None or _place(each) > ask.after]
        page = rest[: ask.limit]
        return Revocations(revocations=page, more=len(page) < len(rest))

    def lapse(self) -> None:
        """Have every claim that is not settled be nobody's any more."""
        for place in [place for place, (_, sealed) in self.answers.items() if sealed is None]:
            del self.answers[place], self._claimed[place]

    def _keep_answer(self, method: str, data: dict[str, Any]) -> ClusterMessage:
        place = data["place"]
        match method:
            case "answer.claim":
                known = self.answers.setdefault(place, (data["fingerprint"], None))
                fresh = known == (data["fingerprint"], None) and place not in self._claimed
                if fresh:
                    self._claimed[place] = next(self._begun)
                    return AnswerClaimed(claim=Claim.FIRST, begun_ms=self._claimed[place])
                if known[0] != data["fingerprint"]:
                    return AnswerClaimed(claim=Claim.OTHER_BODY)
                if known[1] is None:
                    return AnswerClaimed(claim=Claim.RUNNING)
                return AnswerClaimed(claim=Claim.ANSWERED, sealed=known[1])
            case "answer.settle":
                if data.get("begun_ms") in (None, self._claimed.get(place)):
                    self.answers[place] = (self.answers[place][0], data["sealed"])
            case _:
                if data["begun_ms"] == self._claimed.get(place):
                    del self.answers[place], self._claimed[place]
        return Done()

    def _place(self, session_id: str) -> Location:
        if session_id not in self.places:
            raise NotFound(ErrorCode.UNKNOWN_SESSION, "There is no such session.")
        return self.places[session_id]

    def state_for(self, watch: PresenceWatch) -> PresenceState:
        """What a watcher would be told now."""
        rung = [put for put in self.puts.values() if watch.key in put.keys]
        reach = Reach.ABSENT
        if rung:
            reach = Reach.REACHABLE if any(put.visible for put in rung) else Reach.HIDDEN
        return PresenceState(
            connection_id=watch.connection_id,
            reach=reach,
            surfaces=[put.surface for put in rung],
            live=self.live.get(watch.key),
        )

    def notify(self, method: str, body: ClusterMessage) -> None:
        """Tell every gateway something."""
        for end in self.ends:
            end.notify(method, body.to_bytes())

    def tell_watchers(self) -> None:
        """Send `presence.changed` to everybody who watches."""
        for watch in self.watches.values():
            self.notify("presence.changed", self.state_for(watch))

    def attach(self, session: FakeSession) -> None:
        """Say that a session exists, as after `session.open`."""
        self.live[session.engagement_key] = session.location
        self.places[session.session_id] = session.location
        for put in self.puts.values():
            if session.engagement_key in put.keys:
                self.notify(
                    "session.attach",
                    SessionAttach(connection_id=put.connection_id, location=session.location),
                )

    def relocate(self, session: FakeSession) -> None:
        """Say that another actor holds the session."""
        self.places[session.session_id] = session.location
        self.live[session.engagement_key] = session.location
        self.notify("session.relocated", SessionRelocated(location=session.location))


def _part(record: SessionRecord, get: RecordGet) -> SessionRecord:
    events = [each for each in record.events if each.seq > get.after]
    people = [each for each in record.subjects if each.participant_id > get.after_person]
    return record.model_copy(
        update={
            "events": events[: get.limit],
            "subjects": people[: get.limit],
            "more": len(events[: get.limit]) < len(events),
            "more_people": len(people[: get.limit]) < len(people),
        }
    )


def _place(revocation: Revocation) -> tuple[str, str]:
    return revocation.account_id, revocation.subject_hash
