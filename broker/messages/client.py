"""Widget to broker: imperatives."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from broker.errors import ErrorCode, Malformed
from broker.messages.parts import (
    ClaimSecret,
    EngagementIds,
    Id,
    Mid,
    Name,
    Part,
    PublishedTrack,
    Reason,
    RequestId,
    Sdp,
    SeatMids,
    SeatView,
    SlotReport,
    Text,
)
from broker.words import Capability, Mode, PublishSource, Surface, Way


class ConnectionHello(Part):
    """First message of every connection, due within 10 s. Proves who speaks, says where it is."""

    type: Literal["connection.hello"] = "connection.hello"
    id: RequestId
    revision: Annotated[int, Field(ge=1)]
    """The widget's protocol revision within the major version."""
    token: Annotated[str, StringConstraints(max_length=8192)] | None = None
    """An agent, waiting, guest or session token (JWT). Never in a query string."""
    resume: Annotated[str, StringConstraints(max_length=8192)] | None = None
    """The sealed resume token of an earlier connection to a session."""
    last_seq: Annotated[int, Field(ge=0)] = 0
    """Highest `seq` seen, when resuming."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """Counts a page's connections: one that arrives late displaces no newer one of its widget."""
    surface: Surface
    visible: bool = True
    engagement: EngagementIds | None = None
    claim_secret: ClaimSecret | None = None
    """A consumer's own secret: the same secret is the same consumer on another surface."""
    name: Name | None = None
    """A guest's display name."""


class ConnectionPing(Part):
    """The widget's heartbeat, every 10 s; a connection silent for 30 s is closed."""

    type: Literal["connection.ping"] = "connection.ping"


class SurfaceUpdate(Part):
    """The surface became visible or hidden."""

    type: Literal["surface.update"] = "surface.update"
    visible: bool


class EngagementUpdate(Part):
    """The host SDK told more, or something else, about the engagement."""

    type: Literal["engagement.update"] = "engagement.update"
    engagement: EngagementIds


class SessionStart(Part):
    """Agent: start a session on this engagement and invite its consumer."""

    type: Literal["session.start"] = "session.start"
    id: RequestId
    mode: Mode


class SessionJoin(Part):
    """Agent or supervisor: come into the engagement's live session, or go on in another way."""

    type: Literal["session.join"] = "session.join"
    id: RequestId
    way: Way


class ColleagueList(Part):
    """Agent: who of the account could be asked to help? Answered by `colleague.listed`."""

    type: Literal["colleague.list"] = "colleague.list"
    id: RequestId


class ColleagueAsk(Part):
    """Agent: ask a colleague into the session, who joins as one who helps (`consult`)."""

    type: Literal["colleague.ask"] = "colleague.ask"
    id: RequestId
    agent_id: Id


class ColleagueDecline(Part):
    """Agent without a session: say no to what `ways.changed` says somebody asks."""

    type: Literal["colleague.decline"] = "colleague.decline"
    id: RequestId


class SessionLeave(Part):
    """Leave; the session goes on for those who stay."""

    type: Literal["session.leave"] = "session.leave"
    id: RequestId


class SessionEnd(Part):
    """End the session for everybody; of an agent whose start is not answered yet: take it back.

    The start is refused as `withdrawn` then.
    """

    type: Literal["session.end"] = "session.end"
    id: RequestId


class InvitationSend(Part):
    """Agent: invite the consumer (again) within a live session."""

    type: Literal["invitation.send"] = "invitation.send"
    id: RequestId
    mode: Mode


class InvitationCancel(Part):
    """Agent: take the open invitation back."""

    type: Literal["invitation.cancel"] = "invitation.cancel"
    id: RequestId


class InvitationAccept(Part):
    """Consumer: take part, with video or with voice only."""

    type: Literal["invitation.accept"] = "invitation.accept"
    id: RequestId
    invitation_id: Id
    mode: Mode


class InvitationDecline(Part):
    """Consumer: not now."""

    type: Literal["invitation.decline"] = "invitation.decline"
    id: RequestId
    invitation_id: Id
    reason: Reason | None = None


class InvitationTrouble(Part):
    """Consumer's surface: something stands between the person and the camera."""

    type: Literal["invitation.trouble"] = "invitation.trouble"
    trouble: Annotated[
        str, StringConstraints(pattern="^(camera_blocked|no_camera|no_webrtc|insecure)$")
    ]


class ConflictAdmit(Part):
    """Let somebody who says they are the consumer ring and come in, beside who is known."""

    type: Literal["conflict.admit"] = "conflict.admit"
    id: RequestId
    conflict_id: Id


class ConflictDismiss(Part):
    """Keep somebody who says they are the consumer out, and do not ask again."""

    type: Literal["conflict.dismiss"] = "conflict.dismiss"
    id: RequestId
    conflict_id: Id


class TextSend(Part):
    """Say something in writing to everybody in the session; it is stored nowhere."""

    type: Literal["text.send"] = "text.send"
    id: RequestId
    text: Text


