"""Asking further agents of the account into a session by name.

Who is there the ledger says; who was asked is known here, for one tenure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from actors.link import Request
from actors.session.person import Person
from broker.errors import ErrorCode, Forbidden, SwitchboardError, TooFast
from broker.ids import normal_agent_id
from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.colleagues import ColleagueCall, ColleagueDeclined, ColleagueQuery, Colleagues
from broker.messages.parts import ColleagueView
from broker.rights import require_capability
from broker.words import Asked, Attendance, Capability, Role

if TYPE_CHECKING:
    from actors.session.live import LiveSession

ASKED_MS = 120_000
"""So long a colleague is asked; a gateway shows it as long."""
ASKED_LIMIT = 5
"""Colleagues asked at once."""

R = TypeVar("R", bound=ClusterMessage)
Refused = Callable[[SwitchboardError], None]


class LedgerCall(Protocol):
    """Asks the ledger something; exactly one of `then` and `refused` is called, later."""

    def __call__(
        self, request: Request, reply: type[R], then: Callable[[R], None], refused: Refused
    ) -> None: ...


@dataclass(eq=False, frozen=True, slots=True)
class _Call:
    at_ms: int
    asked: Asked


class Asking:
    """Whom the agents of one session asked to help, and what became of it."""

    def __init__(self, session: LiveSession, call: LedgerCall) -> None:
        self._session = session
        self._call = call
        self._calls: dict[str, _Call] = {}

    def list(
        self, person: Person, then: Callable[[list[ColleagueView]], None], refused: Refused
    ) -> None:
        """Find the agents who are there and not in the session. Raises Forbidden, TooFast."""
        self._require_agent(person)
        if not person.look_ups.take(self._session.now_ms()):
            raise TooFast(ErrorCode.RATE_LIMITED, "That is too fast; wait a little.")

        def found(reply: Colleagues) -> None:
            self._forget_old()
            inside = self._inside()
            then(
                [
                    ColleagueView(
                        agent_id=each.agent_id, name=each.name, asked=self._asked(each.agent_id)
                    )
                    for each in reply.colleagues
                    if each.agent_id not in inside
                ]
            )

        query = ColleagueQuery(session_id=self._session.session_id)
        self._call(query, Colleagues, found, refused)

    def ask(
        self, person: Person, agent_id: str, then: Callable[[], None], refused: Refused
    ) -> None:
        """Ask a colleague to help. Raises Forbidden, TooFast."""
        self._require_agent(person)
        person.require_pace(self._session.now_ms())
        self._forget_old()
        asked = [each for each, call in self._calls.items() if call.asked is Asked.ASKED]
        if len(asked) >= ASKED_LIMIT and agent_id not in asked:
            raise TooFast(ErrorCode.RATE_LIMITED, "Enough colleagues are asked already.")
        consumer = self._session.people.get(self._session.decided.consumer_id or "")
        about = consumer.principal.name if consumer is not None else None
        # Counted before the ledger answers, or any number could be under way.
        this = self._calls[agent_id] = _Call(self._session.now_ms(), Asked.ASKED)

        def not_called(error: SwitchboardError) -> None:
            if self._calls.get(agent_id) is this:
                del self._calls[agent_id]
            refused(error)

        self._call(
            ColleagueCall(
                session_id=self._session.session_id,
                agent_id=agent_id,
                asked_by=person.principal.name,
                about=about or self._session.ids.visitor_name,
            ),
            Done,
            lambda _: then(),
            not_called,
        )

    def on_declined(self, declined: ColleagueDeclined) -> None:
        """A colleague does not come."""
        if declined.agent_id in self._calls:
            self._calls[declined.agent_id] = _Call(self._session.now_ms(), Asked.DECLINED)

    def _require_agent(self, person: Person) -> None:
        require_capability(self._session.decided, person.participant_id, Capability.INVITE)
        if person.principal.role is not Role.AGENT:
            raise Forbidden(ErrorCode.NOT_PERMITTED, "Only an agent asks colleagues.")

    def _asked(self, agent_id: str) -> Asked:
        call = self._calls.get(agent_id)
        return Asked.FREE if call is None else call.asked

    def _forget_old(self) -> None:
        """Forget who was asked too long ago, and who has come."""
        since_ms, inside = self._session.now_ms() - ASKED_MS, self._inside()
        self._calls = {
            agent_id: call
            for agent_id, call in self._calls.items()
            if call.at_ms > since_ms and agent_id not in inside
        }

    def _inside(self) -> set[str | None]:
        people, state = self._session.people, self._session.decided
        return {
            normal_agent_id(people[each.participant_id].principal.agent_id)
            for each in state.participants.values()
            if each.attendance is not Attendance.LEFT and each.role is Role.AGENT
        }
