"""The rules about invitations: to the consumer, and by guest link."""

from __future__ import annotations

from broker.commands import (
    AcceptInvitation,
    CancelInvitation,
    DeclineGuest,
    DeclineInvitation,
    FailInvitation,
    InviteGuest,
    JoinGuest,
    RevokeGuest,
    Ring,
    SendInvitation,
)
from broker.consumer import require_place
from broker.decide_people import joined, require_lobby, require_room
from broker.errors import Conflict, ErrorCode, Forbidden, Gone, NotFound, TooFast
from broker.events import (
    AnyEvent,
    ConsumerChanged,
    GuestInvited,
    GuestRevoked,
    InvitationAccepted,
    InvitationCancelled,
    InvitationDeclined,
    InvitationFailed,
    InvitationRinging,
    InvitationSent,
)
from broker.rights import require_capability, require_inviter
from broker.state import GuestLink, Invitation, SessionState
from broker.words import Capability, InvitationState, Mode, Role

Events = tuple[AnyEvent, ...]


def ring(state: SessionState, command: Ring, now_ms: int) -> Events:
    """One more surface of the consumer rings; without an open invitation nothing happens.

    A surface that rings already does so once more when it has been proved since whose it is.
    """
    takes = require_place(
        state, command.participant_id, command.claim_hash, verified=command.verified
    )
    invitation = state.invitation
    if invitation is None or not invitation.open or invitation.expires_ms <= now_ms:
        return ()
    ringing = InvitationRinging(
        at_ms=now_ms,
        invitation_id=invitation.invitation_id,
        participant_id=command.participant_id,
        surface=command.surface,
        claim_hash=command.claim_hash,
        verified=command.verified,
    )
    if takes:
        changed = ConsumerChanged(
            at_ms=now_ms,
            participant_id=command.participant_id,
            claim_hash=command.claim_hash or "",
        )
        return (changed, ringing)
    proves = command.verified and not state.consumer_proved
    return (ringing,) if proves or command.surface not in invitation.surfaces else ()


def send(state: SessionState, command: SendInvitation, now_ms: int) -> Events:
    """Invite the consumer again."""
    require_inviter(state, command.by)
    if state.invitation is not None and state.invitation.open:
        raise Conflict(ErrorCode.INVITATION_OPEN, "The consumer is being invited already.")
    consumer = state.participants.get(state.consumer_id or "")
    if consumer is not None and consumer.inside:
        raise Conflict(ErrorCode.ALREADY_LIVE, "The consumer is in the session already.")
    return (
        InvitationSent(
            at_ms=now_ms,
            invitation_id=command.invitation_id,
            mode=command.mode,
            by=command.by,
            expires_ms=now_ms + state.policy.invitation_ms,
        ),
    )


def cancel(state: SessionState, command: CancelInvitation, now_ms: int) -> Events:
    """Take the open invitation back."""
    require_inviter(state, command.by)
    invitation = _require_open(state, None, now_ms)
    return (
        InvitationCancelled(at_ms=now_ms, invitation_id=invitation.invitation_id, by=command.by),
    )


def accept(state: SessionState, command: AcceptInvitation, now_ms: int) -> Events:
    """The consumer takes part, with no more than the invitation's mode."""
    invitation = _require_ringing(state, command.participant_id, command.invitation_id, now_ms)
    require_room(state)
    mode = Mode.VOICE if invitation.mode is Mode.VOICE else command.mode
    return (
        InvitationAccepted(
            at_ms=now_ms,
            invitation_id=invitation.invitation_id,
            participant_id=command.participant_id,
            mode=mode,
            surface=command.surface,
        ),
        joined(
            state,
            command.participant_id,
            Role.CONSUMER,
            mode,
            now_ms,
            verified=command.verified,
        ),
    )


def decline(state: SessionState, command: DeclineInvitation, now_ms: int) -> Events:
    """The consumer says no."""
    invitation = _require_ringing(state, command.participant_id, command.invitation_id, now_ms)
    return (
        InvitationDeclined(
            at_ms=now_ms,
            invitation_id=invitation.invitation_id,
            participant_id=command.participant_id,
        ),
    )