class ScreenRequest(Part):
    """Moderator: ask somebody to share their screen; they decide."""

    type: Literal["screen.request"] = "screen.request"
    id: RequestId
    participant_id: Id


class GuestInvite(Part):
    """Make a guest link."""

    type: Literal["guest.invite"] = "guest.invite"
    id: RequestId
    name: Name | None = None
    """For whom: who comes by a link for one use is called this, whatever they say."""
    uses: Annotated[int, Field(ge=1, le=8)] = 1
    expires_in_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600


class GuestRevoke(Part):
    """Withdraw a guest link."""

    type: Literal["guest.revoke"] = "guest.revoke"
    id: RequestId
    guest_invitation_id: Id


class ParticipantAdmit(Part):
    """Let somebody in from the lobby."""

    type: Literal["participant.admit"] = "participant.admit"
    id: RequestId
    participant_id: Id


class ParticipantRefuse(Part):
    """Send somebody in the lobby away."""

    type: Literal["participant.refuse"] = "participant.refuse"
    id: RequestId
    participant_id: Id


class ParticipantRemove(Part):
    """Remove somebody from the session."""

    type: Literal["participant.remove"] = "participant.remove"
    id: RequestId
    participant_id: Id


class ParticipantGrant(Part):
    """Set what somebody may do; what is missing from the list is withdrawn."""

    type: Literal["participant.grant"] = "participant.grant"
    id: RequestId
    participant_id: Id
    capabilities: Annotated[list[Capability], Field(max_length=16)]


class ParticipantMute(Part):
    """Moderator: stop what somebody sends. They may start again unless the right is withdrawn: it
    counts as on once their widget has published it as off, and then as on."""

    type: Literal["participant.mute"] = "participant.mute"
    id: RequestId
    participant_id: Id
    sources: Annotated[list[PublishSource], Field(min_length=1, max_length=3)]


class SessionHandOver(Part):
    """Owner: make another agent in the session its owner."""

    type: Literal["session.hand_over"] = "session.hand_over"
    id: RequestId
    participant_id: Id


class MediaOffer(Part):
    """The widget's SDP offer, and what each of its sections means."""

    type: Literal["media.offer"] = "media.offer"
    id: RequestId
    transport_id: Id
    """Chosen by the widget, one for each RTCPeerConnection."""
    epoch: Annotated[int, Field(ge=1)]
    sdp: Sdp
    publish: Annotated[list[PublishedTrack], Field(max_length=4)]
    seats: Annotated[list[SeatMids], Field(max_length=63)]
    screens: Annotated[list[Mid], Field(max_length=4)]


class MediaPublish(Part):
    """Which of the person's sources are being sent now. With an `id` it is answered."""

    type: Literal["media.publish"] = "media.publish"
    id: RequestId | None = None
    microphone: bool
    camera: bool
    screen: bool


class MediaMode(Part):
    """Go on with voice only, or with video again; voice only stops video both ways."""

    type: Literal["media.mode"] = "media.mode"
    id: RequestId
    mode: Mode


class MediaView(Part):
    """How large each slot of this widget's transport is displayed; others stay as told last."""

    type: Literal["media.view"] = "media.view"
    slots: Annotated[list[SeatView], Field(max_length=68)]


class MediaReport(Part):
    """What the widget measured, every 5 s while media flow."""

    type: Literal["media.report"] = "media.report"
    slots: Annotated[list[SlotReport], Field(max_length=68)]


class MediaClose(Part):
    """The widget closed one of its peer connections."""

    type: Literal["media.close"] = "media.close"
    transport_id: Id


ClientMessage = Annotated[
    ConnectionHello
    | ConnectionPing
    | SurfaceUpdate
    | EngagementUpdate
    | SessionStart
    | SessionJoin
    | SessionLeave
    | SessionEnd
    | SessionHandOver
    | InvitationSend
    | InvitationCancel
    | InvitationAccept
    | InvitationDecline
    | InvitationTrouble
    | ColleagueList
    | ColleagueAsk
    | ColleagueDecline
    | ConflictAdmit
    | ConflictDismiss
    | TextSend
    | ScreenRequest
    | GuestInvite
    | GuestRevoke
    | ParticipantAdmit
    | ParticipantRefuse
    | ParticipantRemove
    | ParticipantGrant
    | ParticipantMute
    | MediaOffer
    | MediaPublish
    | MediaMode
    | MediaView
    | MediaReport
    | MediaClose,
    Field(discriminator="type"),
]

CLIENT_MESSAGES: tuple[type[Part], ...] = get_args(get_args(ClientMessage)[0])
_ADAPTER: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)


def decode_client_message(data: bytes) -> ClientMessage:
    """Read one message of a widget.

    Raises:
        Malformed: not JSON, an unknown type or field, or a value out of bounds. The sentence names
            the place and never repeats the value.
    """
    try:
        return _ADAPTER.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "message"
        raise Malformed(ErrorCode.MALFORMED, f"{place}: {first['msg']}") from None
