"""Pictures of a session for the wire: pure functions of state and of what is known of people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from actors.session.person import Person
from broker.ids import normal_id
from broker.messages.parts import GuestInvitationView, InvitationView, RosterEntry
from broker.state import STAFF, Participant, SessionState
from broker.words import Attendance, Capability, InvitationState, PublishSource, Role


def capabilities_of(participant: Participant) -> list[Capability]:
    """Capabilities in the order of their definition."""
    return list(_in_order(participant.capabilities))


@lru_cache(maxsize=256)
def _in_order(capabilities: frozenset[Capability]) -> tuple[Capability, ...]:
    return tuple(capability for capability in Capability if capability in capabilities)


def roster(state: SessionState, people: Mapping[str, Person], *, staff: bool) -> list[RosterEntry]:
    """Everybody who takes part or waits in the lobby, in the order they joined."""
    return [
        roster_entry(state, participant, people, staff=staff)
        for participant in listed(state, staff=staff)
    ]


def listed(state: SessionState, *, staff: bool) -> Iterator[Participant]:
    """Who stands in the roster; only the staff sees who listens unseen, and which of them wait."""
    for participant in state.participants.values():
        if participant.attendance is not Attendance.LEFT and (staff or is_public(participant)):
            yield participant


def may_hear(state: SessionState, participant: Participant, about: str | None) -> bool:
    """Whether somebody may be told what is said of another: of who is hidden only the staff."""
    subject = state.participants.get(about or "")
    return subject is None or not subject.hidden or participant.role in STAFF


def is_public(participant: Participant) -> bool:
    """Whether those outside the staff see somebody who is listed."""
    waits = participant.attendance is Attendance.LOBBY and participant.role in STAFF
    return not (participant.hidden or waits)


def _visitor_differs(agent: Person | None, person: Person | None) -> bool:
    """Whether the agent's host and this consumer's window name different visitors.

    Only in chat are both known to mean the same kind of id (`sdk-reference` §3.2).
    """
    if agent is None or person is None or person.principal.role is not Role.CONSUMER:
        return False
    ours, theirs = agent.engagement, person.engagement
    if ours is None or theirs is None or not ours.channel == theirs.channel == "chat":
        return False
    known = (normal_id(ours.visitor_id), normal_id(theirs.visitor_id))
    return None not in known and known[0] != known[1]


def roster_entry(
    state: SessionState,
    participant: Participant,
    people: Mapping[str, Person],
    *,
    staff: bool,
) -> RosterEntry:
    """One participant as others see them."""
    person = people.get(participant.participant_id)
    principal = None if person is None else person.principal
    published = {} if person is None else person.published
    may = participant.capabilities
    here = participant.inside
    return RosterEntry(
        participant_id=participant.participant_id,
        role=participant.role,
        name=principal.name if principal else "",
        picture=principal.picture if principal else None,
        attendance=participant.attendance,
        mode=participant.mode,
        owner=participant.participant_id == state.owner_id,
        verified=participant.verified,
        capabilities=capabilities_of(participant),
        microphone=here
        and Capability.SEND_AUDIO in may
        and published.get(PublishSource.MICROPHONE, False),
        camera=here and Capability.SEND_VIDEO in may and published.get(PublishSource.CAMERA, False),
        screen=here
        and Capability.SEND_SCREEN in may
        and published.get(PublishSource.SCREEN, False),
        way=participant.way if staff and participant.role in STAFF else None,
        visitor_differs=staff and _visitor_differs(people.get(state.owner_id), person),
    )


def invitation_view(
    state: SessionState, people: Mapping[str, Person], now_ms: int, rung: Person | None = None
) -> InvitationView | None:
    """The last invitation, as agent and consumer may see it.

    `rung` is the consumer who looks at it: on the own screen it rings before that is saved.
    """
    invitation = state.invitation
    if invitation is None:
        return None
    inviter = people.get(invitation.by) or people.get(state.owner_id or "")
    consumer = rung or people.get(state.consumer_id or "")
    ringing = (
        sorted({c.surface for c in consumer.connections.values() if c.ringing})
        if consumer is not None and invitation.open
        else []
    )
    visible = consumer is not None and any(
        connection.ringing and connection.visible for connection in consumer.connections.values()
    )
    said = None
    if consumer is not None:
        declined = invitation.state is InvitationState.DECLINED
        said = consumer.decline_reason if declined else consumer.trouble
    return InvitationView(
        invitation_id=invitation.invitation_id,
        state=(
            InvitationState.RINGING
            if rung is not None and ringing and invitation.state is InvitationState.SENT
            else invitation.state
        ),
        mode=invitation.mode,
        from_name=inviter.principal.name if inviter else "",
        from_picture=inviter.principal.picture if inviter else None,
        surfaces=ringing,
        visible=visible,
        expires_in_ms=max(0, invitation.expires_ms - now_ms) if invitation.open else 0,
        reason=invitation.why or said,
        monitoring=state.policy.silent_monitoring,
    )


def guest_views(
    state: SessionState, people: Mapping[str, Person], now_ms: int
) -> list[GuestInvitationView]:
    """The guest links that can still be used, and for whom they were made."""
    named = {
        link_id: people[link_id].principal.name for link_id in state.guest_links.keys() & people
    }
    return [
        GuestInvitationView(
            guest_invitation_id=link.guest_invitation_id,
            name=named.get(link.guest_invitation_id),
            uses_left=link.uses_left,
            expires_in_ms=link.expires_ms - now_ms,
        )
        for link in state.guest_links.values()
        if link.expires_ms > now_ms
    ]
