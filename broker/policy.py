"""What a deployment may set about sessions; every value has the design's default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

MOST_PARTICIPANTS = 250
"""A change is told to everybody with everybody's state: this many are as far as that was measured
(`docs/performance.md`)."""
LONGEST_MS = 4 * 3_600_000
"""What proves somebody in a session lives a little longer: resume tokens, credentials of TURN."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits and habits of one session, fixed when it starts. Times are milliseconds."""

    participant_limit: int = 8
    """People in the session at once, the lobby not counted."""
    screen_limit: int = 1
    """Screen shares shown at once."""
    invitation_ms: int = 120_000
    """An unanswered invitation expires."""
    reconnect_grace_ms: int = 60_000
    """How long somebody whose connection is gone stays `reconnecting`."""
    absent_both_ms: int = 120_000
    """The session ends after this long without agent and consumer."""
    absent_agent_ms: int = 300_000
    """The session ends after this long without an agent."""
    longest_ms: int = LONGEST_MS
    """No session lasts longer."""
    lapsed_ms: int = 600_000
    """The session ends this long after its last invitation closed, when nobody else came."""
    guest_links_limit: int = 5
    """Guest links open at once."""
    guest_lobby: bool = True
    """Guests wait until somebody admits them."""
    consumer_may_invite: bool = False
    """Whether the consumer may make guest links."""
    consult_lobby: bool = True
    """A second agent waits until somebody admits them."""
    silent_monitoring: bool = False
    """Whether a supervisor may listen unseen; the Accept screen then says so."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            expected = bool if isinstance(field.default, bool) else int
            if type(value) is not expected:
                raise ValueError(f"Policy {field.name} must be of type {expected.__name__}.")
            if expected is int and value < 1:
                raise ValueError(f"Policy {field.name} must be at least 1.")
        if self.participant_limit > MOST_PARTICIPANTS:
            raise ValueError(f"Policy participant_limit must be at most {MOST_PARTICIPANTS}.")
        if self.longest_ms > LONGEST_MS:
            raise ValueError(f"Policy longest_ms must be at most {LONGEST_MS}.")

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Policy:
        """Build a policy from configuration.

        Raises:
            ValueError: an unknown name, a wrong type or a value out of bounds.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"Policy has no value named {unknown[0]!r}.")
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks each type

    def with_known(self, values: Mapping[str, object]) -> Policy:
        """Return this policy with those of `values` that this release knows and can keep.

        For what another part of the cluster says, which may be of the next release: never raises.
        """
        policy = self
        for name in {field.name for field in fields(self)} & values.keys():
            if values[name] == getattr(self, name):
                # Each replacement checks all values anew, and nearly all are what they are here.
                continue
            try:
                policy = replace(policy, **{name: values[name]})  # type: ignore[arg-type]
            except ValueError:
                continue
        return policy

    def to_mapping(self) -> dict[str, object]:
        """Return every value by name, as `from_mapping` reads it."""
        return asdict(self)
