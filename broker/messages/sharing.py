"""What the gateways of a deployment know together, by way of the ledger: who lost access, and which
requests were answered already.

Internal to the cluster, like `broker.messages.cluster`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from broker.messages.cluster.base import ClusterMessage

MOST_REVOCATIONS = 10_000
"""Revocations of one account that count at one time; another is refused with `rate_limited`."""


class Revocation(ClusterMessage):
    """One agent or one token that holds no more.

    Method `revocation.add`, answered by `Done`; then notice `revocation.added` to every gateway.
    """

    method: ClassVar[str] = "revocation.add"
    account_id: str
    subject_hash: str
    """Of the agent id or the token id, so that no id of a person is kept."""
    at_s: float
    """What was issued at or before this Unix time holds no more."""
    until_s: float
    """When the last token it concerns has ended by itself."""


class RevocationList(ClusterMessage):
    """Which revocations count still? Asked by a gateway whose link is new, page by page."""

    method: ClassVar[str] = "revocation.list"
    after: tuple[str, str] | None = None
    """Account and subject of the last one that it has."""
    limit: int | None = None
    """`None`: all at once, as the release before asks."""


class Revocations(ClusterMessage):
    """The revocations that count still, by account and subject."""

    revocations: list[Revocation]
    more: bool = False


class LoginHand(ClusterMessage):
    """A token for a frame that waits for its login at another gateway.

    Method `login.hand`, answered by `Done`; then notice `login.handed` to every gateway. Nothing of
    it is kept.
    """

    method: ClassVar[str] = "login.hand"
    flow_id: str
    sealed: str


class Claim(StrEnum):
    """What a request with an idempotency key has found."""

    FIRST = "first"
    """Nobody came with this key: do it, then settle or release."""
    RUNNING = "running"
    ANSWERED = "answered"
    OTHER_BODY = "other_body"


class AnswerClaim(ClusterMessage):
    """A request with an idempotency key begins. A claim that is not settled lapses."""

    method: ClassVar[str] = "answer.claim"
    place: str
    """Hash of account, operation and key."""
    fingerprint: str
    """Hash of the request's body."""
    account_id: str | None = None
    """Whose request it is: all of one account's are with one ledger."""


class AnswerClaimed(ClusterMessage):
    """What was found; the answer as its gateway sealed it."""

    claim: Claim
    sealed: str | None = None
    begun_ms: int | None = None
    """Of a `FIRST`: when it began, by the ledger's clock; none of a release before."""


class AnswerSettle(ClusterMessage):
    """The request was answered. The answer is sealed: it may hold a token or a link."""

    method: ClassVar[str] = "answer.settle"
    place: str
    sealed: str
    begun_ms: int | None = None
    """As of `AnswerRelease`."""
    account_id: str | None = None


class AnswerRelease(ClusterMessage):
    """The request failed: the next with this key is the first again."""

    method: ClassVar[str] = "answer.release"
    place: str
    begun_ms: int | None = None
    """As the claim was answered: one that has lapsed meanwhile is another's. `None`: whichever
    there is; so a release before."""
    account_id: str | None = None
