"""The parts that messages of both directions are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from broker.words import (
    Asked,
    Attendance,
    Capability,
    InvitationState,
    Mode,
    PublishSource,
    Reach,
    Role,
    Surface,
    Way,
)

PROTOCOL_MAJOR = 1
PROTOCOL_REVISION = 1
SUBPROTOCOL = f"switchboard.v{PROTOCOL_MAJOR}"
MAX_MESSAGE_BYTES = 256 * 1024
"""A larger WebSocket message is refused with `message_too_large`."""


def _without_nul(text: str) -> str:
    """Refuse what no database keeps as text."""
    if "\x00" in text:
        raise ValueError("a text cannot hold U+0000")
    return text


Storable = AfterValidator(_without_nul)
"""Of a text that stands in the database."""

RequestId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Id = Annotated[
    str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True), Storable
]
ClaimSecret = Annotated[str, StringConstraints(min_length=16, max_length=128)]
Mid = Annotated[str, StringConstraints(min_length=1, max_length=16)]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True), Storable
]
Reason = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), Storable]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000, strip_whitespace=True)]
Sdp = Annotated[str, StringConstraints(min_length=1, max_length=MAX_MESSAGE_BYTES)]
Size = Annotated[int, Field(ge=0, le=16_384)]
SeatIndex = Annotated[int, Field(ge=0, le=63)]


class Part(BaseModel):
    """Base of everything on the wire: frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class EngagementIds(Part):
    """What a host SDK told a widget about its engagement. Ids are claims, not proof."""

    account_id: Id
    """Agent side `chatInfo.accountId`; window side query `accountId` or `engagementInfo.site`."""
    rt_session_id: Id | None = None
    """Agent side `chatInfo.rtSessionId`."""
    window_session_id: Id | None = None
    """Window side `conversationInfo.sessionId`."""
    conversation_id: Id | None = None
    """Window side `conversationInfo.conversationId`."""
    agent_id: Id | None = None
    """Agent side `agentInfo.agentId`: who is looking."""
    chatting_agent_id: Id | None = None
    """Agent side `chattingAgentInfo.agentId`; window side `participants[type=agent].id`."""
    visitor_id: Id | None = None
    """Agent side `visitorInfo.visitorId`; window side `engagementInfo.svid`."""
    participant_visitor_id: Id | None = None
    """Window side `participants[type=visitor].id`."""
    visitor_name: Name | None = None
    """Agent side `visitorInfo.visitorName`."""
    channel: Annotated[str, StringConstraints(pattern="^(chat|messaging)$")] | None = None
    """`chat` or `messaging`: `chatInfo.isMessaging`, `conversationInfo.channelType`."""
    spectating: bool = False
    """Agent side `chatInfo.spectatedEngagement`: the viewer is not the chatting agent."""
    is_pop_out: bool = False
    """Window side `engagementInfo.isPopOut`."""


class PublishedTrack(Part):
    """One section of an offer that sends."""

    mid: Mid
    source: PublishSource


class SeatMids(Part):
    """One seat of an offer: the receive-only sections for one person's audio and video."""

    audio_mid: Mid
    video_mid: Mid


class SeatView(Part):
    """How large a widget displays one slot, in device pixels; zero when hidden."""

    kind: Annotated[str, StringConstraints(pattern="^(seat|screen)$")] = "seat"
    index: SeatIndex
    width: Size
    height: Size


class SlotReport(Part):
    """What a widget measured on one slot since its last report."""

    kind: Annotated[str, StringConstraints(pattern="^(seat|screen)$")] = "seat"
    index: SeatIndex
    frames_decoded: Annotated[int, Field(ge=0)] = 0
    freezes: Annotated[int, Field(ge=0)] = 0
    freeze_seconds: Annotated[float, Field(ge=0)] = 0.0
    concealed_samples: Annotated[int, Field(ge=0)] = 0
    silent_concealed_samples: Annotated[int, Field(ge=0)] = 0
    total_samples: Annotated[int, Field(ge=0)] = 0
    jitter_seconds: Annotated[float, Field(ge=0)] = 0.0
    packets_lost: int = 0


class SeatAssignment(Part):
    """Who sits in one seat (or whose screen is in one screen slot), and from which frame on."""

    kind: str
    """`seat` or `screen`."""
    index: int
    participant_id: str | None
    """`None`: the slot is unbound and must be blanked."""
    audio_timestamp: int | None = None
    """RTP timestamp (48 kHz) from which the audio slot carries this person."""
    video_timestamp: int | None = None
    """RTP timestamp (90 kHz) from which the video slot carries this person."""
    turn: int | None = None
    """The last three bits of the RTP timestamp of each of their frames in the video slot: one with
    others is somebody else's, who has not been told of yet. `None`: they say nothing."""


class RosterEntry(Part):
    """One participant as others see them."""

    participant_id: str
    role: Role
    name: str
    """Display name; empty when the person has been erased or gave none."""
    picture: str | None = None
    attendance: Attendance
    mode: Mode
    owner: bool
    verified: bool
    """Whether more than ids a page can claim proves who this is."""
    capabilities: list[Capability]
    microphone: bool
    """Whether the microphone is being sent now."""
    camera: bool
    screen: bool
    way: Way | None = None
    """How a member of the staff is in the session; told to the staff only."""
    visitor_differs: bool = False
    """The two SDKs name different visitors, which warns the staff and stops nobody."""


class InvitationView(Part):
    """The invitation from agent to consumer, as both may see it."""

    invitation_id: str
    state: InvitationState
    mode: Mode
    from_name: str
    from_picture: str | None = None
    surfaces: list[Surface]
    """Surfaces that ring; empty while none is connected."""
    visible: bool
    """Whether at least one ringing surface is visible to the consumer now."""
    expires_in_ms: int
    """Milliseconds until it expires; 0 once closed."""
    reason: str | None = None
    monitoring: bool = False
    """Whether a supervisor may listen unseen; the Accept screen must say so."""


class Difference(Part):
    """One thing in which somebody who says they are the consumer differs from who is known."""

    what: str
    """`visitor_id`, `participant_visitor_id`, `visitor_name`, `channel` or `surface`."""
    known: str | None
    claimed: str | None


class ConflictView(Part):
    """Somebody stands at the engagement without the known consumer's secret."""

    conflict_id: str
    surface: Surface
    differences: list[Difference]
    """Empty when they say the same and only the secret differs, as on another device."""


class ColleagueView(Part):
    """Another agent of the account who has their widget open now."""

    agent_id: str
    name: str
    asked: Asked


class GuestInvitationView(Part):
    """A guest link as its creator sees it; the code itself is shown only once, on creation."""

    guest_invitation_id: str
    name: str | None
    uses_left: int
    expires_in_ms: int


class IceServer(Part):
    """One STUN or TURN server for `RTCPeerConnection`, with ephemeral credentials."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class MediaLimits(Part):
    """What a widget needs to build its first offer."""

    seats: int
    """Receive seats to offer: the session's limit less oneself."""
    screens: int
    ice_servers: list[IceServer]
    relay_only: bool
    """Use `iceTransportPolicy: relay`."""


class ReachView(Part):
    """Whether the consumer of an engagement could be rung now."""

    reach: Reach
    surfaces: list[Surface]
