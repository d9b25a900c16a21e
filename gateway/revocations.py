"""Who has lost access before their token's time, on this gateway."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from broker.ids import normal_agent_id
from broker.messages.cluster import Principal

KEPT = 10_000


class RevocationList:
    """Agents and tokens that hold no more, until their last token would have ended anyway.

    Bounded: the oldest entry is forgotten first. `clock` gives Unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float], kept_s: float) -> None:
        self._clock = clock
        self._kept_s = kept_s
        self._agents: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._tokens: OrderedDict[tuple[str, str], float] = OrderedDict()

    def revoke_agent(self, account_id: str, agent_id: str) -> None:
        """Refuse every token an agent was given until now; new ones hold."""
        self._add(self._agents, (account_id, normal_agent_id(agent_id) or agent_id))

    def revoke_token(self, account_id: str, token_id: str) -> None:
        """Refuse one token."""
        self._add(self._tokens, (account_id, token_id))

    def is_revoked(self, principal: Principal, token_id: str | None, issued_at: float) -> bool:
        """Whether a proof holds no more. `issued_at` is Unix time in seconds."""
        if token_id is not None and (principal.account_id, token_id) in self._tokens:
            return True
        agent_id = normal_agent_id(principal.agent_id)
        if agent_id is None:
            return False
        at = self._agents.get((principal.account_id, agent_id))
        return at is not None and issued_at <= at

    def _add(self, held: OrderedDict[tuple[str, str], float], key: tuple[str, str]) -> None:
        now = self._clock()
        held.pop(key, None)
        while held and (len(held) >= KEPT or next(iter(held.values())) < now - self._kept_s):
            held.popitem(last=False)
        held[key] = now
