"""Events make state: `evolve` is the only way a `SessionState` comes to be.

It never refuses: an event in the journal has happened. A step the tables of `state` do not allow
is a mistake of ours and raises `AssertionError`, which a takeover counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar, assert_never

from broker.events import (
    AnyEvent,
    CapabilitiesChanged,
    ConsumerChanged,
    GuestExpired,
    GuestInvited,
    GuestRevoked,
    InvitationAccepted,
    InvitationCancelled,
    InvitationDeclined,
    InvitationExpired,
    InvitationFailed,
    InvitationRinging,
    InvitationSent,
    LaterEvent,
    ModeChanged,
    OwnerChanged,
    ParticipantAdmitted,
    ParticipantJoined,
    ParticipantLeft,
    ParticipantReconnecting,
    ParticipantReturned,
    ParticipantVerified,
    PastEvent,
    QualityMeasured,
    SessionEnded,
    SessionStarted,
    WayChanged,
)
from broker.state import (
    ATTENDANCE_STEPS,
    DONE_LIMIT,
    INVITATION_STEPS,
    GuestLink,
    Invitation,
    Participant,
    SessionState,
)
from broker.words import Attendance, InvitationState, Role, SessionPhase

V = TypeVar("V")


def replay(state: SessionState, events: Iterable[PastEvent]) -> SessionState:
    """Apply events in order."""
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: SessionState, event: PastEvent) -> SessionState:
    """Return the state after one event; one of a later release is counted and changes nothing."""
    after = state
    if not isinstance(event, LaterEvent):
        after = _count_absences(_apply(state, event), event.at_ms)
    done = state.done
    if event.mark is not None:
        done = (*done, event.mark)[-DONE_LIMIT:]
    return replace(after, event_count=state.event_count + 1, done=done)


def _apply(state: SessionState, event: AnyEvent) -> SessionState:
    match event:
        case SessionStarted():
            return replace(
                state,
                phase=SessionPhase.OPEN,
                session_id=event.session_id,
                account_id=event.account_id,
                engagement_key=event.engagement_key,
                mode=event.mode,
                owner_id=event.owner_id,
                started_ms=event.at_ms,
                # What was promised at the start holds for later tenures, whatever their settings.
                policy=replace(
                    state.policy.with_known(event.policy or {}), silent_monitoring=event.monitoring
                ),
            )
        case ParticipantJoined():
            return _joined(state, event)
        case ParticipantAdmitted() | ParticipantReturned():
            return _attend(state, event.participant_id, Attendance.PRESENT, event.at_ms)
        case ParticipantReconnecting():
            return _attend(state, event.participant_id, Attendance.RECONNECTING, event.at_ms)
        case ParticipantLeft():
            return _attend(state, event.participant_id, Attendance.LEFT, event.at_ms)
        case QualityMeasured():
            return state
        case ParticipantVerified():
            marked = _person(state, event.participant_id, verified=True)
            return _proved(marked, event.participant_id)
        case CapabilitiesChanged():
            return _granted(state, event)
        case WayChanged():
            return _person(
                state,
                event.participant_id,
                way=event.way,
                mode=event.mode,
                mode_ms=event.at_ms,
                capabilities=frozenset(event.capabilities),
            )
        case ModeChanged():
            return _person(state, event.participant_id, mode=event.mode, mode_ms=event.at_ms)
        case OwnerChanged():
            return replace(state, owner_id=event.participant_id)
        case InvitationSent():
            return replace(
                state,
                invitation=Invitation(
                    invitation_id=event.invitation_id,
                    mode=event.mode,
                    by=event.by,
                    state=InvitationState.SENT,
                    expires_ms=event.expires_ms,
                ),
            )
        case InvitationRinging():
            return _ringing(state, event)
        case ConsumerChanged():
            return _consumer_changed(state, event)
        case InvitationAccepted():
            return _close(state, InvitationState.ACCEPTED, event.at_ms)
        case InvitationDeclined():
            return _close(state, InvitationState.DECLINED, event.at_ms)
        case InvitationExpired():
            return _close(state, InvitationState.EXPIRED, event.at_ms)
        case InvitationCancelled():
            return _close(state, InvitationState.CANCELLED, event.at_ms)
        case InvitationFailed():
            return _close(state, InvitationState.FAILED, event.at_ms, why=event.why)
        case GuestInvited():
            link = GuestLink(
                guest_invitation_id=event.guest_invitation_id,
                code_hash=event.code_hash,
                uses_left=event.uses,
                expires_ms=event.expires_ms,
                by=event.by,
                admitted=event.admitted,
            )
            return replace(
                state,
                guest_links=_put(state.guest_links, event.guest_invitation_id, link),
                guest_link_ids=state.guest_link_ids | {event.guest_invitation_id},
            )
        case GuestRevoked() | GuestExpired():
            return replace(state, guest_links=_drop(state.guest_links, event.guest_invitation_id))
        case SessionEnded():
            return _ended(state, event)
        case _:
            assert_never(event)


def _granted(state: SessionState, event: CapabilitiesChanged) -> SessionState:
    person, now = state.participants[event.participant_id], frozenset(event.capabilities)
    withdrawn = (person.withdrawn | person.capabilities) - now
    return _person(state, event.participant_id, capabilities=now, withdrawn=withdrawn)


def _joined(state: SessionState, event: ParticipantJoined) -> SessionState:
    before = state.participants.get(event.participant_id)
    person = Participant(
        participant_id=event.participant_id,
        role=event.role,
        mode=event.mode,
        capabilities=frozenset(event.capabilities),
        attendance=Attendance.LOBBY if event.lobby else Attendance.PRESENT,
        since_ms=event.at_ms,
        joined_ms=event.at_ms,
        mode_ms=event.at_ms,
        verified=event.verified,
        guest_invitation_id=event.guest_invitation_id,
        way=event.way,
        withdrawn=frozenset() if before is None else before.withdrawn - set(event.capabilities),
    )
    links = state.guest_links
    link = links.get(event.guest_invitation_id or "")
    if link is not None:
        left = link.uses_left - 1
        links = (
            _put(links, link.guest_invitation_id, replace(link, uses_left=left))
            if left
            else _drop(links, link.guest_invitation_id)
        )
    after = replace(
        state,
        participants=_put(state.participants, person.participant_id, person),
        guest_links=links,
    )
    return _proved(after, person.participant_id) if event.verified else after


def _ringing(state: SessionState, event: InvitationRinging) -> SessionState:
    invitation = _step(state.invitation, InvitationState.RINGING)
    return replace(
        state,
        invitation=replace(invitation, surfaces=invitation.surfaces | {event.surface}),
        consumer_id=state.consumer_id or event.participant_id,
        consumer_claim=state.consumer_claim or event.claim_hash,
        consumer_proved=state.consumer_proved or event.verified,
    )


def _consumer_changed(state: SessionState, event: ConsumerChanged) -> SessionState:
    invitation = state.invitation
    if invitation is not None and invitation.open:
        # What rang was another's.
        invitation = replace(invitation, surfaces=frozenset())
    return replace(
        state,
        invitation=invitation,
        consumer_id=event.participant_id,
        consumer_claim=event.claim_hash,
        consumer_proved=True,
    )


def _proved(state: SessionState, participant_id: str) -> SessionState:
    """Note that it is proved who somebody is: a consumer holds their place by that."""
    if participant_id != state.consumer_id:
        return state
    return replace(state, consumer_proved=True)


def _ended(state: SessionState, event: SessionEnded) -> SessionState:
    gone = {
        key: person
        if person.attendance is Attendance.LEFT
        else replace(person, attendance=Attendance.LEFT, since_ms=event.at_ms)
        for key, person in state.participants.items()
    }
    return replace(
        state,
        phase=SessionPhase.ENDED,
        ended_ms=event.at_ms,
        end_reason=event.reason,
        participants=MappingProxyType(gone),
        guest_links=MappingProxyType({}),
    )


def _attend(
    state: SessionState, participant_id: str, attendance: Attendance, at_ms: int
) -> SessionState:
    person = state.participants[participant_id]
    assert attendance in ATTENDANCE_STEPS[person.attendance], (
        f"A participant cannot go from {person.attendance} to {attendance}."
    )
    return _person(state, participant_id, attendance=attendance, since_ms=at_ms)


def _person(state: SessionState, participant_id: str, **changes: object) -> SessionState:
    person = replace(state.participants[participant_id], **changes)  # type: ignore[arg-type]
    return replace(state, participants=_put(state.participants, participant_id, person))


def _close(
    state: SessionState, to: InvitationState, at_ms: int, why: str | None = None
) -> SessionState:
    invitation = _step(state.invitation, to)
    return replace(state, invitation=replace(invitation, closed_ms=at_ms, why=why))


def _step(invitation: Invitation | None, to: InvitationState) -> Invitation:
    assert invitation is not None, "There is no invitation to change."
    assert to in INVITATION_STEPS[invitation.state], (
        f"An invitation cannot go from {invitation.state} to {to}."
    )
    return replace(invitation, state=to)


def _count_absences(state: SessionState, at_ms: int) -> SessionState:
    """Note since when nobody of a role is present; a reconnecting person is not present."""
    present = {
        person.role
        for person in state.participants.values()
        if person.attendance is Attendance.PRESENT
    }
    agent = Role.AGENT in present
    deserted = not agent and Role.CONSUMER not in present
    agentless_ms = _since(state.agentless_ms, at_ms) if not agent else None
    deserted_ms = _since(state.deserted_ms, at_ms) if deserted else None
    if (agentless_ms, deserted_ms) == (state.agentless_ms, state.deserted_ms):
        return state
    return replace(state, agentless_ms=agentless_ms, deserted_ms=deserted_ms)


def _since(before_ms: int | None, at_ms: int) -> int:
    return at_ms if before_ms is None else before_ms


def _put(mapping: Mapping[str, V], key: str, value: V) -> Mapping[str, V]:
    return MappingProxyType({**mapping, key: value})


def _drop(mapping: Mapping[str, V], key: str) -> Mapping[str, V]:
    return MappingProxyType({name: value for name, value in mapping.items() if name != key})
