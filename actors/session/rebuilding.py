"""Who a session's people are, for an actor that continues it: from journal and subjects alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actors.session.person import SUBJECT, Person
from broker.events import (
    ConsumerChanged,
    GuestInvited,
    InvitationRinging,
    ParticipantJoined,
    PastEvent,
)
from broker.messages.cluster.tenure import Subject
from broker.messages.cluster.trunk import Principal
from broker.messages.tolerance import beyond, read_ids
from broker.past import LEAST, known_word
from broker.state import Participant, SessionState
from broker.words import Role


def rebuilt(
    past: Sequence[PastEvent], state: SessionState, subjects: Sequence[Subject], account_id: str
) -> Iterator[Person]:
    """Rebuild everybody whom the journal or a subject names; `state` is what `past` made.

    Whom the journal names was somebody, also once nothing more is known of them.
    """
    known = {subject.participant_id: subject.body for subject in subjects}
    claims = _claims_of(past)
    for participant_id in {**known, **state.participants, **claims}:
        person = _rebuilt_person(
            participant_id,
            known.get(participant_id, {}),
            state.participants.get(participant_id),
            claims.get(participant_id) or known.get(participant_id, {}).get("claim_hash"),
            account_id,
            proved=state.consumer_proved and participant_id == state.consumer_id,
        )
        if person is not None:
            yield person


def _claims_of(events: Sequence[PastEvent]) -> dict[str, str]:
    """By participant: the hash of the secret by which a consumer's surfaces are known."""
    claims: dict[str, str] = {}
    admitted: dict[str | None, str] = {}
    for event in events:
        match event:
            case InvitationRinging(claim_hash=str(claim)):
                claims.setdefault(event.participant_id, claim)
            case ConsumerChanged():
                claims[event.participant_id] = event.claim_hash
            case GuestInvited(admitted=True):
                admitted[event.guest_invitation_id] = event.code_hash
            case ParticipantJoined() if event.guest_invitation_id in admitted:
                claims[event.participant_id] = admitted[event.guest_invitation_id]
            case _:
                pass
    return claims


def _rebuilt_person(
    participant_id: str,
    known: Mapping[str, Any],
    participant: Participant | None,
    claim_hash: str | None,
    account_id: str,
    *,
    proved: bool,
) -> Person | None:
    """Rebuild somebody from what stands beside the journal, or without that from the journal.

    `None`: erased before the journal said anything of them.
    """
    if claim_hash is not None:
        role = Role.CONSUMER
    elif "role" in known:
        role = Role(known_word(Role, known["role"]) or LEAST[Role])
    elif participant is not None:
        role = participant.role
    else:
        return None
    told = known.get("engagement")
    ids = None if told is None else read_ids(told)
    return Person(
        participant_id=participant_id,
        principal=Principal(
            role=role,
            account_id=account_id,
            agent_id=known.get("agent_id"),
            visitor_id=known.get("visitor_id"),
            claim_hash=claim_hash,
            name=known.get("name", ""),
            picture=known.get("picture"),
            participant_id=participant_id,
            verified=proved or (participant is not None and participant.verified),
        ),
        engagement=ids,
        decline_reason=known.get("decline_reason"),
        measured=known.get("measured"),
        later=_later_of(known),
        later_ids={} if ids is None else beyond(told or {}, ids),
    )


def _later_of(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a later release knows of a person: an actor of this one must not lose it."""
    later = {name: value for name, value in known.items() if name not in SUBJECT}
    if "role" in known and known_word(Role, known["role"]) is None:
        later["role"] = known["role"]
    return later
