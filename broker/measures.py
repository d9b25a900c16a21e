"""What is counted of session actors and ledgers: closed sets of words, and none is anybody's.

A word before the dot is a family, after it stands what tells its members apart. Each event counts
in one word, also of a histogram: whoever shows it adds the buckets up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum


class _Word(StrEnum):
    @property
    def family(self) -> str:
        """What stands before the dot; all of a word that is alone."""
        return self.partition(".")[0]

    @property
    def which(self) -> str:
        """What stands after it; empty for a word that is alone."""
        return self.partition(".")[2]


class Count(_Word):
    """What only grows."""

    PACKETS_IN = "packets.in"
    PACKETS_OUT = "packets.out"
    BYTES_IN = "bytes.in"
    BYTES_OUT = "bytes.out"
    DROPPED_BLOCKED = "dropped.blocked"
    DROPPED_EXCESS = "dropped.excess"
    DROPPED_FAILED = "dropped.failed"
    DROPPED_KERNEL = "dropped.kernel"
    DROPPED_LATE = "dropped.late"
    DROPPED_MALFORMED = "dropped.malformed"
    DROPPED_MISTAKE = "dropped.mistake"
    DROPPED_OVERSIZE = "dropped.oversize"
    DROPPED_PAYLOAD_TYPE = "dropped.payload_type"
    DROPPED_REFUSED = "dropped.refused"
    DROPPED_STRANGER = "dropped.stranger"
    DROPPED_UNAUTHENTIC = "dropped.unauthentic"
    DROPPED_UNKEYED = "dropped.unkeyed"
    DROPPED_UNKNOWN_SSRC = "dropped.unknown_ssrc"
    DROPPED_UNPROVED = "dropped.unproved"
    NACKED_ANSWERED = "nacked.answered"
    NACKED_UNANSWERED = "nacked.unanswered"
    KEY_FRAMES_IN = "key_frames.in"
    KEY_FRAMES_OUT = "key_frames.out"
    LAYER_SWITCHES = "layer_switches"
    LOOP_5_MS = "loop.0.005"
    LOOP_20_MS = "loop.0.02"
    LOOP_50_MS = "loop.0.05"
    LOOP_100_MS = "loop.0.1"
    LOOP_250_MS = "loop.0.25"
    LOOP_1_S = "loop.1.0"
    LOOP_MORE = "loop.+Inf"
    LOOP_US = "loop_us"
    CPU_MS = "cpu_ms"
    # Of a ledger, and of what the keeper has it do.
    APPEND_1_MS = "append.0.001"
    APPEND_3_MS = "append.0.003"
    APPEND_10_MS = "append.0.01"
    APPEND_30_MS = "append.0.03"
    APPEND_100_MS = "append.0.1"
    APPEND_300_MS = "append.0.3"
    APPEND_1_S = "append.1.0"
    APPEND_3_S = "append.3.0"
    APPEND_MORE = "append.+Inf"
    APPEND_US = "append_us"
    TRANSACTIONS = "transactions"
    DATABASE_ERRORS_READ = "database_errors.read"
    DATABASE_ERRORS_WRITE = "database_errors.write"
    RECONCILES = "reconciles"
    GHOSTS = "ghosts"
    DELIVERIES_DELIVERED = "deliveries.delivered"
    DELIVERIES_FAILED = "deliveries.failed"
    DELIVERIES_DEAD = "deliveries.dead"


class Standing(_Word):
    """What there is now."""

    TRANSPORTS_CONNECTING = "transports.connecting"
    TRANSPORTS_CONNECTED = "transports.connected"
    TRANSPORTS_RECONNECTING = "transports.reconnecting"
    GRADES_GOOD = "grades.good"
    GRADES_FAIR = "grades.fair"
    GRADES_POOR = "grades.poor"
    SESSIONS_RINGING = "sessions.ringing"
    SESSIONS_TALKING = "sessions.talking"
    SESSIONS_WAITING = "sessions.waiting"
    SESSIONS_MOVING = "sessions.moving"
    UNSAVED = "unsaved"
    PARTICIPANTS_LOBBY = "participants.lobby"
    PARTICIPANTS_PRESENT = "participants.present"
    PARTICIPANTS_RECONNECTING = "participants.reconnecting"
    RESIDENT = "resident"
    TASKS = "tasks"
    # What a ledger adds to what the actors of a node told.
    RESIDENT_MOST = "resident_most"
    ACTORS_REPORTING = "actors.yes"
    ACTORS_SILENT = "actors.no"
    # Of the ledger itself.
    WRITES_WAITING = "writes_waiting"
    LINKS_GATEWAY = "links.gateway"
    LINKS_SESSION = "links.session"
    LINKS_POOL = "links.pool"
    LINKS_KEEPER = "links.keeper"
    LEDGER_RESIDENT = "ledger_resident"
    # What its keeper found.
    ACCOUNT_FAULTS = "account_faults"


class Buckets:
    """The words of one histogram, and the word that adds up its microseconds."""

    def __init__(self, family: str, total: Count) -> None:
        self.words = tuple(each for each in Count if each.family == family)
        self.total = total
        self._bounds: Sequence[float] = [float(each.which) for each in self.words]

    def of(self, seconds: float) -> Count:
        """Return the word that counts something that took so long."""
        return self.words[bisect_left(self._bounds, seconds)]


LOOP = Buckets("loop", Count.LOOP_US)
"""How much later than it was due an event loop did something."""
APPEND = Buckets("append", Count.APPEND_US)
"""How long an append took at the ledger, from its arrival to its answer."""
