"""One agent of an account asks another into a session: between session, ledger and gateways.

Nothing of it is kept: who is there is presence, and who was asked the session's actor remembers.
"""

from __future__ import annotations

from typing import ClassVar

from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.trunk import Location


class Colleague(ClusterMessage):
    """An agent whose widget is open."""

    agent_id: str
    name: str


class ColleagueQuery(ClusterMessage):
    """Actor to ledger: which agents of the session's account have their widget open?"""

    method: ClassVar[str] = "colleague.list"
    session_id: str


class Colleagues(ClusterMessage):
    """Reply to `colleague.list`, by name."""

    colleagues: list[Colleague]


class ColleagueCall(ClusterMessage):
    """Actor to ledger: show on that agent's widgets that they are asked.

    Raises NotFound (`unknown_participant`): none is open.
    """

    method: ClassVar[str] = "colleague.call"
    session_id: str
    agent_id: str
    asked_by: str
    about: str | None = None


class ColleagueCalled(ClusterMessage):
    """Notice ledger to gateway, `colleague.called`: this widget's agent is asked."""

    connection_id: str
    location: Location
    asked_by: str
    about: str | None = None


class ColleagueAnswer(ClusterMessage):
    """Gateway to ledger: the agent comes or does not; their other widgets need not ask any more."""

    method: ClassVar[str] = "colleague.answer"
    session_id: str
    agent_id: str
    comes: bool


class ColleagueSettled(ClusterMessage):
    """Notice ledger to gateway, `colleague.settled`: it was answered on another widget."""

    connection_id: str
    session_id: str


class ColleagueDeclined(ClusterMessage):
    """Notice ledger to actor, `colleague.declined`."""

    session_id: str
    agent_id: str
