"""What a refusal looks like from outside: HTTP status, WebSocket close code, problem details.

The one table that maps classes of `broker.errors` to numbers.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from broker.close_codes import CloseCode
from broker.errors import (
    Conflict,
    ErrorCode,
    Forbidden,
    Gone,
    Internal,
    Malformed,
    NotFound,
    SwitchboardError,
    TooFast,
    Unauthenticated,
    Unavailable,
)
from broker.messages import encode
from broker.messages.facts import RequestRefused

REFUSALS: dict[type[SwitchboardError], tuple[HTTPStatus, CloseCode]] = {
    Malformed: (HTTPStatus.BAD_REQUEST, CloseCode.MALFORMED),
    Unauthenticated: (HTTPStatus.UNAUTHORIZED, CloseCode.UNAUTHENTICATED),
    Forbidden: (HTTPStatus.FORBIDDEN, CloseCode.FORBIDDEN),
    NotFound: (HTTPStatus.NOT_FOUND, CloseCode.UNKNOWN),
    Conflict: (HTTPStatus.CONFLICT, CloseCode.FORBIDDEN),
    Gone: (HTTPStatus.GONE, CloseCode.ENDED),
    TooFast: (HTTPStatus.TOO_MANY_REQUESTS, CloseCode.TOO_FAST_OR_SLOW),
    Unavailable: (HTTPStatus.SERVICE_UNAVAILABLE, CloseCode.UNAVAILABLE),
    Internal: (HTTPStatus.INTERNAL_SERVER_ERROR, CloseCode.INTERNAL),
}

OTHER_CLOSES = {
    ErrorCode.REPLACED: CloseCode.REPLACED,
    # The session is somewhere else by now: whoever connects again finds it.
    ErrorCode.STALE_EPOCH: CloseCode.UNAVAILABLE,
}
"""Codes that end a connection otherwise than their class: widgets act on the close code alone."""


def status_of(error: SwitchboardError) -> HTTPStatus:
    """Return the HTTP status of an error."""
    return REFUSALS[_class_of(error)][0]


def close_code_of(error: SwitchboardError) -> CloseCode:
    """Return the close code of an error."""
    return OTHER_CLOSES.get(error.code, REFUSALS[_class_of(error)][1])


def problem(error: SwitchboardError) -> dict[str, Any]:
    """Write an error as problem details (RFC 9457)."""
    status = status_of(error)
    return {
        "type": f"urn:switchboard:problem:{error.code}",
        "title": status.phrase,
        "status": int(status),
        "detail": error.message,
        "code": str(error.code),
        "retryable": error.retryable,
    }


def refused(error: SwitchboardError, reply_to: str | None) -> bytes:
    """Write an error as the `request.refused` message of a widget's WebSocket."""
    return encode(
        RequestRefused(
            reply_to=reply_to,
            code=ErrorCode(error.code),
            message=error.message,
            retryable=error.retryable,
        )
    )


def _class_of(error: SwitchboardError) -> type[SwitchboardError]:
    for cls in type(error).__mro__:
        if cls in REFUSALS:
            return cls
    return Internal
