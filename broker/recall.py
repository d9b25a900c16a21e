"""What an actor let out before it was saved, and the command by which its successor does it again.

While the ledger is away what reduces exposure acts at once and is journalled later. If the session
is taken over in between, the journal lacks it, and the next actor decides it anew. Never the event
itself: it stood on a state that the journal does not have.
"""

from __future__ import annotations

from broker.commands import (
    CancelInvitation,
    Command,
    DeclineGuest,
    DeclineInvitation,
    End,
    FailInvitation,
    Leave,
    RefuseEntry,
    Remove,
    RevokeGuest,
    SetMode,
)
from broker.events import (
    EVENTS,
    AnyEvent,
    GuestRevoked,
    InvitationCancelled,
    InvitationDeclined,
    InvitationFailed,
    ModeChanged,
    ParticipantLeft,
    PastEvent,
    SessionEnded,
)
from broker.state import SessionState
from broker.words import LeaveReason, Mode

_REDUCING: tuple[type[AnyEvent], ...] = (
    SessionEnded,
    ParticipantLeft,
    InvitationDeclined,
    InvitationCancelled,
    InvitationFailed,
    GuestRevoked,
    ModeChanged,
)
RECALLED = frozenset(kind for kind, cls in EVENTS.items() if cls in _REDUCING)
"""Types of the events of which a command can be made again; what time does comes by itself."""


def recall(state: SessionState, event: PastEvent) -> Command | None:
    """Return the command that lets an unsaved event happen in this state.

    `None`: there is nothing left to do, or it was no reduction, or it is outdated: who was out has
    come in since, who wanted no video has wanted it since. A gateway may bring it late, and what
    was saved after all. What stands in the way besides is
    for `decide` to say; its refusal means the same.
    """
    if _is_outdated(state, event):
        return None
    match event:
        case SessionEnded(by=by, reason=reason):
            return End(by, reason)
        case ParticipantLeft(participant_id=participant_id, by=by):
            match event.reason:
                case LeaveReason.LEFT:
                    return Leave(participant_id)
                case LeaveReason.REMOVED if by is not None:
                    return Remove(by, participant_id)
                case LeaveReason.NOT_ADMITTED if by is not None:
                    return RefuseEntry(by, participant_id)
                case _:
                    return None
        case InvitationDeclined(participant_id=participant_id, invitation_id=invitation_id):
            return DeclineInvitation(participant_id, invitation_id)
        case InvitationCancelled(by=str(by)) if _is_open(state, event.invitation_id):
            return CancelInvitation(by)
        case InvitationFailed(why=why) if _is_open(state, event.invitation_id):
            return FailInvitation(why)
        case GuestRevoked(by=by, guest_invitation_id=link_id):
            link = state.guest_links.get(link_id)
            if link is not None and link.admitted and by not in state.participants:
                # Whom the link was for declined: they are nobody in the session.
                return DeclineGuest(by, link_id)
            return RevokeGuest(by, link_id)
        case ModeChanged(participant_id=participant_id, mode=Mode.VOICE):
            return SetMode(participant_id, Mode.VOICE)
        case _:
            return None


def _is_open(state: SessionState, invitation_id: str) -> bool:
    """Whether it is still this invitation that can be answered, and not a later one."""
    invitation = state.invitation
    return invitation is not None and invitation.open and invitation.invitation_id == invitation_id


def _is_outdated(state: SessionState, event: PastEvent) -> bool:
    """Whether something happened to the same person since that says otherwise."""
    match event:
        case ParticipantLeft():
            person = state.participants.get(event.participant_id)
            return person is not None and person.joined_ms > event.at_ms
        case ModeChanged():
            person = state.participants.get(event.participant_id)
            return person is not None and person.mode_ms > event.at_ms
        case _:
            return False
