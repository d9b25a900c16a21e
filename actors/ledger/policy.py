"""What a deployment may set about the ledger; every value has the design's default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LedgerPolicy:
    """Bounds and deadlines. Names ending in `_s` are seconds, in `_ms` milliseconds."""

    session: Mapping[str, object] = field(default_factory=dict)
    """`broker.policy.Policy` values given to every session."""
    heartbeat_s: float = 1.0
    silent_beats: int = 3
    """A member's link that left this many heartbeats in a row unanswered is lost."""
    assign_s: float = 2.0
    """How long a standby may take over an assignment."""
    continue_s: float = 3.0
    """How long a standby may take to replay a journal."""
    continue_event_s: float = 0.001
    """How much longer for each of its events."""
    capacity_wait_s: float = 5.0
    """How long `session.open` waits for a standby before `no_capacity`."""
    live_per_account: int = 5_000
    """Live sessions of one account: its agents name engagements as they like."""
    queue_limit: int = 500
    """Further openings get `no_capacity` at once."""
    reused_limit: int = 16
    """Standbys kept for their account beside those that take any; further ones end."""
    probe_s: float = 1.0
    """How long an actor may take to greet the ledger's probe of its trunk port."""
    return_s: float = 2.0
    """How long an actor that can be reached may take to bring back its ledger link."""
    settle_s: float = 5.0
    """How long locate and takeover wait for a session to have a home again."""
    yield_s: float = 2.0
    """How long a holder may take to make durable what it decided before a move."""
    linger_s: float = 2.0
    """How long the old holder goes on forwarding media after a move."""
    moves_at_once: int = 4
    """Sessions of one drained node that are moved side by side."""
    move_wait_s: float = 5.0
    """How long one move waits for a standby before it is tried anew."""
    drain_pause_s: float = 0.2
    """Pause of a drain that could move nothing."""
    cordon_kept_ms: int = 30 * 86_400_000
    """A drain whose deadline passed that long ago is forgotten: a node's name never comes back."""
    journal_limit_bytes: int = 64 * 1024 * 1024
    """A journal that is above this with its people cannot be handed to a standby."""
    takeover_limit: int = 3
    takeover_window_ms: int = 300_000
    lost_after_ms: int = 60_000
    """A session without a home that nobody has asked for so long is ended as lost: its people's
    own time to come back (`Policy.reconnect_grace_ms`) is over."""
    lost_at_last_ms: int = 900_000
    """One without a home is ended after so long, whoever asks."""
    waiting_limit: int = 100_000
    waiting_per_account: int = 50_000
    waiting_per_key: int = 16
    watching_limit: int = 100_000
    watching_per_key: int = 64
    calls_per_link: int = 5_000
    """Calls of one link at work at once; further ones get `rate_limited`."""
    chores_limit: int = 100_000
    """Calls of all links and other work at once; further calls get `rate_limited`."""
    batch_limit: int = 512
    """Writes in one transaction."""
    writes_limit: int = 20_000
    """Writes that wait; further ones get `ledger_away`."""
    level_s: float = 0.05
    """Least time between two `pool.level` notices."""
