"""What gateways, session actors, pool and ledger say to one another over trunks and links.

Never seen by a widget. Every call is a request model, a reply model and a method name; notices
are models sent one way. Versions N and N-1 read each other: readers here ignore unknown fields, and
`broker.messages.tolerance` reads the widgets' parts that travel along.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from broker.messages.tolerance import AnyEndReason, AnyMode, Ids
from broker.words import (
    Attendance,
    Capability,
    Mode,
    PublishSource,
    Reach,
    Role,
    SessionPhase,
    Surface,
    Way,
)


class Internal(BaseModel):
    """Base of what stays inside the cluster."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode()


M = TypeVar("M", bound=Internal)


def read(model: type[M], data: bytes) -> M:
    """Read one internal message. Raises pydantic's ValidationError: a mistake of ours."""
    return model.model_validate_json(data)


class Principal(Internal):
    """Who a gateway has made sure is speaking, by token. Wins over anything an SDK says."""

    role: Role
    account_id: str
    agent_id: str | None = None
    """Agents and supervisors."""
    visitor_id: str | None = None
    claim_hash: str | None = None
    """Consumers: SHA-256 of the claim secret, hexadecimal."""
    guest_invitation_id: str | None = None
    """Guests: the link that was consumed."""
    participant_id: str | None = None
    """Set when the token is bound to a participant of the session (guest, resume)."""
    name: str = ""
    picture: str | None = None
    verified: bool = False
    """Whether more than ids that any page could claim proves who this is."""


class LinkHello(Internal):
    """First words on a ledger link, after the challenge."""

    kind: Literal["gateway", "session", "pool", "keeper"]
    member_id: str
    """Random, one per process life."""
    node: str
    protocol: int = 1


class SessionMember(Internal):
    """Method `session.enlist`: a session actor says what it is when its link is new."""

    method: ClassVar[str] = "session.enlist"
    member_id: str
    node: str
    host: str
    port: int
    """Where the actor listens for trunks."""
    session_id: str | None = None
    """What it holds already, when the link is not the first."""
    epoch: int = 0
    label: str = ""
    """What kind of place its node is: openings may ask for one."""
    account_id: str | None = None
    """Takes sessions of this account only, because its process has held one of them."""


class Enlisted(Internal):
    """The ledger took note. `keep` false: the session is not this actor's any more."""

    term: int
    keep: bool


class TrunkHello(Internal):
    """First words on a trunk: one widget connection, and who speaks on it."""

    session_id: str
    epoch: int
    connection_id: str
    gateway_id: str
    principal: Principal
    surface: Surface
    visible: bool
    last_seq: int | None = None
    """What a returning connection has seen; `None`: send a snapshot."""
    engagement: Ids | None = None
    way: Way | None = None
    """A further member of the staff comes in by this way; `None`: only whoever is known."""
    backend: bool = False
    """The account's backend asks something: calls only, nobody joins. Only the principal's account
    counts then; it names no agent, so that an older actor finds nobody and refuses."""
    widget_id: str | None = None
    """The widget behind the connection: the id of its first one, also when it has come back."""


class TrunkReady(Internal):
    """The actor took the connection. What a gateway needs to seal a resume token."""

    participant_id: str
    epoch: int


class TrunkClose(Internal):
    """The actor ends a connection: the WebSocket closes with this code."""

    code: int
    reason: str
    last: str | None = None
    """The widget's last message of the session. It travels inside the close, so that the widget
    cannot answer it on a trunk that nobody reads any more."""
    to_waiting: bool = False
    """Keep the WebSocket: the connection goes back to waiting (or to an idle agent)."""


class DeedEnd(Internal):
    """End the session for everybody."""

    deed: Literal["end"] = "end"


class DeedInviteGuest(Internal):
    """Make a guest link."""

    deed: Literal["invite_guest"] = "invite_guest"
    uses: int
    expires_in_s: int
    name: str | None = None
    """For whom it is made; kept beside the journal."""


class DeedRevokeGuest(Internal):
    """Withdraw a guest link."""

    deed: Literal["revoke_guest"] = "revoke_guest"
    guest_invitation_id: str


class DeedRemove(Internal):
    """Remove somebody."""

    deed: Literal["remove"] = "remove"
    participant_id: str


class DeedMute(Internal):
    """Stop what somebody sends, once."""

    deed: Literal["mute"] = "mute"
    participant_id: str
    sources: list[PublishSource]


class DeedGrant(Internal):
    """Set what somebody may do."""

    deed: Literal["grant"] = "grant"
    participant_id: str
    capabilities: list[Capability]


class DeedInvite(Internal):
    """Ring the consumer again."""

    deed: Literal["invite"] = "invite"
    mode: Mode


class DeedCancelInvitation(Internal):
    """Take the open invitation back."""

    deed: Literal["cancel_invitation"] = "cancel_invitation"


