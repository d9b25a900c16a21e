"""Whose place the consumer's is: the one rule by which a claim or a proof takes it.

Ids are claims (design-identity §2). The first who rings holds the place by the secret they rang
with, and another secret never displaces anybody: the agent is asked. Three things follow.

- Who is bound without a secret, as a journal of the release before may have it, is known by their
  resume token alone until their next ring brings one. Whoever merely has a secret is a stranger.
- Somebody for whom the agent's link or the brand vouches takes the place from one who only said
  who they are, unless that one takes part: nobody in a call is put out of it.
- Of two who proved it the first holds the place.
"""

from __future__ import annotations

from broker.errors import ErrorCode, Forbidden
from broker.state import SessionState


def is_theirs(state: SessionState, participant_id: str | None, claim_hash: str | None) -> bool:
    """Whether the place is free for this claim, or held by whom it stands for.

    `participant_id`: who is known by the claim; `None`: nobody.
    """
    return (
        claim_hash is not None
        and state.consumer_id in (None, participant_id)
        and state.consumer_claim in (None, claim_hash)
    )


def may_come(
    state: SessionState, participant_id: str | None, claim_hash: str | None, *, verified: bool
) -> bool:
    """Whether a connection may be rung as the consumer's; if not, the agent is asked."""
    if is_theirs(state, participant_id, claim_hash):
        return True
    holder = state.participants.get(state.consumer_id or "")
    is_held = state.consumer_proved or (holder is not None and holder.inside)
    return claim_hash is not None and verified and not is_held


def require_place(
    state: SessionState, participant_id: str, claim_hash: str | None, *, verified: bool
) -> bool:
    """Return whether ringing makes them the consumer in place of another.

    Raises:
        Forbidden: the place is another's, or they could not be known again.
    """
    if not may_come(state, participant_id, claim_hash, verified=verified):
        raise Forbidden(
            ErrorCode.CONSUMER_CONFLICT, "Another person is invited on this conversation."
        )
    return not is_theirs(state, participant_id, claim_hash)
