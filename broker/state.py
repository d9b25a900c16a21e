"""The state of a session: frozen, rebuilt from events alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from broker.policy import Policy
from broker.words import (
    Attendance,
    Capability,
    EndReason,
    InvitationState,
    Mode,
    Role,
    SessionPhase,
    Surface,
    Way,
)

OPEN_INVITATION = frozenset({InvitationState.SENT, InvitationState.RINGING})
STAFF = frozenset({Role.AGENT, Role.SUPERVISOR})
HIDDEN_WAYS = frozenset({Way.WHISPER, Way.MONITOR})
DONE_LIMIT = 256
"""Commands that a session remembers to have done: everybody's in it, and the backend's."""

INVITATION_STEPS: Mapping[InvitationState, frozenset[InvitationState]] = MappingProxyType(
    {
        InvitationState.SENT: frozenset(InvitationState) - {InvitationState.SENT},
        InvitationState.RINGING: frozenset(InvitationState) - {InvitationState.SENT},
        **{closed: frozenset() for closed in set(InvitationState) - OPEN_INVITATION},
    }
)
"""Legal transitions; `ringing` to itself is one more surface."""

ATTENDANCE_STEPS: Mapping[Attendance, frozenset[Attendance]] = MappingProxyType(
    {
        Attendance.LOBBY: frozenset({Attendance.PRESENT, Attendance.LEFT}),
        Attendance.PRESENT: frozenset({Attendance.RECONNECTING, Attendance.LEFT}),
        Attendance.RECONNECTING: frozenset({Attendance.PRESENT, Attendance.LEFT}),
        Attendance.LEFT: frozenset(),
    }
)


@dataclass(frozen=True, slots=True)
class Participant:
    """A person in the roster."""

    participant_id: str
    role: Role
    mode: Mode
    capabilities: frozenset[Capability]
    attendance: Attendance
    since_ms: int
    """When `attendance` last changed; a grace time counts from here."""
    joined_ms: int
    """When they came in last, also into the lobby."""
    mode_ms: int
    """When `mode` was said last."""
    verified: bool
    guest_invitation_id: str | None = None
    way: Way = Way.JOIN
    withdrawn: frozenset[Capability] = frozenset()
    """What was taken from them and not given back; also when they come in again."""

    @property
    def hidden(self) -> bool:
        """Whether only the staff may know of this person."""
        return self.way in HIDDEN_WAYS

    @property
    def inside(self) -> bool:
        """Whether the person takes part: present or expected back."""
        return self.attendance in (Attendance.PRESENT, Attendance.RECONNECTING)


@dataclass(frozen=True, slots=True)
class Invitation:
    """From agent to consumer."""

    invitation_id: str
    mode: Mode
    by: str
    state: InvitationState
    expires_ms: int
    closed_ms: int | None = None
    surfaces: frozenset[Surface] = frozenset()
    why: str | None = None

    @property
    def open(self) -> bool:
        """Whether it can still be answered."""
        return self.state in OPEN_INVITATION


@dataclass(frozen=True, slots=True)
class GuestLink:
    """An open guest link."""

    guest_invitation_id: str
    code_hash: str
    uses_left: int
    expires_ms: int
    by: str
    admitted: bool = False
    """For one person an agent has looked at: the hash is that of their claim secret."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """Everything a session is. `evolve` alone makes new ones."""

    policy: Policy = field(default_factory=Policy)
    phase: SessionPhase = SessionPhase.NEW
    session_id: str = ""
    account_id: str = ""
    engagement_key: str = ""
    mode: Mode = Mode.VIDEO
    owner_id: str = ""
    started_ms: int = 0
    ended_ms: int | None = None
    end_reason: EndReason | None = None
    participants: Mapping[str, Participant] = field(default_factory=lambda: MappingProxyType({}))
    invitation: Invitation | None = None
    guest_links: Mapping[str, GuestLink] = field(default_factory=lambda: MappingProxyType({}))
    guest_link_ids: frozenset[str] = frozenset()
    """Of every guest link that was made, whatever became of it: none is made twice."""
    done: tuple[str, ...] = ()
    """Marks of the latest commands that led to events, oldest first (`Event.mark`)."""
    consumer_id: str | None = None
    """The participant id bound to the consumer by the first ring."""
    consumer_claim: str | None = None
    """Hash of the claim secret that bound it."""
    consumer_proved: bool = False
    """Whether more than that secret says who the consumer is."""
    agentless_ms: int | None = None
    """Since when no agent is present."""
    deserted_ms: int | None = None
    """Since when neither agent nor consumer is present."""
    event_count: int = 0

    def inside(self) -> Iterable[Participant]:
        """Everybody who takes part, in the order they joined."""
        return (person for person in self.participants.values() if person.inside)

    def may_answer(self, participant_id: str) -> bool:
        """Whether this is the consumer whom an open invitation is for, not inside yet."""
        person = self.participants.get(participant_id)
        return (
            self.invitation is not None
            and self.invitation.open
            and participant_id == self.consumer_id
            and not (person is not None and person.inside)
        )

    def count_inside(self) -> int:
        """How many places of the session's limit are taken; who is hidden takes none."""
        return sum(1 for person in self.inside() if not person.hidden)