class DeedAdmit(Internal):
    """Let somebody in from the lobby."""

    deed: Literal["admit"] = "admit"
    participant_id: str


class DeedRefuseEntry(Internal):
    """Send somebody in the lobby away."""

    deed: Literal["refuse_entry"] = "refuse_entry"
    participant_id: str


class DeedList(Internal):
    """Say who is there; changes nothing."""

    deed: Literal["list"] = "list"


class DeedMedia(Internal):
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


class SessionCommand(Internal):
    """The backend's request, on a trunk that is the backend's. Answered once it is durable."""

    method: ClassVar[str] = "session.command"
    session_id: str
    deed: Deed


class PresentParticipant(Internal):
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


class SessionCommandDone(Internal):
    """What came of it; the fields that the deed has are set."""

    invitation_id: str | None = None
    guest_invitation_id: str | None = None
    url: str | None = None
    expires_in_ms: int | None = None
    participants: list[PresentParticipant] = []
    media: dict[str, Any] = {}
    """The relay's snapshot with what the widgets reported."""


class Location(Internal):
    """Where a session lives now."""

    session_id: str
    epoch: int
    host: str
    port: int
    account_id: str
    engagement_key: str


class Done(Internal):
    """A reply that says only: it is so now."""


class PresencePut(Internal):
    """A waiting connection may be rung under these keys. Said again when something changes."""

    method: ClassVar[str] = "presence.put"
    connection_id: str
    account_id: str
    keys: list[str]
    surface: Surface
    visible: bool
    claim_hash: str | None = None


class PresenceDrop(Internal):
    """The waiting connection is gone."""

    method: ClassVar[str] = "presence.drop"
    connection_id: str


class PresenceWatch(Internal):
    """An agent's connection wants to know whether the consumer could be rung."""

    method: ClassVar[str] = "presence.watch"
    connection_id: str
    account_id: str
    key: str
    agent_id: str | None = None
    """Under which colleagues see that their widget is open; `None`: they do not."""
    name: str = ""


class PresenceUnwatch(Internal):
    """The agent's connection does not want to know any more."""

    method: ClassVar[str] = "presence.unwatch"
    connection_id: str


class PresenceState(Internal):
    """Reply to put and watch, and the body of notice `presence.changed`."""

    connection_id: str
    reach: Reach = Reach.ABSENT
    surfaces: list[Surface] = []
    live: Location | None = None
    """The live session of this engagement, if there is one."""


class SessionOpen(Internal):
    """Give this engagement a session. Raises already_live (Conflict), no_capacity."""

    method: ClassVar[str] = "session.open"
    account_id: str
    engagement_key: str
    ids: Ids
    mode: Mode
    owner: Principal
    monitoring: bool = False
    """Whether the account lets supervisors listen unseen; the deployment's policy may, too."""
    label: str = ""
    """Only a node with this label may have the session, now and after a takeover; empty: any."""


class SessionLocate(Internal):
    """Where is it? Raises unknown_session, session_ended (Gone)."""

    method: ClassVar[str] = "session.locate"
    session_id: str


class SessionTakeover(Internal):
    """The trunk of this tenure broke: make sure somebody holds the session. Idempotent."""

    method: ClassVar[str] = "session.takeover"
    session_id: str
    observed_epoch: int


class GuestLocate(Internal):
    """Which session does this guest code open? Consumes nothing."""

    method: ClassVar[str] = "guest.locate"
    code_hash: str


class GuestLocated(Internal):
    """The link's session."""

    location: Location
    guest_invitation_id: str


class JournalEntry(Internal):
    """One event as it is stored: its order within the session, wall time, and what happened."""

    seq: int
    at_ms: int
    type: str
    version: int
    body: dict[str, Any]


class Subject(Internal):
    """What is known about a participant beside the journal, so that it can be erased."""

    participant_id: str
    body: dict[str, Any]


class SessionAssign(Internal):
    """Ledger to standby: you are this session now. Nothing leaves before the ledger commits."""

    method: ClassVar[str] = "session.assign"
    session_id: str
    epoch: int
    account_id: str
    engagement_key: str
    ids: Ids
    mode: Mode
    owner: Principal
    policy: dict[str, Any]


class SessionContinue(Internal):
    """Ledger to standby: take this session over from its journal."""

    method: ClassVar[str] = "session.continue"
    session_id: str
    epoch: int
    account_id: str
    engagement_key: str
    ids: Ids
    policy: dict[str, Any]
    entries: list[JournalEntry]
    subjects: list[Subject]


class SessionPast(Internal):
    """Ledger to standby: the next part of a journal too long for one frame.

    The parts come in order and before `session.continue`, which holds the last one.
    """

    method: ClassVar[str] = "session.past"
    session_id: str
    epoch: int
    entries: list[JournalEntry]


