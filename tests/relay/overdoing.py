"""A participant who sends far too much: valid SRTP, from a process of its own.

`python -m tests.relay.overdoing JSON COUNT` sends as the `Microphone` of its JSON says, and keeps
how much in the file of the descriptor COUNT.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NoReturn

from actors.relay import PublishSource
from actors.relay.network.pylibsrtp_private import Buffer, Srtp
from actors.relay.wire.rtp import MID_URI, TRANSPORT_CC_URI
from benchmarks.media.packet import element, write

from .flooding import keep_sending, running

if TYPE_CHECKING:
    from .client import CraftedClient

_PAYLOAD = bytes(80)


@dataclass(frozen=True, slots=True)
class Microphone:
    """What its stream is numbered and keyed by, and the socket it leaves from; bytes are in hex."""

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


def overdo(microphone: Microphone, count: int) -> NoReturn:
    """Send until the process is ended."""
    srtp = Srtp(microphone.profile.encode(), bytes.fromhex(microphone.key), inbound=False)
    buffer = Buffer()
    mid = bytes.fromhex(microphone.mid_element)
    out = socket.socket(fileno=microphone.descriptor)
    number = 0

    def send() -> None:
        nonlocal number
        number += 1
        elements = mid + element(microphone.counter_id, (number & 0xFFFF).to_bytes(2, "big"))
        sequence = microphone.sequence + number & 0xFFFF
        timestamp = microphone.timestamp + number * 48_000 // microphone.rate & 0xFFFFFFFF
        size = write(
            buffer.view,
            microphone.payload_type,
            sequence,
            timestamp,
            microphone.ssrc,
            elements,
            _PAYLOAD,
        )
        size = srtp.protect(buffer, size)
        out.sendto(buffer.view[:size], ("127.0.0.1", microphone.port))

    keep_sending(send, microphone.rate, count)


def microphone_of(client: CraftedClient, rate: int) -> Microphone:
    """Continue the client's own stream at another rate; it must not send by itself meanwhile."""
    track = client.track(PublishSource.MICROPHONE)
    numbers = client.dialect.extensions
    assert client.keys is not None
    return Microphone(
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
def overdoing(client: CraftedClient, rate: int) -> Iterator[Callable[[], int]]:
    """Let another process send so many packets a second as this client's microphone.

    Gives how many it has sent.
    """
    microphone = microphone_of(client, rate)
    with running(
        "tests.relay.overdoing", [json.dumps(asdict(microphone))], [microphone.descriptor]
    ) as sent:
        yield sent


if __name__ == "__main__":
    print("overdoing it", flush=True)
    overdo(Microphone(**json.loads(sys.argv[1])), int(sys.argv[2]))
