"""What a gateway asks the ledger, as a Protocol; and what the ledger tells a gateway unasked."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Protocol, TypeVar

from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.presence import (
    PresenceDisplaced,
    PresencePut,
    PresenceState,
    PresenceWatch,
)
from broker.messages.cluster.records import (
    RecordGet,
    RecordPage,
    RecordQuery,
    RecordRate,
    SessionRecord,
)
from broker.messages.cluster.sessions import (
    GuestLocated,
    SessionAttach,
    SessionOpen,
    SessionQueued,
)
from broker.messages.cluster.trunk import Location
from broker.messages.colleagues import ColleagueAnswer, ColleagueCalled, ColleagueSettled
from broker.messages.sharing import LoginHand, Revocation

Reply = TypeVar("Reply", bound=ClusterMessage)
Holds = Callable[[], bool]
"""Looked at once, in the moment in which the ledger is told; False: it is told nothing."""


def always() -> bool:
    """Want what is asked, however late it can be."""
    return True


class Call(Protocol):
    """A request model of `broker.messages.upkeep`."""

    method: ClassVar[str]

    def to_bytes(self) -> bytes: ...


class Directory(Protocol):
    """The ledger as a gateway sees it. Every call may raise `Unavailable` (`ledger_away`)."""

    @property
    def ready(self) -> bool:
        """Whether the ledger can be asked now."""
        ...

    @property
    def pool_linked(self) -> bool:
        """Whether it can, and a pool that starts standbys has a link to it."""
        ...

    @property
    def was_complete(self) -> bool:
        """Whether that was ever so since this gateway started."""
        ...

    async def put_presence(self, put: PresencePut) -> PresenceState:
        """Register a waiting connection; remembered, and said again after a lost link."""
        ...

    async def watch_presence(self, watch: PresenceWatch) -> PresenceState:
        """Ask to be told about a consumer's reach; remembered likewise."""
        ...

    def forget(self, connection_id: str) -> None:
        """Drop what was put or watched for a connection; does not wait."""
        ...

    def answer_colleague(self, said: ColleagueAnswer) -> None:
        """Say whether an agent comes whom a colleague asked; does not wait."""
        ...

    async def open_session(self, request: SessionOpen, *, holds: Holds = always) -> Location:
        """Give an engagement a session, if that is still wanted when the ledger can be asked.

        Raises already_live (Conflict), no_capacity.
        """
        ...

    async def locate(self, session_id: str, account_id: str | None) -> Location:
        """Find a session; `None`: whosever it is. Raises unknown_session, session_ended."""
        ...

    async def takeover(self, left: Location) -> Location:
        """Make sure somebody holds the session after its trunk broke there; idempotent."""
        ...

    async def locate_guest(self, code_hash: str) -> GuestLocated:
        """Find the session a guest code opens; consumes nothing. Raises unknown_invitation."""
        ...

    async def list_records(self, query: RecordQuery) -> RecordPage:
        """Read one page of records, newest first."""
        ...

    async def get_record(self, query: RecordGet) -> SessionRecord:
        """Read one record. Raises unknown_session."""
        ...

    async def revoke(self, revocation: Revocation) -> bool:
        """Tell all gateways who has lost access; False: as soon as the ledger is back."""
        ...

    async def ask(self, request: Call, reply: type[Reply], *, timeout_s: float = 3.0) -> Reply:
        """Make a call about what is kept. Raises what the call's model says."""
        ...

    async def rate(self, rating: RecordRate) -> None:
        """Keep what somebody says of an ended session. Raises unknown_session, already_live."""
        ...


class Listener(Protocol):
    """Whom a directory tells what the ledger said unasked. None of these may block."""

    def on_presence(self, state: PresenceState) -> None:
        """A consumer's reach changed, or an answer came after a link was replaced."""
        ...

    def on_attach(self, attach: SessionAttach) -> None:
        """A waiting connection's engagement has a session now."""
        ...

    def on_queued(self, queued: SessionQueued) -> None:
        """The opening of one of our connections waits for a standby."""
        ...

    def on_relocated(self, location: Location) -> None:
        """Another actor holds this session."""
        ...

    def on_displaced(self, displaced: PresenceDisplaced) -> None:
        """A waiting connection of ours gave way to another."""
        ...

    def on_called(self, called: ColleagueCalled) -> None:
        """A colleague asks a widget's agent into their session."""
        ...

    def on_settled(self, settled: ColleagueSettled) -> None:
        """The agent has answered on another widget."""
        ...

    def on_handed(self, hand: LoginHand) -> None:
        """Somebody has logged in for a frame that may wait at this gateway."""
        ...

    def on_revoked(self, revocation: Revocation) -> None:
        """Somebody has lost access, now or before this gateway had its link."""
        ...
