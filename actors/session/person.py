"""One participant as the actor holds them: connections, outgoing messages, what is known."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from actors.session.connection import Connection
from actors.session.pace import Pace
from actors.session.told import Told
from broker.errors import ErrorCode, TooFast
from broker.ids import normal_id, same_agent
from broker.messages.cluster.tenure import Subject
from broker.messages.cluster.trunk import Principal
from broker.messages.parts import EngagementIds, Part
from broker.words import PublishSource, Surface

SUBJECT = frozenset(
    {
        "role",
        "name",
        "picture",
        "agent_id",
        "visitor_id",
        "claim_hash",
        "decline_reason",
        "measured",
        "engagement",
    }
)
"""What this release says of a person beside the journal (`Person.subject`)."""
REMEMBERED_REPLIES = 64
PACE_COUNT = 20
PACE_MS = 10_000
"""At most so many requests that are journalled or shown to others, in so many milliseconds."""
HOUR_COUNT = 600
HOUR_MS = 3_600_000
"""The same for longer: not only the pace is bounded, but what one person adds to a journal."""
OFFER_COUNT = 20
"""Offers of a person in `PACE_MS`: each costs the session's process a handshake."""


def encode_body(message: Part) -> bytes:
    """Encode a message of the broker without its `seq`; each participant's is spliced in."""
    return message.model_dump_json(exclude={"seq"}).encode()


def seen_here(ids: EngagementIds | None, engagement_key: str) -> EngagementIds | None:
    """What the host of a member of the staff says, as far as it concerns this conversation.

    Their workspace may show another one: who the consumer is there must not stand in this session.
    """
    if ids is None or normal_id(ids.rt_session_id) == engagement_key:
        return ids
    return EngagementIds(
        account_id=ids.account_id,
        rt_session_id=ids.rt_session_id,
        agent_id=ids.agent_id,
        chatting_agent_id=ids.chatting_agent_id,
        spectating=ids.spectating,
    )


