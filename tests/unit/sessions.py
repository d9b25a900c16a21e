"""A session to test the core with: commands in, state out, and a clock that is told the time."""

from __future__ import annotations

from dataclasses import dataclass, field

from broker.commands import (
    AcceptInvitation,
    Admit,
    Command,
    InviteGuest,
    JoinGuest,
    JoinStaff,
    Ring,
    Start,
)
from broker.decide import decide
from broker.events import AnyEvent
from broker.evolve import replay
from broker.policy import Policy
from broker.state import SessionState
from broker.words import Mode, Role, Surface, Way

AGENT = "p-agent"
CONSUMER = "p-consumer"
GUEST = "p-guest"
OTHER_AGENT = "p-other-agent"
SUPERVISOR = "p-supervisor"
CLAIM = "c" * 64
INVITATION = "i-1"
START = Start("s-1", "acc", "eng", Mode.VIDEO, AGENT, INVITATION)


@dataclass
class Case:
    """A state, the events that made it, and the time."""

    state: SessionState = field(default_factory=lambda: SessionState(policy=Policy()))
    events: list[AnyEvent] = field(default_factory=list)
    now_ms: int = 1_000_000

    def do(self, command: Command) -> list[AnyEvent]:
        """Decide and apply; return the new events."""
        new = list(decide(self.state, command, self.now_ms).events)
        self.state = replay(self.state, new)
        self.events += new
        return new


def started(policy: Policy | None = None) -> Case:
    case = Case(SessionState(policy=policy or Policy()))
    case.do(START)
    return case


def ringing(policy: Policy | None = None) -> Case:
    case = started(policy)
    case.do(Ring(CONSUMER, Surface.LAUNCHER, CLAIM))
    return case


def talking(policy: Policy | None = None) -> Case:
    case = ringing(policy)
    case.do(AcceptInvitation(CONSUMER, INVITATION, Mode.VIDEO, Surface.LAUNCHER))
    return case


def with_guest(policy: Policy | None = None) -> Case:
    case = talking(policy)
    case.do(InviteGuest(AGENT, "g-1", "h", 2, 60_000))
    case.do(JoinGuest(GUEST, "g-1"))
    case.do(Admit(AGENT, GUEST))
    return case


def with_second_agent() -> Case:
    case = talking()
    case.do(JoinStaff(OTHER_AGENT, Role.AGENT))
    case.do(Admit(AGENT, OTHER_AGENT))
    return case


def monitored() -> Case:
    case = talking(Policy(silent_monitoring=True))
    case.do(JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=Way.MONITOR))
    return case
