"""Who has lost access before their token's time: this gateway's copy of what all of them know."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping

from broker.errors import ErrorCode, TooFast
from broker.ids import normal_agent_id
from broker.messages.cluster.trunk import Principal
from broker.messages.sharing import MOST_REVOCATIONS, Revocation

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

    Bounded by account, so that nobody's revocations cost anybody else theirs. `clock` gives Unix
    time in seconds.
    """

    def __init__(self, clock: Callable[[], float], kept_s: float) -> None:
        self._clock = clock
        self._kept_s = kept_s
        self._held: dict[str, dict[str, Revocation]] = {}
        """By account and subject."""

    def make(
        self, account_id: str, subject_hash: str, *, kept_s: float | None = None
    ) -> Revocation:
        """Withdraw, from now on, everything that was given until now.

        `kept_s` is the longest life of what is withdrawn, where the list's own is not.

        Raises:
            TooFast: the account has as many as one may have.
        """
        now = self._clock()
        held = self._counting(account_id, now)
        if subject_hash not in held and len(held) >= MOST_REVOCATIONS:
            raise TooFast(ErrorCode.RATE_LIMITED, "Too many revocations count at one time.")
        return Revocation(
            account_id=account_id,
            subject_hash=subject_hash,
            at_s=now,
            until_s=now + (self._kept_s if kept_s is None else kept_s),
        )

    def add(self, revocation: Revocation) -> bool:
        """Take a revocation in; whether it says something new."""
        held = self._counting(revocation.account_id, self._clock())
        known = held.get(revocation.subject_hash)
        if known is not None and known.at_s >= revocation.at_s:
            return False
        kept = self._held.setdefault(revocation.account_id, {})
        kept[revocation.subject_hash] = revocation
        if len(kept) > MOST_REVOCATIONS:
            # Two gateways may have taken the last one at the same time.
            del kept[min(kept, key=lambda subject: kept[subject].until_s)]
        return True

    def is_revoked(
        self, principal: Principal, token_ids: Collection[str], issued_at: float
    ) -> bool:
        """Whether a proof by these tokens holds no more. `issued_at` is Unix time in seconds."""
        held: Mapping[str, Revocation] = self._held.get(principal.account_id, {})
        if any(token_hash(each) in held for each in token_ids):
            return True
        if principal.agent_id is not None:
            whose = agent_hash(principal.agent_id)
        elif principal.account_id == NO_ACCOUNT:
            whose = operator_hash(principal.name)
        else:
            return False
        revocation = held.get(whose)
        return revocation is not None and issued_at <= revocation.at_s

    def _counting(self, account_id: str, now: float) -> Mapping[str, Revocation]:
        """Forget what has had its time, of one account; return the rest."""
        held = self._held.get(account_id)
        if held is None:
            return {}
        if len(held) >= MOST_REVOCATIONS:
            for subject in [each for each, of in held.items() if of.until_s < now]:
                del held[subject]
        if not held:
            del self._held[account_id]
        return held


def _hash(kind: str, name: str) -> str:
    return hashlib.sha256(f"{kind}:{name}".encode()).hexdigest()
