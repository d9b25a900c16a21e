"""The two ends of a link, sans I/O: handshake, calls, heartbeat bookkeeping.

The listening end speaks first with a nonce; the dialling end answers with its hello and a proof
over both, so a recorded hello is worth nothing (`docs/security.md`). After READY both ends may
call, notify and send; frames that are not this module's business go to `on_frame`.

An end owns its `FrameLink` and its pending calls. Time-outs, reconnecting and the choice of loop
are the shell's, which watches `heard` grow to know that the far end lives.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from broker.calls import (
    Calls,
    Promise,
    decode_call,
    decode_error,
    decode_notice,
    encode_error,
    encode_notice,
    encode_result,
)
from broker.errors import ErrorCode, Internal, SwitchboardError, Unauthenticated, Unavailable
from broker.trunk import (
    MAX_FRAME_BYTES,
    MAX_HELLO_BYTES,
    Frame,
    FrameLink,
    fits,
    open_hello,
    sealed_hello,
)

P = TypeVar("P", bound=Promise)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """How a call is answered, once; a later answer, or one on a lost link, goes nowhere."""

    link: FrameLink
    call_id: int

    def done(self, payload: bytes) -> None:
        """Answer with a result; one that no frame holds becomes a fault, and the link goes on."""
        body = encode_result(self.call_id, payload)
        if fits(body):
            self.link.send(Frame.RESULT, body)
        else:
            self.fault(Internal(ErrorCode.INTERNAL, "The answer is larger than a frame."))

    def fault(self, error: SwitchboardError) -> None:
        """Answer with an error of the tree."""
        self.link.send(Frame.FAULT, encode_result(self.call_id, encode_error(error)))


class LinkEnd(ABC, Generic[P]):
    """What both ends share once the handshake is over. Subclasses do the handshake.

    Attributes to set before connecting: `on_frame(end, kind, body)`, `on_call(end, method, payload,
    reply)`, `on_notice(end, method, payload)`, `on_lost(end)`, `on_drained(end)`, `on_pong(end)`.
    An end without a handler for a frame, call or notice closes: the far end is not what it claims.
    What `on_notice` raises is logged, and the link goes on.
    """

    def __init__(self, promise: Callable[[], P], limit: int = MAX_FRAME_BYTES) -> None:
        self.link = FrameLink(
            self._on_any_frame,
            self._on_link_lost,
            on_made=self._on_made,
            on_drained=self._on_link_drained,
            limit=limit,
        )
        self.calls: Calls[P] = Calls(self.link.send, promise)
        self.on_frame: Callable[[LinkEnd[P], Frame, bytes], None] | None = None
        self.on_call: Callable[[LinkEnd[P], str, bytes, Reply], None] | None = None
        self.on_notice: Callable[[LinkEnd[P], str, bytes], None] | None = None
        self.on_lost: Callable[[LinkEnd[P]], None] | None = None
        self.on_drained: Callable[[LinkEnd[P]], None] | None = None
        self.on_pong: Callable[[LinkEnd[P]], None] | None = None
        self.is_ready = False
        self.heard = 0
        """Frames received so far; the shell compares two readings."""
        self.pings = 0
        """Sent so far."""
        self.pongs = 0
        """Received so far, in the order of the pings. Each is behind what the far end had answered
        by then of what was sent before its ping: an answer that waits, for something to be durable
        say, may come behind it."""

    def call(self, method: str, payload: bytes) -> P:
        """Call the far end; the promise fails with the far end's error or when the link is lost."""
        return self.calls.call(method, payload)

    def notify(self, method: str, payload: bytes) -> bool:
        """Tell the far end something; False when the link is closed."""
        return self.link.send(Frame.NOTICE, encode_notice(method, payload))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.pings += 1
        self.link.send(Frame.PING)

    def close(self) -> None:
        """Close the link; pending calls fail when it is lost."""
        self.link.close()

    def _on_made(self, link: FrameLink) -> None:
        pass

    @abstractmethod
    def _on_handshake(self, kind: Frame, body: bytes) -> None: ...

    def _on_any_frame(self, link: FrameLink, kind: Frame, body: bytes) -> None:
        self.heard += 1
        if not self.is_ready:
            self._on_handshake(kind, body)
            return
        match kind:
            # First what comes most.
            case Frame.MESSAGE | Frame.CLOSE if self.on_frame is not None:
                self.on_frame(self, kind, body)
            case Frame.PING:
                link.send(Frame.PONG)
            case Frame.PONG:
                self.pongs += 1
                if self.on_pong is not None:
                    self.on_pong(self)
            case Frame.RESULT:
                self.calls.on_result(body)
            case Frame.FAULT:
                self.calls.on_fault(body)
            case Frame.CALL if self.on_call is not None:
                call_id, method, payload = decode_call(body)
                self.on_call(self, method, payload, Reply(link, call_id))
            case Frame.NOTICE if self.on_notice is not None:
                method, payload = decode_notice(body)
                try:
                    self.on_notice(self, method, payload)
                except Exception:
                    # One that cannot be read may come again on each new link, and end that, too.
                    _log.exception("A notice was not taken.", extra={"method": method})
            case _:
                link.abort()

    def _on_link_lost(self, link: FrameLink) -> None:
        self.calls.on_link_lost()
        if self.on_lost is not None:
            self.on_lost(self)

    def _on_link_drained(self, link: FrameLink) -> None:
        if self.on_drained is not None:
            self.on_drained(self)


