"""Request and reply over a link, without I/O: numbering, pending calls, faults.

A CALL body is a 4-byte id, a length byte, the method's name and the payload; a RESULT is the id
and the payload; a FAULT is the id and a JSON error; a NOTICE is a length byte, name and payload.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

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
from broker.trunk import Frame, fits

MAX_PENDING = 20_000
_CLASSES: dict[str, type[SwitchboardError]] = {
    cls.__name__: cls
    for cls in (
        Malformed,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        Gone,
        TooFast,
        Unavailable,
        Internal,
    )
}


class Promise(Protocol):
    """The part of a future that a reply fulfils."""

    def done(self) -> bool: ...
    def set_result(self, result: bytes) -> None: ...
    def set_exception(self, exception: BaseException) -> None: ...


P = TypeVar("P", bound=Promise)


def encode_call(call_id: int, method: str, payload: bytes) -> bytes:
    """Build the body of a CALL frame."""
    return call_id.to_bytes(4, "big") + encode_notice(method, payload)


def decode_call(body: bytes) -> tuple[int, str, bytes]:
    """Read the body of a CALL frame: id, method, payload."""
    method, payload = decode_notice(body[4:])
    return int.from_bytes(body[:4], "big"), method, payload


def encode_notice(method: str, payload: bytes) -> bytes:
    """Build the body of a NOTICE frame."""
    name = method.encode("ascii")
    return bytes((len(name),)) + name + payload


def decode_notice(body: bytes) -> tuple[str, bytes]:
    """Read the body of a NOTICE frame: method, payload."""
    end = 1 + body[0]
    return body[1:end].decode("ascii"), body[end:]


def encode_result(call_id: int, payload: bytes) -> bytes:
    """Build the body of a RESULT frame."""
    return call_id.to_bytes(4, "big") + payload


def encode_error(error: SwitchboardError) -> bytes:
    """Write an error of the tree as JSON, for FAULT and REFUSED frames."""
    return json.dumps([type(error).__name__, str(error.code.value), error.message]).encode()


def decode_error(data: bytes) -> SwitchboardError:
    """Read an error of the tree; one from a newer release becomes `Internal`."""
    name, code, message = json.loads(data)
    try:
        return _CLASSES[name](ErrorCode(code), message)
    except (KeyError, ValueError):
        return Internal(ErrorCode.INTERNAL, message)


class Calls(Generic[P]):
    """The calls of one link that wait for their reply.

    `send` writes a frame, `promise` makes a future of the caller's loop. Time-outs are the
    caller's: a promise that is done already is left alone.
    """

    def __init__(self, send: Callable[[Frame, bytes], bool], promise: Callable[[], P]) -> None:
        self._send = send
        self._promise = promise
        self._pending: dict[int, P] = {}
        self._next = 0

    def call(self, method: str, payload: bytes) -> P:
        """Send a call and return the promise of its reply."""
        promise = self._promise()
        if len(self._pending) >= MAX_PENDING:
            promise.set_exception(
                Unavailable(ErrorCode.LEDGER_AWAY, "Too many calls wait for a reply.")
            )
            return promise
        self._next = (self._next + 1) & 0xFFFFFFFF
        body = encode_call(self._next, method, payload)
        if not fits(body):
            promise.set_exception(
                Internal(ErrorCode.INTERNAL, f"The call {method} is larger than a frame.")
            )
            return promise
        self._pending[self._next] = promise
        if not self._send(Frame.CALL, body):
            del self._pending[self._next]
            promise.set_exception(Unavailable(ErrorCode.LEDGER_AWAY, "The link is closed."))
        return promise

    def on_result(self, body: bytes) -> None:
        """Take a RESULT frame."""
        promise = self._pending.pop(int.from_bytes(body[:4], "big"), None)
        if promise is not None and not promise.done():
            promise.set_result(body[4:])

    def on_fault(self, body: bytes) -> None:
        """Take a FAULT frame."""
        promise = self._pending.pop(int.from_bytes(body[:4], "big"), None)
        if promise is not None and not promise.done():
            promise.set_exception(decode_error(body[4:]))

    def on_link_lost(self) -> None:
        """Fail everything that waits."""
        pending, self._pending = self._pending, {}
        for promise in pending.values():
            if not promise.done():
                promise.set_exception(Unavailable(ErrorCode.LEDGER_AWAY, "The link was lost."))