def fail(state: SessionState, command: FailInvitation, now_ms: int) -> Events:
    """The invitation cannot be answered."""
    invitation = state.invitation
    if invitation is None or not invitation.open:
        return ()
    return (
        InvitationFailed(at_ms=now_ms, invitation_id=invitation.invitation_id, why=command.why),
    )


def invite_guest(state: SessionState, command: InviteGuest, now_ms: int) -> Events:
    """Make a guest link; links past their time no longer count.

    Nothing happens when it was made before: what was withdrawn, expired or used up is not made anew
    by whoever asks once more, having heard no answer.
    """
    if command.guest_invitation_id in state.guest_link_ids:
        return ()
    require_capability(state, command.by, Capability.INVITE)
    if command.admitted:
        require_capability(state, command.by, Capability.ADMIT)
    alive = [link for link in state.guest_links.values() if link.expires_ms > now_ms]
    if len(alive) >= state.policy.guest_links_limit:
        raise TooFast(
            ErrorCode.TOO_MANY_LINKS,
            f"At most {state.policy.guest_links_limit} links can be open at once.",
        )
    return (
        GuestInvited(
            at_ms=now_ms,
            guest_invitation_id=command.guest_invitation_id,
            code_hash=command.code_hash,
            uses=command.uses,
            expires_ms=now_ms + command.expires_in_ms,
            by=command.by,
            admitted=command.admitted,
        ),
    )


def revoke_guest(state: SessionState, command: RevokeGuest, now_ms: int) -> Events:
    """Withdraw a guest link: one's own, or anybody's for who lets people in."""
    require_capability(state, command.by, Capability.INVITE)
    if _require_link(state, command.guest_invitation_id).by != command.by:
        require_capability(state, command.by, Capability.ADMIT)
    return (
        GuestRevoked(at_ms=now_ms, guest_invitation_id=command.guest_invitation_id, by=command.by),
    )


def decline_guest(state: SessionState, command: DeclineGuest, now_ms: int) -> Events:
    """Close the link of somebody who was let in and does not come."""
    if not _require_link(state, command.guest_invitation_id).admitted:
        raise Forbidden(ErrorCode.NOT_PERMITTED, "This link is not only yours.")
    return (
        GuestRevoked(
            at_ms=now_ms,
            guest_invitation_id=command.guest_invitation_id,
            by=command.participant_id,
        ),
    )


def join_guest(state: SessionState, command: JoinGuest, now_ms: int) -> Events:
    """Use a guest link: into the lobby, or straight in where policy says so."""
    link = _require_link(state, command.guest_invitation_id)
    if link.expires_ms <= now_ms:
        raise Gone(ErrorCode.LINK_USED, "This link has expired.")
    lobby = state.policy.guest_lobby and not link.admitted
    if lobby:
        require_lobby(state)
    else:
        require_room(state)
    return (
        joined(
            state,
            command.participant_id,
            Role.GUEST,
            command.mode,
            now_ms,
            verified=command.verified,
            lobby=lobby,
            guest_invitation_id=link.guest_invitation_id,
        ),
    )


def _require_link(state: SessionState, guest_invitation_id: str) -> GuestLink:
    link = state.guest_links.get(guest_invitation_id)
    if link is None:
        raise NotFound(ErrorCode.UNKNOWN_INVITATION, "This link is used up, expired or withdrawn.")
    return link


def _require_open(state: SessionState, invitation_id: str | None, now_ms: int) -> Invitation:
    invitation = state.invitation
    if invitation is None or (
        invitation_id is not None and invitation.invitation_id != invitation_id
    ):
        raise Conflict(ErrorCode.NO_INVITATION, "There is no such invitation.")
    if invitation.state is InvitationState.ACCEPTED:
        raise Conflict(ErrorCode.ANSWERED_ELSEWHERE, "The invitation was answered already.")
    if not invitation.open or invitation.expires_ms <= now_ms:
        raise Conflict(ErrorCode.INVITATION_CLOSED, "The invitation is no longer open.")
    return invitation


def _require_ringing(
    state: SessionState, participant_id: str, invitation_id: str, now_ms: int
) -> Invitation:
    invitation = _require_open(state, invitation_id, now_ms)
    if invitation.state is not InvitationState.RINGING or participant_id != state.consumer_id:
        raise Conflict(ErrorCode.NO_INVITATION, "You have not been invited.")
    return invitation
