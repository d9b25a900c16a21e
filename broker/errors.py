"""Everything Switchboard refuses, as one tree of exceptions.

SwitchboardError
├── Malformed         the message is not what the protocol says        (do not retry)
├── Unauthenticated   no proof, or a proof that does not hold          (get a new token)
├── Forbidden         a known caller without the right                 (do not retry)
├── NotFound          nothing here by that id                          (do not retry)
├── Conflict          the state does not allow it now                  (look again first)
│   └── Busy          the same is being done this moment               (retry)
├── Gone              it existed and has ended                         (do not retry)
├── TooFast           a limit of rate or number                        (retry later)
├── Unavailable       a part is away or full                           (retry)
└── Internal          our own mistake                                  (report)

The class answers "what should the caller do"; `code` says exactly what happened and never changes
between releases. The gateway maps classes to HTTP status and close codes in one table.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """Stable codes, as they stand on the wire."""

    MALFORMED = "malformed"
    MESSAGE_TOO_LARGE = "message_too_large"
    BINARY_FRAME = "binary_frame"
    HELLO_EXPECTED = "hello_expected"
    PROTOCOL_UNSUPPORTED = "protocol_unsupported"
    OFFER_INVALID = "offer_invalid"
    OFFER_TOO_LARGE = "offer_too_large"
    OFFER_WITHOUT_MEDIA = "offer_without_media"
    NO_COMMON_CODEC = "no_common_codec"

    TOKEN_MISSING = "token_missing"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_INVALID = "token_invalid"
    HELLO_TIMEOUT = "hello_timeout"

    ORIGIN_REFUSED = "origin_refused"
    NOT_PERMITTED = "not_permitted"
    CONSUMER_CONFLICT = "consumer_conflict"

    UNKNOWN_SESSION = "unknown_session"
    UNKNOWN_PARTICIPANT = "unknown_participant"
    UNKNOWN_INVITATION = "unknown_invitation"
    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_NODE = "unknown_node"
    UNKNOWN_ENTRY = "unknown_entry"

    ALREADY_LIVE = "already_live"
    NOT_IN_SESSION = "not_in_session"
    NO_INVITATION = "no_invitation"
    INVITATION_OPEN = "invitation_open"
    INVITATION_CLOSED = "invitation_closed"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REPLACED = "replaced"
    STALE_EPOCH = "stale_epoch"

    SESSION_ENDED = "session_ended"
    WITHDRAWN = "withdrawn"
    LINK_USED = "link_used"

    RATE_LIMITED = "rate_limited"
    TOO_SLOW = "too_slow"
    TOO_MANY_LINKS = "too_many_links"
    SESSION_FULL = "session_full"

    NO_CAPACITY = "no_capacity"
    LEDGER_AWAY = "ledger_away"
    SESSION_AWAY = "session_away"
    SHUTTING_DOWN = "shutting_down"

    INTERNAL = "internal"


class SwitchboardError(Exception):
    """Root of the tree: a stable `code`, a plain sentence, and whether trying again may help."""

    retryable: ClassVar[bool] = False

    def __init__(self, code: ErrorCode, message: str) -> None:
        # Both arguments stay in `args`, so that every error survives pickling between actors.
        super().__init__(code, message)
        self.code = ErrorCode(code)
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Malformed(SwitchboardError):
    """The message is not what the protocol says it should be."""


class Unauthenticated(SwitchboardError):
    """No proof of identity, or one that does not hold."""


class Forbidden(SwitchboardError):
    """The caller is known and may not do this."""


class NotFound(SwitchboardError):
    """Nothing here goes by that id."""


class Conflict(SwitchboardError):
    """The present state does not allow it."""


class Busy(Conflict):
    """The same is being done this moment; in another it is done."""

    retryable = True


class Gone(SwitchboardError):
    """It existed and has ended."""


class TooFast(SwitchboardError):
    """A limit of rate or number was reached."""

    retryable = True


class Unavailable(SwitchboardError):
    """A part of the system is away or full."""

    retryable = True


class Internal(SwitchboardError):
    """A mistake of ours; the details are in the log, never in the message."""
