"""Whose place the consumer's is: who only says so yields to who proved it, and nobody in a call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker.commands import (
    AcceptInvitation,
    DeclineInvitation,
    Leave,
    Prove,
    Ring,
    SendInvitation,
)
from broker.consumer import may_come
from broker.errors import ErrorCode, Forbidden, SwitchboardError
from broker.events import ConsumerChanged, InvitationRinging, ParticipantVerified
from broker.words import Mode, Surface
from tests.unit.sessions import AGENT, CLAIM, CONSUMER, INVITATION, Case, ringing, started, talking

OTHER = "p-other"
OTHERS_CLAIM = "d" * 64
PROVED = Ring(OTHER, Surface.WINDOW, OTHERS_CLAIM, verified=True)


def test_a_proof_takes_the_place_of_who_only_rang() -> None:
    case = ringing()
    changed, rings = case.do(PROVED)
    assert changed == ConsumerChanged(
        at_ms=case.now_ms, participant_id=OTHER, claim_hash=OTHERS_CLAIM
    )
    assert isinstance(rings, InvitationRinging)
    assert rings.verified
    assert case.state.invitation is not None
    assert case.state.invitation.surfaces == {Surface.WINDOW}, "what rang was another's"
    for refused in (
        Ring(CONSUMER, Surface.LAUNCHER, CLAIM),
        AcceptInvitation(CONSUMER, INVITATION, Mode.VIDEO, Surface.LAUNCHER),
        DeclineInvitation(CONSUMER, INVITATION),
    ):
        with pytest.raises(SwitchboardError):
            case.do(refused)
    case.do(AcceptInvitation(OTHER, INVITATION, Mode.VIDEO, Surface.WINDOW, verified=True))
    assert case.state.participants[OTHER].inside


@pytest.mark.parametrize("how", ["in the call", "proved on ringing", "proved in the call"])
def test_nobody_takes_the_place_of_who_is_in_the_call_or_proved_it(how: str) -> None:
    if how == "proved on ringing":
        case = started()
        case.do(Ring(CONSUMER, Surface.LAUNCHER, CLAIM, verified=True))
    else:
        case = talking()
    if how == "proved in the call":
        case.do(Prove(CONSUMER))
        case.do(Leave(CONSUMER))
        case.do(SendInvitation(AGENT, "i-2", Mode.VIDEO))
    with pytest.raises(Forbidden) as refusal:
        case.do(PROVED)
    assert refusal.value.code is ErrorCode.CONSUMER_CONFLICT
    assert case.state.consumer_id == CONSUMER


def test_who_left_without_a_proof_yields_to_one() -> None:
    case = talking()
    case.do(Leave(CONSUMER))
    case.do(SendInvitation(AGENT, "i-2", Mode.VIDEO))
    case.do(PROVED)
    assert (case.state.consumer_id, case.state.consumer_proved) == (OTHER, True)


def test_whose_surface_rings_already_rings_once_more_when_it_is_proved() -> None:
    case = ringing()
    same = Ring(CONSUMER, Surface.LAUNCHER, CLAIM)
    assert case.do(same) == []
    [again] = case.do(Ring(CONSUMER, Surface.LAUNCHER, CLAIM, verified=True))
    assert isinstance(again, InvitationRinging)
    assert case.state.consumer_proved
    assert case.do(Ring(CONSUMER, Surface.LAUNCHER, CLAIM, verified=True)) == []


def test_a_proof_in_the_call_is_marked_once() -> None:
    case = talking()
    assert not case.state.participants[CONSUMER].verified
    assert case.do(Prove(CONSUMER)) == [
        ParticipantVerified(at_ms=case.now_ms, participant_id=CONSUMER)
    ]
    assert case.state.participants[CONSUMER].verified
    assert case.state.consumer_proved
    assert case.do(Prove(CONSUMER)) == []


def bound_without_a_claim() -> Case:
    """As a journal of the release before may have it."""
    case = started()
    case.state = replace(case.state, consumer_id=CONSUMER)
    return case


def test_who_was_bound_without_a_claim_brings_it_with_the_next_ring() -> None:
    case = bound_without_a_claim()
    assert not may_come(case.state, None, CLAIM, verified=False), "nobody is known by it"
    with pytest.raises(Forbidden):
        case.do(Ring(OTHER, Surface.WINDOW, OTHERS_CLAIM))
    case.do(Ring(CONSUMER, Surface.LAUNCHER, CLAIM))
    assert case.state.consumer_claim == CLAIM
    assert may_come(case.state, CONSUMER, CLAIM, verified=False)
