"""Broker to widget: facts."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from broker.errors import ErrorCode
from broker.messages.parts import (
    ColleagueView,
    ConflictView,
    GuestInvitationView,
    InvitationView,
    MediaLimits,
    Part,
    ReachView,
    RosterEntry,
    SeatAssignment,
)
from broker.words import Capability, EndReason, LeaveReason, Mode, PublishSource, Role, Way


class ConnectionWelcome(Part):
    """The hello was accepted. Without a session the connection is *waiting* (or an idle agent)."""

    type: Literal["connection.welcome"] = "connection.welcome"
    reply_to: str
    revision: int
    connection_id: str
    role: Role
    in_session: bool
    """Whether a `session.snapshot` follows at once."""
    resumed: bool = False
    """Whether the session of the resume token goes on: what was asked in it and not answered may be
    said again."""


class ConnectionPong(Part):
    """Answer to `connection.ping`."""

    type: Literal["connection.pong"] = "connection.pong"


class ConnectionUnheard(Part):
    """Nothing was heard from the widget for half the time that a connection may be silent: it
    answers with `connection.ping`. The timers of a page that nobody looks at may rest for a minute;
    what comes by its connection does not wait."""

    type: Literal["connection.unheard"] = "connection.unheard"


class RequestDone(Part):
    """The request took effect and is durable."""

    type: Literal["request.done"] = "request.done"
    reply_to: str
    seq: int | None = None


class RequestRefused(Part):
    """The request had no effect. `reply_to` is absent when the message could not be read."""

    type: Literal["request.refused"] = "request.refused"
    reply_to: str | None
    code: ErrorCode
    message: str
    retryable: bool
    seq: int | None = None


class ReachChanged(Part):
    """Agent without a session: whether the consumer could be rung now."""

    type: Literal["reach.changed"] = "reach.changed"
    consumer: ReachView


class WaysChanged(Part):
    """Staff without a session: the ways into the engagement's live one; empty without one.

    Or into another one, to which a colleague asks this agent.
    """

    type: Literal["ways.changed"] = "ways.changed"
    ways: list[Way]
    asked_by: str | None = None
    """The colleague's name; the ways are those into their session."""
    about: str | None = None
    """The name of the consumer there, where it is known."""


class ColleagueListed(Part):
    """The answer to `colleague.list`; nobody where the account does not allow it."""

    type: Literal["colleague.listed"] = "colleague.listed"
    reply_to: str
    seq: int
    colleagues: list[ColleagueView]


class SessionSnapshot(Part):
    """The whole session as this participant may see it: on joining, resuming and takeover."""

    type: Literal["session.snapshot"] = "session.snapshot"
    seq: int
    session_id: str
    epoch: int
    participant_id: str
    role: Role
    mode: Mode
    """The participant's own mode."""
    attendance: str
    """`lobby`, `present`, `invited` (a consumer who has not answered), or `elsewhere`: another page
    of theirs carries their media, until this one offers."""
    capabilities: list[Capability]
    roster: list[RosterEntry]
    invitation: InvitationView | None
    guest_invitations: list[GuestInvitationView]
    seats: list[SeatAssignment]
    media: MediaLimits
    started_ms_ago: int
    conflicts: list[ConflictView] = Field(default_factory=list)
    """Who else says they are the consumer, for those who may admit."""


class ResumeRenewed(Part):
    """The sealed token to give back in the next hello; comes from the gateway, outside `seq`."""

    type: Literal["resume.renewed"] = "resume.renewed"
    resume: str


class InvitationChanged(Part):
    """The invitation moved on; the whole of it."""

    type: Literal["invitation.changed"] = "invitation.changed"
    seq: int
    invitation: InvitationView


class InvitationElsewhere(Part):
    """Another surface of this person answered; this one stops ringing."""

    type: Literal["invitation.elsewhere"] = "invitation.elsewhere"
    seq: int
    invitation_id: str


class RosterChanged(Part):
    """The whole roster; a later one replaces an earlier one that was not yet written."""

    type: Literal["roster.changed"] = "roster.changed"
    seq: int
    roster: list[RosterEntry]


class RightsChanged(Part):
    """What this participant may do now."""

    type: Literal["rights.changed"] = "rights.changed"
    seq: int
    mode: Mode
    capabilities: list[Capability]


class ConflictsChanged(Part):
    """Those who may admit: who else says they are the consumer; the whole list."""

    type: Literal["conflicts.changed"] = "conflicts.changed"
    seq: int
    conflicts: list[ConflictView]


class TextSaid(Part):
    """Somebody said something in writing. Not part of a snapshot: who comes later missed it."""

    type: Literal["text.said"] = "text.said"
    seq: int
    participant_id: str
    text: str
    text_id: str = ""
    """The same where the next actor says it again, having heard no answer to whoever wrote it."""


class ScreenRequested(Part):
    """Somebody would like this participant to share their screen."""

    type: Literal["screen.requested"] = "screen.requested"
    seq: int
    by_participant_id: str


