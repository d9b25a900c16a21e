"""What a brand's backend has a session do, over a trunk of its own."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from broker.messages.cluster.base import ClusterMessage
from broker.words import Attendance, Capability, Mode, PublishSource, Role, Way


class DeedEnd(ClusterMessage):
    """End the session for everybody."""

    deed: Literal["end"] = "end"


class DeedInviteGuest(ClusterMessage):
    """Make a guest link."""

    deed: Literal["invite_guest"] = "invite_guest"
    uses: int
    expires_in_s: int
    name: str | None = None
    """For whom it is made; kept beside the journal."""


class DeedRevokeGuest(ClusterMessage):
    """Withdraw a guest link."""

    deed: Literal["revoke_guest"] = "revoke_guest"
    guest_invitation_id: str


class DeedRemove(ClusterMessage):
    """Remove somebody."""

    deed: Literal["remove"] = "remove"
    participant_id: str


class DeedMute(ClusterMessage):
    """Stop what somebody sends, once."""

    deed: Literal["mute"] = "mute"
    participant_id: str
    sources: list[PublishSource]


class DeedGrant(ClusterMessage):
    """Set what somebody may do."""

    deed: Literal["grant"] = "grant"
    participant_id: str
    capabilities: list[Capability]


class DeedInvite(ClusterMessage):
    """Ring the consumer again."""

    deed: Literal["invite"] = "invite"
    mode: Mode


class DeedCancelInvitation(ClusterMessage):
    """Take the open invitation back."""

    deed: Literal["cancel_invitation"] = "cancel_invitation"


class DeedAdmit(ClusterMessage):
    """Let somebody in from the lobby."""

    deed: Literal["admit"] = "admit"
    participant_id: str


class DeedRefuseEntry(ClusterMessage):
    """Send somebody in the lobby away."""

    deed: Literal["refuse_entry"] = "refuse_entry"
    participant_id: str


class DeedList(ClusterMessage):
    """Say who is there; changes nothing."""

    deed: Literal["list"] = "list"


class DeedMedia(ClusterMessage):
    """Say who is there and how their media flow; changes nothing."""

    deed: Literal["media"] = "media"


Deed = Annotated[
    DeedEnd
    | DeedInvite
    | DeedCancelInvitation
    | DeedInviteGuest
    | DeedRevokeGuest
    | DeedAdmit
    | DeedRefuseEntry
    | DeedRemove
    | DeedMute
    | DeedGrant
    | DeedList
    | DeedMedia,
    Field(discriminator="deed"),
]


class SessionCommand(ClusterMessage):
    """The backend's request, on a trunk that is the backend's. Answered once it is durable."""

    method: ClassVar[str] = "session.command"
    session_id: str
    deed: Deed
    command_id: str | None = None
    """Said again with the same one, it takes effect once, and is answered as before."""


class PresentParticipant(ClusterMessage):
    """Somebody who takes part or waits in the lobby."""

    participant_id: str
    role: Role
    name: str
    attendance: Attendance
    mode: Mode
    owner: bool
    verified: bool
    capabilities: list[Capability]
    microphone: bool
    camera: bool
    screen: bool
    way: Way | None = None
    """How a member of the staff is in the session: `monitor` and `whisper` are hidden."""


class SessionCommandDone(ClusterMessage):
    """What came of it; the fields that the deed has are set."""

    invitation_id: str | None = None
    guest_invitation_id: str | None = None
    url: str | None = None
    expires_in_ms: int | None = None
    participants: list[PresentParticipant] = Field(default_factory=list)
    media: dict[str, Any] = Field(default_factory=dict)
    """The relay's snapshot with what the widgets reported."""