@dataclass(slots=True)
class Person:
    """Somebody the session knows. Lives as long as the session."""

    participant_id: str
    principal: Principal
    engagement: EngagementIds | None = None
    connections: dict[str, Connection] = field(default_factory=dict)
    published: dict[PublishSource, bool] = field(
        default_factory=lambda: dict.fromkeys(PublishSource, False)
    )
    token_id: str | None = None
    """Guests: the token by which they came in. They have it anew with each page, and nothing else
    before they are connected."""
    trouble: str | None = None
    """What the consumer's surface said stands between the person and the camera."""
    decline_reason: str | None = None
    """Why the consumer declined last, in their words; stands in the subject only."""
    measured: Mapping[str, Any] | None = None
    """How their connection was, as it was written down last (`QualityLog.so_far`)."""
    unkept: bool = False
    """Whether something of what the ledger is to keep was not given to it yet."""
    later: Mapping[str, Any] = field(default_factory=dict)
    """What an actor of a later release knew of the person, to be handed on as it is."""
    later_ids: Mapping[str, Any] = field(default_factory=dict)
    """The same of the engagement."""
    told: Told = field(default_factory=Told)
    rang: set[str] = field(default_factory=set)
    """Widgets that showed the open invitation and have no connection just now."""
    opener: str | None = None
    """The connection by which they began the session, until it goes or their media are offered."""
    offers: Pace = field(default_factory=lambda: Pace((OFFER_COUNT, PACE_MS)))
    look_ups: Pace = field(default_factory=lambda: Pace((PACE_COUNT, PACE_MS)))
    """What the ledger is asked for them, and nobody else is told of."""
    _asked: Pace = field(default_factory=lambda: Pace((PACE_COUNT, PACE_MS), (HOUR_COUNT, HOUR_MS)))
    _replies: OrderedDict[str, bytes | None] = field(default_factory=OrderedDict)

    def recognise(self, principal: Principal) -> None:
        """Take from a later hello of the same person what it knows more: the claim by which their
        other surfaces are known, where a subject of the release before does not say it; and who
        they are, once that is proved."""
        known = self.principal
        if principal.verified and not known.verified:
            more = principal.model_dump(include={"name", "picture", "visitor_id", "verified"})
            more = {name: value for name, value in more.items() if value}
        else:
            more = {}
        if known.claim_hash is None and principal.claim_hash is not None:
            more["claim_hash"] = principal.claim_hash
        if more:
            self.principal = known.model_copy(update=more)
            self.unkept = True

    @property
    def surfaces(self) -> list[Surface]:
        """The distinct surfaces connected now."""
        return sorted({connection.surface for connection in self.connections.values()})

    @property
    def visible(self) -> bool:
        """Whether any connected surface can be seen."""
        return any(connection.visible for connection in self.connections.values())

    def connections_of(self, widget_id: str) -> list[Connection]:
        """The connections of one widget: a second one while it comes back."""
        return [each for each in self.connections.values() if each.widget_id == widget_id]

    def chats_on(self, engagement_key: str) -> bool:
        """Whether the agent's host says that this conversation is theirs; it may show another."""
        ids = self.engagement
        return (
            ids is not None
            and normal_id(ids.rt_session_id) == engagement_key
            and not ids.spectating
            and same_agent(ids.chatting_agent_id, self.principal.agent_id)
        )

    def subject(self) -> Subject:
        """What stands beside the journal about this person, erasable."""
        principal = self.principal
        known: dict[str, object] = {
            "role": str(principal.role),
            "name": principal.name,
            "picture": principal.picture,
            "agent_id": principal.agent_id,
            "visitor_id": principal.visitor_id,
            "claim_hash": principal.claim_hash,
            "decline_reason": self.decline_reason,
            "measured": self.measured,
        }
        if self.engagement is not None:
            ids = self.engagement.model_dump(mode="json", exclude_none=True)
            known["engagement"] = {**self.later_ids, **ids}
        said = {key: value for key, value in known.items() if value not in (None, "")}
        return Subject(participant_id=self.participant_id, body={**said, **self.later})

    def tell(self, body: bytes, *, only: Connection | None = None) -> None:
        """Send an encoded message to all of the person's connections, or to one of them."""
        if only is not None:
            if self.connections.get(only.connection_id) is not only:
                # It is gone, and its widget may be back: it does not ask a third time.
                self.tell_widget(body, only.widget_id)
                return
            message = self.told.add(body, only.widget_id)
            # What comes back is told what it missed first, and this as the last of it.
            if not only.catching_up:
                only.send(message)
            return
        message = self.told.add(body)
        for connection in tuple(self.connections.values()):
            if connection.current:
                connection.send(message)

    def tell_widget(self, body: bytes, widget_id: str) -> None:
        """Send an encoded message to one widget, which need not be connected just now."""
        message = self.told.add(body, widget_id)
        for connection in self.connections_of(widget_id):
            if connection.current:
                connection.send(message)

    def part(self, body: bytes | None, code: int, reason: str, *, to_waiting: bool) -> None:
        """End all connections, each with this as its last message."""
        last: bytes | None = None
        if body is not None:
            last = self.told.add(body)
        for connection in tuple(self.connections.values()):
            connection.close(code, reason, to_waiting=to_waiting, last=last)
        self.connections.clear()

    def tell_roster(self, body: bytes) -> None:
        """Send a roster; a connection that is slow gets only the newest once it can take it."""
        message = self.told.add(body)
        for connection in tuple(self.connections.values()):
            if connection.current:
                connection.send_latest(message)

    def require_pace(self, now_ms: int) -> None:
        """Note a request that is journalled or shown to others. Raises TooFast."""
        if not self.in_pace(now_ms):
            raise TooFast(ErrorCode.RATE_LIMITED, "That is too fast; wait a little.")

    def in_pace(self, now_ms: int) -> bool:
        """Note such a request; False when it comes too fast."""
        return self._asked.take(now_ms)

    def remembered_reply(self, request_id: str) -> tuple[bool, bytes | None]:
        """Whether a request was seen before, and its reply when there is one already."""
        return request_id in self._replies, self._replies.get(request_id)

    def begin_request(self, request_id: str) -> None:
        """Note that a request is being handled: said twice, it takes effect once."""
        self._replies[request_id] = None
        while len(self._replies) > REMEMBERED_REPLIES:
            self._replies.popitem(last=False)

    def finish_request(self, request_id: str, body: bytes) -> None:
        """Keep the reply for a request said twice."""
        if request_id in self._replies:
            self._replies[request_id] = body

    def tell_rung(self, body: bytes, *, also_who_answered: bool) -> None:
        """Tell each widget that rang that it does no more, also those that are away."""
        for connection in tuple(self.connections.values()):
            if connection.ringing and (also_who_answered or not connection.answered):
                self.tell(body, only=connection)
            connection.ringing = False
        for widget_id in sorted(self.rang):
            self.told.add(body, widget_id)
        self.rang.clear()
