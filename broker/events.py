"""What happened in a session: journalled, sent by webhooks, replayed by a takeover.

Events carry opaque participant ids only; names and host ids stand in *subjects* beside the
journal, secrets as hashes. `at_ms` is wall time of the actor, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, get_args

from broker.words import Capability, EndReason, LeaveReason, Mode, Role, Surface, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    type: ClassVar[str]
    version: ClassVar[int] = 1
    at_ms: int
    mark: str | None = None
    """Of the command that led to it, which is known by it when it is said again
    (`SessionState.done`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Event):
    """An agent started the session."""

    type = "session.started"
    session_id: str
    account_id: str
    engagement_key: str
    mode: Mode
    owner_id: str
    monitoring: bool = False
    """Whether a supervisor may listen unseen, which the Accept screen then said."""
    policy: Mapping[str, object] | None = None
    """Every value of the policy that holds to the end of the session (`Policy.to_mapping`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantJoined(Event):
    """Somebody came in, or into the lobby."""

    type = "participant.joined"
    participant_id: str
    role: Role
    mode: Mode
    capabilities: tuple[Capability, ...]
    verified: bool
    lobby: bool = False
    guest_invitation_id: str | None = None
    way: Way = Way.JOIN


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantAdmitted(Event):
    """Somebody was let in from the lobby."""

    type = "participant.admitted"
    participant_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantReconnecting(Event):
    """Somebody's last connection is gone; the grace time runs."""

    type = "participant.reconnecting"
    participant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantReturned(Event):
    """Somebody came back within the grace time."""

    type = "participant.returned"
    participant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantVerified(Event):
    """Somebody who takes part has proved who they are."""

    type = "participant.verified"
    participant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantLeft(Event):
    """Somebody is out."""

    type = "participant.left"
    participant_id: str
    reason: LeaveReason
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityMeasured(Event):
    """How somebody's connection was: before they are out, or before another actor goes on.

    Times are milliseconds since they came in, or since the last of these. They spent `fair_ms` and
    `poor_ms` for the reasons that follow; what a transport did not stand for is nowhere.
    """

    type = "participant.quality"
    participant_id: str
    good_ms: int
    fair_ms: int
    poor_ms: int
    loss_down_ms: int = 0
    """Packets did not reach them."""
    loss_up_ms: int = 0
    """Their packets did not reach us."""
    delay_ms: int = 0
    """The round trip was long."""
    bandwidth_ms: int = 0
    """Their line carried no more than the smallest pictures."""
    silent_ms: int = 0
    """Nothing came from them at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilitiesChanged(Event):
    """What somebody may do from now on."""

    type = "participant.capabilities_changed"
    participant_id: str
    capabilities: tuple[Capability, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WayChanged(Event):
    """A supervisor goes on in another way: shows themselves, whispers, or only listens."""

    type = "participant.way_changed"
    participant_id: str
    way: Way
    mode: Mode
    capabilities: tuple[Capability, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChanged(Event):
    """Somebody went on with voice only, or with video again."""

    type = "participant.mode_changed"
    participant_id: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerChanged(Event):
    """Another agent is in charge."""

    type = "session.owner_changed"
    participant_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationSent(Event):
    """The agent invited the consumer."""

    type = "invitation.sent"
    invitation_id: str
    mode: Mode
    by: str
    expires_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRinging(Event):
    """A surface of the consumer rings; the first one binds the consumer's claim."""

    type = "invitation.ringing"
    invitation_id: str
    participant_id: str
    surface: Surface
    claim_hash: str | None
    verified: bool = False
    """Whether they proved who they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerChanged(Event):
    """Somebody who proved that they are the consumer takes the place of one who only said so.

    The release before passes it over, and holds the former one for the consumer.
    """

    type = "consumer.changed"
    participant_id: str
    claim_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationAccepted(Event):
    """The consumer takes part; a `participant.joined` follows."""

    type = "invitation.accepted"
    invitation_id: str
    participant_id: str
    mode: Mode
    surface: Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationDeclined(Event):
    """The consumer said no. Their words, if any, stand in the subject."""

    type = "invitation.declined"
    invitation_id: str
    participant_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationExpired(Event):
    """Nobody answered in time."""

    type = "invitation.expired"
    invitation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationCancelled(Event):
    """The agent took it back, or the session ended under it."""

    type = "invitation.cancelled"
    invitation_id: str
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationFailed(Event):
    """It could not be answered; `why` is a stable code."""

    type = "invitation.failed"
    invitation_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestInvited(Event):
    """A guest link was made."""

    type = "guest.invited"
    guest_invitation_id: str
    code_hash: str
    uses: int
    expires_ms: int
    by: str
    admitted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRevoked(Event):
    """A guest link was withdrawn, or declined by whom it was for."""

    type = "guest.revoked"
    guest_invitation_id: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestExpired(Event):
    """A guest link's time is over; who came by it stays."""

    type = "guest.expired"
    guest_invitation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """The session is over; nothing follows."""

    type = "session.ended"
    reason: EndReason
    by: str | None = None


AnyEvent = (
    SessionStarted
    | ParticipantJoined
    | ParticipantAdmitted
    | ParticipantReconnecting
    | ParticipantReturned
    | ParticipantVerified
    | ParticipantLeft
    | QualityMeasured
    | CapabilitiesChanged
    | WayChanged
    | ModeChanged
    | OwnerChanged
    | InvitationSent
    | InvitationRinging
    | ConsumerChanged
    | InvitationAccepted
    | InvitationDeclined
    | InvitationExpired
    | InvitationCancelled
    | InvitationFailed
    | GuestInvited
    | GuestRevoked
    | GuestExpired
    | SessionEnded
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterEvent:
    """Something that only a later release knows: it happened, and takes its place in the count."""

    type: str
    at_ms: int
    mark: str | None = None


PastEvent = AnyEvent | LaterEvent
"""What stands in a journal, which a later release may have written in (`broker.past`)."""
KEPT_BACK = frozenset({"claim_hash", "code_hash", "mark", "policy"})
"""Fields that say nothing to anybody outside: neither records nor webhooks show them."""
EVENTS: dict[str, type[AnyEvent]] = {cls.type: cls for cls in get_args(AnyEvent)}


def event_body(event: AnyEvent) -> dict[str, Any]:
    """Return an event's own fields as JSON values; type, version and time stand beside them."""
    body = {
        field.name: _plain(getattr(event, field.name))
        for field in fields(event)
        if field.name != "at_ms"
    }
    if event.mark is None:
        # Most events have none, and each stands in the journal.
        del body["mark"]
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value
