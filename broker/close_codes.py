"""Why a widget's WebSocket is closed, and after what the widget connects again by itself.

10xx as in RFC 6455 §7.4. The rest mirror HTTP, except that 4409 says one thing only: a newer
connection of the same widget has taken over.
"""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """Why a WebSocket was closed."""

    NORMAL = 1000
    GOING_AWAY = 1001
    ABNORMAL = 1006
    """Sent by nobody: what a browser says where no close frame came."""
    INTERNAL = 1011
    RESTARTING = 1012
    MALFORMED = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    UNKNOWN = 4404
    REPLACED = 4409
    ENDED = 4410
    TOO_FAST_OR_SLOW = 4429
    UNAVAILABLE = 4503


RETRYABLE_CLOSES = frozenset(
    {
        CloseCode.GOING_AWAY,
        CloseCode.ABNORMAL,
        CloseCode.INTERNAL,
        CloseCode.RESTARTING,
        CloseCode.TOO_FAST_OR_SLOW,
        CloseCode.UNAVAILABLE,
    }
)
"""After these a widget connects again by itself; after every other it does not."""