class SessionYield(Internal):
    """Ledger to holder: another actor is about to continue the session.

    The holder decides nothing from now on, makes durable what it decided, answers, and goes on
    forwarding media until it is stopped, or told to keep the session.
    """

    method: ClassVar[str] = "session.yield"
    session_id: str
    epoch: int


class SessionKeep(Internal):
    """Notice ledger to holder, `session.keep`: nobody else continued it; go on."""

    session_id: str
    epoch: int


class Journalled(Internal):
    """A standby's answer to assign or continue: the first events, for the ledger to commit."""

    entries: list[JournalEntry]
    subjects: list[Subject]


class SessionCommitted(Internal):
    """Notice ledger to actor, `session.committed`: the assignment is durable; serve."""

    session_id: str
    epoch: int


class JournalAppend(Internal):
    """Make these events durable. Idempotent by (session, epoch, seq); an old epoch is refused."""

    method: ClassVar[str] = "journal.append"
    session_id: str
    epoch: int
    entries: list[JournalEntry]
    subjects: list[Subject] = []


class SessionRing(Internal):
    """Actor to ledger: whoever waits with this claim was turned away before and is welcome now."""

    method: ClassVar[str] = "session.ring"
    session_id: str
    claim_hash: str


class SessionAttach(Internal):
    """Notice ledger to gateway, `session.attach`: dial this session for that waiting connection."""

    connection_id: str
    location: Location
    again: bool = False
    """Also when the session turned this connection away before."""


class SessionRelocated(Internal):
    """Notice ledger to gateway, `session.relocated`: another actor holds the session."""

    location: Location


class NodeDrain(Internal):
    """Give no new session to a node, and move those it has, until the deadline.

    Said again it sets a new deadline. Raises unknown_node (NotFound).
    """

    method: ClassVar[str] = "node.drain"
    node: str
    deadline_s: float = Field(ge=0, le=86_400)
    known: bool = False
    """The caller made sure that there is such a node, even if it has no session actor yet."""


class NodeUndrain(Internal):
    """Let a node have sessions again. What was moved stays where it is."""

    method: ClassVar[str] = "node.undrain"
    node: str


class NodeQuery(Internal):
    """How do the nodes stand?"""

    method: ClassVar[str] = "node.list"


class NodeState(Internal):
    """One node that has session actors, or is being drained."""

    node: str
    label: str = ""
    drain: Literal["no", "moving", "drained", "late"] = "no"
    """`late`: the deadline passed with sessions left; they stay where they are."""
    deadline_ms: int | None = None
    standbys: int = 0
    """Those that take a session of any account."""
    reusable: int = 0
    """Those that have held a session and take another of the same account."""
    live: int = 0
    """Sessions that are held there."""
    members: int = 0
    """Session actors there, those on their way out included."""
    moved: int = 0
    """Sessions moved away by the present drain, since this ledger took its term."""


class NodeList(Internal):
    """Every node the ledger knows, by name."""

    nodes: list[NodeState]


class PoolLevel(Internal):
    """Notice ledger to pool, `pool.level`: how many standbys wait, and how much they are wanted."""

    standbys: int
    """Those that take a session of any account."""
    live: int
    queued: int
    members: list[str] = []
    nodes: list[NodeState] = []
    queued_for: dict[str, int] = {}
    """Who waits, by the label asked for; empty for those who take any."""
    taken: int = 0
    """Standbys of any account given away since this ledger took its term."""
    reused: list[str] = []
    """Members of processes that have held a session before: nobody started these."""


class RecordQuery(Internal):
    """Read the records of sessions, newest first."""

    method: ClassVar[str] = "record.list"
    account_id: str | None = None
    phase: SessionPhase | None = None
    engagement_key: str | None = None
    reference: str | None = None
    cursor: str | None = None
    limit: int = 50


class RecordGet(Internal):
    """Read one record. Raises unknown_session."""

    method: ClassVar[str] = "record.get"
    session_id: str
    account_id: str | None = None


class RecordRate(Internal):
    """A participant rates a session that has ended. Raises unknown_session, already_live."""

    method: ClassVar[str] = "record.rate"
    session_id: str
    participant_id: str
    stars: int
    comment: str | None = None


class SessionRecord(Internal):
    """What is known of one session, joined with its subjects."""

    session_id: str
    account_id: str
    engagement_key: str
    ids: Ids
    epoch: int
    phase: SessionPhase
    mode: AnyMode
    created_ms: int
    ended_ms: int | None = None
    end_reason: AnyEndReason = None
    """`None` also for a reason that only a later release knows."""
    events: list[JournalEntry] = []
    subjects: list[Subject] = []
    reference: str | None = None
    """The brand's own name for it."""
    metadata: dict[str, str] = {}
    """What the brand keeps with it; gone when a person of the session is erased."""


class RecordPage(Internal):
    """One page of records (without their events), and where the next begins."""

    records: list[SessionRecord]
    cursor: str | None = None
