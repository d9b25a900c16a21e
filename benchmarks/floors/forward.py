"""The floor of forwarding: a bare loop of receive, unprotect, protect, send.

`python -m benchmarks.floors.forward PARTICIPANTS SECRET`. No ICE, no handshake, nothing rewritten,
no feedback, one blocking system call per packet: what Python and libsrtp take at the least when
packets come one by one. Participants make themselves known by one datagram with their number.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading

from actors.relay.network.pylibsrtp_private import PROFILES, Buffer, Srtp
from benchmarks.serving import say_ready


def srtp(profile: str, secret: str, participant: int, *, inbound: bool, up: bool) -> Srtp:
    """Derive one direction of one participant's SRTP; both ends know the secret."""
    name = profile.encode("ascii")
    _, key, salt = PROFILES[name]
    text = f"{secret} {participant} {'up' if up else 'down'}"
    return Srtp(name, hashlib.sha512(text.encode()).digest()[: key + salt], inbound=inbound)


def forward(bound: socket.socket, participants: int, secret: str, profile: str) -> None:
    """Forward for ever."""
    buffer, copy = Buffer(), Buffer()
    inbound = [srtp(profile, secret, p, inbound=True, up=True) for p in range(participants)]
    outbound = [srtp(profile, secret, p, inbound=False, up=False) for p in range(participants)]
    numbers: dict[tuple[str, int], int] = {}
    view, out = buffer.view, copy.view
    while True:
        size, address = bound.recvfrom_into(view)
        if size == 1:
            numbers[address] = view[0]
            continue
        if not 127 < view[0] < 192 or 192 <= view[1] <= 223:
            continue
        sender = numbers[address]
        size = inbound[sender].unprotect(buffer, size)
        if not size:
            continue
        for address, number in numbers.items():
            if number != sender:
                out[:size] = view[:size]
                bound.sendto(out[: outbound[number].protect(copy, size)], address)


def main(participants: int, secret: str, profile: str) -> None:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * 1024 * 1024)
    bound.bind(("127.0.0.1", 0))
    threading.Thread(
        target=forward, args=(bound, participants, secret, profile), daemon=True
    ).start()
    say_ready(address=f"127.0.0.1:{bound.getsockname()[1]}:{secret}")
    try:
        while os.read(0, 4096):
            continue
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
