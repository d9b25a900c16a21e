"""A participant who sends far too much: valid SRTP, from a process of its own.

`python -m tests.relay.overdoing JSON` sends what `Voice` says through a socket that it inherits.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NoReturn

from actors.relay import PublishSource
from actors.relay.pylibsrtp_private import Buffer, Srtp
from actors.relay.rtp import MID_URI, TRANSPORT_CC_URI
from benchmarks.media.packet import element, write

from .flooding import keep_sending, running

if TYPE_CHECKING:
    from .client import CraftedClient

_PAYLOAD = bytes(80)


@dataclass(frozen=True, slots=True)
class Voice:
    """A microphone's stream with its keys, and the socket it leaves from; bytes are in hex."""

    descriptor: int
    port: int
    rate: int
    """Packets a second."""
    profile: str
    key: str
    payload_type: int
    ssrc: int
    sequence: int
    timestamp: int
    mid_element: str
    counter_id: int
    """Id of the header extension with the transport-wide number."""


def overdo(voice: Voice) -> NoReturn:
    """Send until the process is ended."""
    srtp = Srtp(voice.profile.encode(), bytes.fromhex(voice.key), inbound=False)
    buffer = Buffer()
    mid = bytes.fromhex(voice.mid_element)
    out = socket.socket(fileno=voice.descriptor)
    number = 0

    def send() -> None:
        nonlocal number
        number += 1
        elements = mid + element(voice.counter_id, (number & 0xFFFF).to_bytes(2, "big"))
        sequence = voice.sequence + number & 0xFFFF
        timestamp = voice.timestamp + number * 48_000 // voice.rate & 0xFFFFFFFF
        size = write(
            buffer.view,
            voice.payload_type,
            sequence,
            timestamp,
            voice.ssrc,
            elements,
            _PAYLOAD,
        )
        size = srtp.protect(buffer, size)
        out.sendto(buffer.view[:size], ("127.0.0.1", voice.port))

    keep_sending(send, voice.rate)


def voice_of(client: CraftedClient, rate: int) -> Voice:
    """Continue the client's own voice at another rate; it must not send by itself meanwhile."""
    track = client.track(PublishSource.MICROPHONE)
    numbers = client.dialect.extensions
    assert client.keys is not None
    return Voice(
        client.fileno,
        client.relay.port,
        rate,
        client.keys.profile.decode(),
        client.keys.outbound.hex(),
        track.payload_type,
        track.ssrc,
        track.sequence,
        track.timestamp,
        element(numbers[MID_URI], track.mid.encode()).hex(),
        numbers[TRANSPORT_CC_URI],
    )


@contextmanager
def overdoing(client: CraftedClient, rate: int) -> Iterator[None]:
    """Let another process send so many packets a second as this client's voice."""
    voice = voice_of(client, rate)
    with running("tests.relay.overdoing", [json.dumps(asdict(voice))], [voice.descriptor]):
        yield


if __name__ == "__main__":
    print("overdoing it", flush=True)
    overdo(Voice(**json.loads(sys.argv[1])))
