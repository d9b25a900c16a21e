"""What may be asked of a session. New ids come in with the command: the core has no randomness."""

from __future__ import annotations

from dataclasses import dataclass

from broker.words import Capability, EndReason, Mode, PublishSource, Role, Surface, Way


@dataclass(frozen=True, slots=True)
class Start:
    """An agent starts the session and invites the consumer."""

    session_id: str
    account_id: str
    engagement_key: str
    mode: Mode
    owner_id: str
    invitation_id: str
    verified: bool = True


@dataclass(frozen=True, slots=True)
class JoinStaff:
    """Another agent, or a supervisor, comes in, or goes on in another way."""

    participant_id: str
    role: Role
    verified: bool = True
    way: Way = Way.CONSULT
    chatting: bool = False
    """Whether the host SDK says that the conversation is this agent's now."""


@dataclass(frozen=True, slots=True)
class JoinGuest:
    """Somebody used a guest link."""

    participant_id: str
    guest_invitation_id: str
    mode: Mode = Mode.VIDEO
    verified: bool = False


@dataclass(frozen=True, slots=True)
class Attach:
    """A participant has a connection (again)."""

    participant_id: str


@dataclass(frozen=True, slots=True)
class Detach:
    """A participant's last connection is gone."""

    participant_id: str


@dataclass(frozen=True, slots=True)
class Prove:
    """A participant has proved who they are since they came in."""

    participant_id: str


@dataclass(frozen=True, slots=True)
class Ring:
    """A surface of the consumer is connected and can show the invitation."""

    participant_id: str
    surface: Surface
    claim_hash: str | None
    verified: bool = False


@dataclass(frozen=True, slots=True)
class SendInvitation:
    """Invite the consumer again."""

    by: str
    invitation_id: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class CancelInvitation:
    """Take the open invitation back."""

    by: str


@dataclass(frozen=True, slots=True)
class AcceptInvitation:
    """The consumer takes part."""

    participant_id: str
    invitation_id: str
    mode: Mode
    surface: Surface
    verified: bool = False


@dataclass(frozen=True, slots=True)
class DeclineInvitation:
    """The consumer says no."""

    participant_id: str
    invitation_id: str


@dataclass(frozen=True, slots=True)
class FailInvitation:
    """The invitation cannot be answered."""

    why: str


@dataclass(frozen=True, slots=True)
class InviteGuest:
    """Make a guest link."""

    by: str
    guest_invitation_id: str
    code_hash: str
    uses: int
    expires_in_ms: int
    admitted: bool = False
    """Made for somebody an agent has looked at, who then waits in no lobby."""


@dataclass(frozen=True, slots=True)
class RevokeGuest:
    """Withdraw a guest link."""

    by: str
    guest_invitation_id: str


@dataclass(frozen=True, slots=True)
class DeclineGuest:
    """Whom a guest link was made for does not want to come."""

    participant_id: str
    guest_invitation_id: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Let somebody in from the lobby."""

    by: str
    participant_id: str


@dataclass(frozen=True, slots=True)
class RefuseEntry:
    """Send somebody in the lobby away."""

    by: str
    participant_id: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove somebody."""

    by: str
    participant_id: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Set what somebody may do."""

    by: str
    participant_id: str
    capabilities: frozenset[Capability]


@dataclass(frozen=True, slots=True)
class Mute:
    """Stop what somebody sends, once."""

    by: str
    participant_id: str
    sources: tuple[PublishSource, ...]


@dataclass(frozen=True, slots=True)
class SayText:
    """Say something in writing to everybody in the session; it is not kept.

    By `text_id` those who hear it twice know: two actors may say it, each before it can answer.
    """

    participant_id: str
    text: str
    text_id: str = ""


@dataclass(frozen=True, slots=True)
class AskForScreen:
    """Ask somebody to show their screen."""

    by: str
    participant_id: str


@dataclass(frozen=True, slots=True)
class SetMode:
    """Go on with voice only, or with video again."""

    participant_id: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class HandOver:
    """Make another agent the owner."""

    by: str
    participant_id: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave; the session goes on."""

    participant_id: str


@dataclass(frozen=True, slots=True)
class End:
    """End the session for everybody; `by` is `None` for backend and runtime, with their reason."""

    by: str | None
    reason: EndReason | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline may have passed."""


Command = (
    Start
    | JoinStaff
    | JoinGuest
    | Attach
    | Detach
    | Prove
    | Ring
    | SendInvitation
    | CancelInvitation
    | AcceptInvitation
    | DeclineInvitation
    | FailInvitation
    | InviteGuest
    | RevokeGuest
    | DeclineGuest
    | Admit
    | RefuseEntry
    | Remove
    | Grant
    | Mute
    | SayText
    | AskForScreen
    | SetMode
    | HandOver
    | Leave
    | End
    | Tick
)
