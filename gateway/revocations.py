"""Who has lost access before their token's time: this gateway's copy of what all of them know."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from broker.ids import normal_agent_id
from broker.messages.cluster.trunk import Principal
from broker.messages.sharing import Revocation

KEPT = 10_000
NO_ACCOUNT = ""
"""Where operators belong: none of the accounts can revoke them."""


def agent_hash(agent_id: str) -> str:
    """Name an agent in a revocation, whatever form the id has."""
    return _hash("agent", normal_agent_id(agent_id) or agent_id)


def token_hash(token_id: str) -> str:
    """Name a token in a revocation."""
    return _hash("token", token_id)


def operator_hash(name: str) -> str:
    """Name everything that was given to an operator in a revocation."""
    return _hash("operator", name)


class RevocationList:
    """People and tokens that hold no more, until their last token would have ended anyway.

    Bounded: the oldest entry is forgotten first. `clock` gives Unix time in seconds.
    """

    def __init__(self, clock: Callable[[], float], kept_s: float) -> None:
        self._clock = clock
        self._kept_s = kept_s
        self._held: OrderedDict[tuple[str, str], Revocation] = OrderedDict()

    def make(
        self, account_id: str, subject_hash: str, *, kept_s: float | None = None
    ) -> Revocation:
        """Withdraw, from now on, everything that was given until now.

        `kept_s` is the longest life of what is withdrawn, where the list's own is not.
        """
        now = self._clock()
        return Revocation(
            account_id=account_id,
            subject_hash=subject_hash,
            at_s=now,
            until_s=now + (self._kept_s if kept_s is None else kept_s),
        )

    def add(self, revocation: Revocation) -> bool:
        """Take a revocation in; whether it says something new."""
        key = (revocation.account_id, revocation.subject_hash)
        known = self._held.get(key)
        if known is not None and known.at_s >= revocation.at_s:
            return False
        self._held.pop(key, None)
        now = self._clock()
        while self._held:
            oldest = next(iter(self._held.values()))
            if len(self._held) < KEPT and oldest.until_s >= now:
                break
            self._held.popitem(last=False)
        self._held[key] = revocation
        return True

    def is_revoked(self, principal: Principal, token_id: str | None, issued_at: float) -> bool:
        """Whether a proof holds no more. `issued_at` is Unix time in seconds."""
        account_id = principal.account_id
        if token_id is not None and (account_id, token_hash(token_id)) in self._held:
            return True
        if principal.agent_id is not None:
            whose = agent_hash(principal.agent_id)
        elif account_id == NO_ACCOUNT:
            whose = operator_hash(principal.name)
        else:
            return False
        revocation = self._held.get((account_id, whose))
        return revocation is not None and issued_at <= revocation.at_s


def _hash(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()