class GuestInvited(Part):
    """The guest link asked for. The code stands in the fragment and is shown only here."""

    type: Literal["guest.invited"] = "guest.invited"
    reply_to: str
    seq: int
    guest_invitation_id: str
    url: str
    expires_in_ms: int


class GuestsChanged(Part):
    """The open guest links, for those who may invite."""

    type: Literal["guests.changed"] = "guests.changed"
    seq: int
    guest_invitations: list[GuestInvitationView]


class ParticipantMuted(Part):
    """A moderator stopped what this widget sends; it must show that, stop its tracks, and publish
    them as off. Until then it is told so after each snapshot."""

    type: Literal["participant.muted"] = "participant.muted"
    seq: int
    by_participant_id: str
    sources: list[PublishSource]


class MediaAnswer(Part):
    """The relay's SDP answer."""

    type: Literal["media.answer"] = "media.answer"
    reply_to: str
    seq: int
    transport_id: str
    epoch: int
    sdp: str


class MediaSeats(Part):
    """Changes of who sits where in the transport that this widget offered last.

    Slots not named keep their person. Each transport has seats of its own: the first of these after
    it connects names every slot, also the empty ones.
    """

    type: Literal["media.seats"] = "media.seats"
    seq: int
    epoch: int
    seats: list[SeatAssignment]


class MediaTransport(Part):
    """How the relay sees one of this participant's transports."""

    type: Literal["media.transport"] = "media.transport"
    seq: int
    epoch: int
    transport_id: str
    state: str
    """`connecting`, `connected`, `reconnecting` or `closed`."""


class MediaSpeaker(Part):
    """Who speaks; at most five times a second."""

    type: Literal["media.speaker"] = "media.speaker"
    seq: int
    participant_id: str | None


class MediaLayers(Part):
    """Which encodings of one source anybody needs; the widget turns the others off."""

    type: Literal["media.layers"] = "media.layers"
    seq: int
    source: PublishSource
    rids: list[str]


class MediaQuality(Part):
    """How good one participant's media are, and why."""

    type: Literal["media.quality"] = "media.quality"
    seq: int
    participant_id: str
    grade: str
    """`good`, `fair` or `poor`."""
    reason: str | None


class SessionWaiting(Part):
    """Agent: the session that is being started waits, since no session actor stands by.

    It names no request: whoever knows no such message would take it for the answer.
    """

    type: Literal["session.waiting"] = "session.waiting"
    within_ms: int
    """`session.start` is answered by then, with `no_capacity` if none came; said again, it holds
    from then on. A page that came in the place of the one that asked has no answer: it is told zero
    when the start is over without a session."""


class SessionSaving(Part):
    """The staff: whether what was decided is saved. False while some of it has waited for long, and
    right before `session.left` or `session.ended` where that itself is not saved.

    What makes the session less exposed acts at once, also while it cannot be saved.
    """

    type: Literal["session.saving"] = "session.saving"
    seq: int
    saved: bool


class SessionMoving(Part):
    """Whoever takes part: another actor is about to continue the session; nothing is to be done.

    Media go on meanwhile; what is asked may be refused as `session_away` for a moment.
    """

    type: Literal["session.moving"] = "session.moving"
    seq: int
    within_ms: int | None
    """How long that may take at most; `None`: the session stays where it is after all."""


class SessionMoved(Part):
    """Another actor holds the session now: build a new peer connection with the same tracks."""

    type: Literal["session.moved"] = "session.moved"
    epoch: int


class SessionLeft(Part):
    """This participant is no longer in the session."""

    type: Literal["session.left"] = "session.left"
    seq: int
    reason: LeaveReason
    by_participant_id: str | None = None
    """Who removed this participant"""


class SessionEnded(Part):
    """The session is over for everybody."""

    type: Literal["session.ended"] = "session.ended"
    seq: int
    session_id: str
    reason: EndReason


BrokerMessage = Annotated[
    ConnectionWelcome
    | ConnectionPong
    | ConnectionUnheard
    | RequestDone
    | RequestRefused
    | ReachChanged
    | WaysChanged
    | ColleagueListed
    | SessionSnapshot
    | ResumeRenewed
    | InvitationChanged
    | InvitationElsewhere
    | RosterChanged
    | RightsChanged
    | ConflictsChanged
    | TextSaid
    | ScreenRequested
    | GuestInvited
    | GuestsChanged
    | ParticipantMuted
    | MediaAnswer
    | MediaSeats
    | MediaTransport
    | MediaSpeaker
    | MediaLayers
    | MediaQuality
    | SessionWaiting
    | SessionSaving
    | SessionMoving
    | SessionMoved
    | SessionLeft
    | SessionEnded,
    Field(discriminator="type"),
]

BROKER_MESSAGES: tuple[type[Part], ...] = get_args(get_args(BrokerMessage)[0])


def encode(message: Part) -> bytes:
    """Write one message of the broker as UTF-8 JSON."""
    return message.model_dump_json().encode()
