"""Asking an agent of an account into a session: who is there, and whose widgets show it."""

from __future__ import annotations

from actors.ledger.audience import Audience
from actors.ledger.live import Directory, Live
from actors.ledger.presence import Presence
from actors.link import End
from broker.errors import ErrorCode, NotFound
from broker.messages.cluster.base import Done
from broker.messages.colleagues import (
    Colleague,
    ColleagueAnswer,
    ColleagueCall,
    ColleagueCalled,
    ColleagueDeclined,
    ColleagueQuery,
    Colleagues,
    ColleagueSettled,
)

MOST_LISTED = 200


class ColleagueCalls:
    """Passes what colleagues ask of one another, within an account; remembers nothing."""

    def __init__(self, directory: Directory, presence: Presence[End], audience: Audience) -> None:
        self._directory = directory
        self._audience = audience
        self._presence = presence

    async def list(self, ask: ColleagueQuery) -> Colleagues:
        """Name who has a widget open, at most `MOST_LISTED`. Raises NotFound."""
        agents = self._presence.agents(self._live(ask.session_id).account_id)
        by_name = sorted(agents.items(), key=lambda agent: (agent[1].casefold(), agent[0]))
        return Colleagues(
            colleagues=[
                Colleague(agent_id=agent_id, name=name) for agent_id, name in by_name[:MOST_LISTED]
            ]
        )

    async def call(self, ask: ColleagueCall) -> Done:
        """Show on an agent's widgets that they are asked. Raises NotFound."""
        live = self._live(ask.session_id)
        location = live.location()
        widgets = self._presence.widgets_of(live.account_id, ask.agent_id)
        if not widgets or location is None:
            raise NotFound(ErrorCode.UNKNOWN_PARTICIPANT, "That colleague is not here now.")
        for widget in widgets:
            called = ColleagueCalled(
                connection_id=widget.connection_id,
                location=location,
                asked_by=ask.asked_by,
                about=ask.about,
            )
            self._audience.colleague_called(widget.gateway, called)
        return Done()

    async def answer(self, said: ColleagueAnswer) -> Done:
        """Take an answer to the session, and off the agent's other widgets. Raises NotFound."""
        live = self._live(said.session_id)
        for widget in self._presence.widgets_of(live.account_id, said.agent_id):
            settled = ColleagueSettled(
                connection_id=widget.connection_id, session_id=said.session_id
            )
            self._audience.colleague_settled(widget.gateway, settled)
        if not said.comes and live.holder is not None:
            declined = ColleagueDeclined(session_id=said.session_id, agent_id=said.agent_id)
            live.holder.end.notify("colleague.declined", declined.to_bytes())
        return Done()

    def _live(self, session_id: str) -> Live:
        live = self._directory.get(session_id)
        if live is None:
            raise NotFound(ErrorCode.UNKNOWN_SESSION, "There is no such session.")
        return live
