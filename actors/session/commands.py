"""Which command a widget's message asks for, and whether it exposes anybody more than before."""

from __future__ import annotations

from typing import assert_never

from actors.session.connection import Connection
from actors.session.live import new_id
from actors.session.person import Person
from actors.session.repeats import request_mark
from broker.commands import (
    AcceptInvitation,
    Admit,
    AskForScreen,
    CancelInvitation,
    Command,
    DeclineGuest,
    DeclineInvitation,
    End,
    Grant,
    HandOver,
    JoinStaff,
    Leave,
    Mute,
    RefuseEntry,
    Remove,
    RevokeGuest,
    SayText,
    SendInvitation,
    SetMode,
)
from broker.messages.client import (
    GuestRevoke,
    InvitationAccept,
    InvitationCancel,
    InvitationDecline,
    InvitationSend,
    MediaMode,
    ParticipantAdmit,
    ParticipantGrant,
    ParticipantMute,
    ParticipantRefuse,
    ParticipantRemove,
    ScreenRequest,
    SessionEnd,
    SessionHandOver,
    SessionLeave,
    TextSend,
)
from broker.words import Way

_REDUCING = (
    Leave,
    End,
    DeclineInvitation,
    CancelInvitation,
    Remove,
    RevokeGuest,
    DeclineGuest,
    Mute,
    RefuseEntry,
    SayText,
    AskForScreen,
)
SHOWN = (Mute, SayText, AskForScreen)
"""Of these, what others see each time, though it leads to no event."""


def reduces(command: Command) -> bool:
    """Whether it may be done while the ledger is away: it exposes nobody more than before."""
    return isinstance(command, _REDUCING) or (
        isinstance(command, SetMode) and command.mode == "voice"
    )


def join_staff(person: Person, way: Way, engagement_key: str) -> JoinStaff:
    """The command by which a member of the staff comes in, or goes on in another way."""
    principal = person.principal
    return JoinStaff(
        person.participant_id,
        principal.role,
        verified=principal.verified,
        way=way,
        chatting=person.chats_on(engagement_key),
    )


def command_of(
    person: Person,
    connection: Connection,
    message: SessionLeave
    | SessionEnd
    | SessionHandOver
    | InvitationSend
    | InvitationCancel
    | InvitationAccept
    | InvitationDecline
    | GuestRevoke
    | ParticipantAdmit
    | ParticipantRefuse
    | ParticipantRemove
    | ParticipantGrant
    | ParticipantMute
    | TextSend
    | ScreenRequest
    | MediaMode,
) -> Command:
    """The command that a message asks for."""
    me = person.participant_id
    match message:
        case SessionLeave():
            return Leave(me)
        case SessionEnd():
            return End(me)
        case SessionHandOver():
            return HandOver(me, message.participant_id)
        case InvitationSend():
            return SendInvitation(me, new_id(), message.mode)
        case InvitationCancel():
            return CancelInvitation(me)
        case InvitationAccept():
            return AcceptInvitation(
                me,
                message.invitation_id,
                message.mode,
                connection.surface,
                verified=person.principal.verified,
            )
        case InvitationDecline():
            return DeclineInvitation(me, message.invitation_id)
        case GuestRevoke():
            return RevokeGuest(me, message.guest_invitation_id)
        case ParticipantAdmit():
            return Admit(me, message.participant_id)
        case ParticipantRefuse():
            return RefuseEntry(me, message.participant_id)
        case ParticipantRemove():
            return Remove(me, message.participant_id)
        case ParticipantGrant():
            return Grant(me, message.participant_id, frozenset(message.capabilities))
        case ParticipantMute():
            return Mute(me, message.participant_id, tuple(message.sources))
        case TextSend():
            return SayText(me, message.text, request_mark(person, message.id))
        case ScreenRequest():
            return AskForScreen(me, message.participant_id)
        case MediaMode():
            return SetMode(me, message.mode)
        case _:
            assert_never(message)