class DiallingEnd(LinkEnd[P]):
    """The end that connects. `ready` becomes the READY body, or fails with why not."""

    def __init__(self, key: bytes, hello: bytes, promise: Callable[[], P]) -> None:
        super().__init__(promise)
        self._key = key
        self._hello = hello
        self.ready: P = promise()

    def _on_handshake(self, kind: Frame, body: bytes) -> None:
        match kind:
            case Frame.CHALLENGE:
                self.link.send(Frame.HELLO, sealed_hello(self._key, body, self._hello))
            case Frame.READY:
                self.is_ready = True
                if not self.ready.done():
                    self.ready.set_result(body)
            case Frame.REFUSED:
                if not self.ready.done():
                    self.ready.set_exception(decode_error(body))
                self.link.close()
            case _:
                self.link.abort()

    def _on_link_lost(self, link: FrameLink) -> None:
        if not self.ready.done():
            self.ready.set_exception(
                Unavailable(ErrorCode.SESSION_AWAY, "The link was lost during its handshake.")
            )
        super()._on_link_lost(link)


class ListeningEnd(LinkEnd[P]):
    """The end that was dialled.

    `on_hello(end, hello)` gets a hello whose proof held; it answers at once or later with
    `accept` or `refuse`. A wrong proof is refused without a reason, and a first frame above
    `MAX_HELLO_BYTES` cuts the link: strangers make nobody keep more.
    """

    def __init__(
        self,
        key: bytes,
        nonce: bytes,
        on_hello: Callable[[ListeningEnd[P], bytes], None],
        promise: Callable[[], P],
    ) -> None:
        super().__init__(promise, MAX_HELLO_BYTES)
        self._key = key
        self._nonce = nonce
        self._on_hello = on_hello
        self._greeted = False

    def accept(self, ready: bytes) -> None:
        """Finish the handshake."""
        self.is_ready = True
        self.link.send(Frame.READY, ready)

    def refuse(self, error: SwitchboardError) -> None:
        """Say why not, and close."""
        self.link.send(Frame.REFUSED, encode_error(error))
        self.link.close()

    def _on_made(self, link: FrameLink) -> None:
        link.send(Frame.CHALLENGE, self._nonce)

    def _on_handshake(self, kind: Frame, body: bytes) -> None:
        hello = open_hello(self._key, self._nonce, body) if kind is Frame.HELLO else None
        if self._greeted or hello is None:
            self.refuse(Unauthenticated(ErrorCode.TOKEN_INVALID, "The proof does not hold."))
            return
        self._greeted = True
        self.link.trust()
        self._on_hello(self, hello)
