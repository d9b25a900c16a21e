"""Sans-I/O framing of trunks and ledger links.

A frame is a 4-byte big-endian length of what follows, a kind byte, and a body. Widget messages
travel as they came from the WebSocket, so neither end of a trunk reads JSON to forward it.

`FrameLink` has the methods of an `asyncio.Protocol` without importing asyncio: hand it to any
loop, or feed it bytes in a test.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from enum import IntEnum
from struct import Struct
from typing import Protocol

from broker.errors import ErrorCode, Malformed

MAX_FRAME_BYTES = 4 * 1024 * 1024
MAX_HELLO_BYTES = 64 * 1024
"""A frame of somebody who has proved nothing yet. A hello has the claims of one token (8 KiB at
most) and the ids of one engagement (eight of 128 characters)."""
NONCE_BYTES = 32
_HEADER_BYTES = 4
_HEAD = Struct(">IB")
"""Length of what follows it, kind included, and the kind."""


class Frame(IntEnum):
    """What a frame is. CHALLENGE to REFUSED make the handshake, CALL to NOTICE a ledger link."""

    CHALLENGE = 1
    HELLO = 2
    READY = 3
    REFUSED = 4
    MESSAGE = 5
    PING = 6
    PONG = 7
    CLOSE = 8
    CALL = 9
    RESULT = 10
    FAULT = 11
    NOTICE = 12


_KINDS = {int(kind): kind for kind in Frame}


def encode_frame(kind: Frame, body: bytes = b"") -> bytes:
    """Put one frame into bytes."""
    return _HEAD.pack(len(body) + 1, kind) + body


def fits(body: bytes) -> bool:
    """Whether the far end takes a frame with this body; it cuts the link for a larger one."""
    return len(body) < MAX_FRAME_BYTES


class FrameDecoder:
    """Bytes in, frames out; holds at most one incomplete frame."""

    def __init__(self, limit: int = MAX_FRAME_BYTES) -> None:
        self.limit = limit
        """Bytes of a frame at most, kind included; holds for what is fed from now on."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[Frame, bytes]]:
        """Take bytes as they came and return the frames that are now complete.

        Raises:
            Malformed: an unknown kind, or a frame above the limit. The stream is lost then.
        """
        buffer = self._buffer
        if not buffer and len(data) > _HEADER_BYTES:
            length, number = _HEAD.unpack_from(data)
            kind = _KINDS.get(number)
            if kind is not None and length == len(data) - _HEADER_BYTES and length <= self.limit:
                # The usual case: one frame, whole, and nothing else.
                return [(kind, data[_HEADER_BYTES + 1 :])]
        buffer += data
        frames: list[tuple[Frame, bytes]] = []
        start = 0
        available = len(buffer)
        while available - start >= _HEADER_BYTES:
            length = int.from_bytes(buffer[start : start + _HEADER_BYTES], "big")
            if not 1 <= length <= self.limit:
                raise Malformed(ErrorCode.MALFORMED, "The frame's length is out of bounds.")
            end = start + _HEADER_BYTES + length
            if available < end:
                break
            kind = _KINDS.get(buffer[start + _HEADER_BYTES])
            if kind is None:
                raise Malformed(ErrorCode.MALFORMED, "The frame is of no known kind.")
            frames.append((kind, bytes(buffer[start + _HEADER_BYTES + 1 : end])))
            start = end
        if start:
            del buffer[:start]
        return frames


def prove(key: bytes, nonce: bytes, hello: bytes) -> bytes:
    """Prove that the dialler knows the cluster's trunk key: 32 bytes, good for one nonce only."""
    return hmac.digest(key, b"switchboard trunk\x00" + nonce + hello, hashlib.sha256)


def sealed_hello(key: bytes, nonce: bytes, hello: bytes) -> bytes:
    """Build the body of a HELLO frame: proof, then the hello it proves."""
    return prove(key, nonce, hello) + hello


def open_hello(key: bytes, nonce: bytes, body: bytes) -> bytes | None:
    """Return the hello when its proof holds for this nonce, else `None`."""
    proof, hello = body[:32], body[32:]
    return hello if hmac.compare_digest(proof, prove(key, nonce, hello)) else None


class ByteTransport(Protocol):
    """What a link needs of an `asyncio.Transport`."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool: ...
    def get_write_buffer_size(self) -> int: ...


class FrameLink:
    """One end of a trunk or ledger link.

    Either end may close it; `on_lost` is told exactly once. Closing closes nothing else. A frame
    that cannot be read closes the link: the stream has lost its step.
    """

    def __init__(
        self,
        on_frame: Callable[[FrameLink, Frame, bytes], None],
        on_lost: Callable[[FrameLink], None],
        *,
        on_made: Callable[[FrameLink], None] | None = None,
        on_drained: Callable[[FrameLink], None] | None = None,
        limit: int = MAX_FRAME_BYTES,
    ) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._on_made = on_made
        self._on_drained = on_drained
        self._decoder = FrameDecoder(limit)
        self._transport: ByteTransport | None = None
        self._lost = False
        self._given_up = False
        self.writable = True
        """False between the transport's pause and resume: the far side is slow."""

    def connection_made(self, transport: ByteTransport) -> None:
        self._transport = transport
        if self._given_up:
            transport.abort()
            return
        if self._on_made is not None:
            self._on_made(self)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
        except Malformed:
            self.abort()
            return
        for kind, body in frames:
            if self._lost:
                return
            self._on_frame(self, kind, body)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self._on_drained is not None:
            self._on_drained(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._on_lost(self)

    def trust(self) -> None:
        """Take frames of any size that there may be: the far end has proved who it is."""
        self._decoder.limit = MAX_FRAME_BYTES

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._lost or self._transport is None or self._transport.is_closing()

    @property
    def unsent_bytes(self) -> int:
        """Bytes handed over and not yet taken by the kernel."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, kind: Frame, body: bytes = b"") -> bool:
        """Write one frame; False when the link is closed already."""
        transport = self._transport
        if self._lost or transport is None or transport.is_closing():
            return False
        transport.write(encode_frame(kind, body))
        return True

    def close(self) -> None:
        """End the link after what was written, or as soon as it is made; harmless when closed."""
        self._given_up = True
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the link at once, or as soon as it is made, dropping what was not sent."""
        self._given_up = True
        if self._transport is not None:
            self._transport.abort()
