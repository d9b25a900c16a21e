"""Floods from a process of their own.

`python -m tests.relay.flooding DESCRIPTORS HEX PORT RATE COUNT` sends what it is told through
sockets that it inherits, and keeps how much in the file of the descriptor COUNT.
"""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

_PAUSE = 0.001
_COUNT = struct.Struct("!Q")
_FULL = (errno.EAGAIN, errno.ENOBUFS)
ROOT = Path(__file__).parents[2]


def keep_sending(send: Callable[[], object], rate: int, count: int) -> NoReturn:
    """Call `send` so many times a second until the process is ended.

    How often so far stands in the file of the descriptor `count`. A full buffer is waited out;
    whatever else hinders it ends the process, which `running` sees.
    """
    began = time.monotonic()
    sent = 0
    while True:
        due = int((time.monotonic() - began) * rate)
        try:
            while sent < due:
                send()
                sent += 1
        except OSError as error:
            if error.errno not in _FULL:
                raise
        os.pwrite(count, _COUNT.pack(sent), 0)
        time.sleep(_PAUSE)


def flood(
    sockets: Sequence[socket.socket], packets: Sequence[bytes], port: int, rate: int, count: int
) -> NoReturn:
    """Send `rate` datagrams a second, each packet and each socket in its turn."""
    turns = zip(itertools.cycle(sockets), itertools.cycle(packets), strict=True)

    def send() -> None:
        out, packet = next(turns)
        data = bytearray(packet)
        if 127 < data[0] < 192:
            # Another packet each time, as far as a receiver without the key can tell.
            data[2:8] = os.urandom(6)
        out.sendto(data, ("127.0.0.1", port))

    keep_sending(send, rate, count)


@contextmanager
def running(
    module: str, arguments: Sequence[str], descriptors: Sequence[int]
) -> Iterator[Callable[[], int]]:
    """Run a module in another process that inherits these sockets, from its first line on.

    Its last argument is the descriptor of a file in which it keeps how much it has sent; what is
    returned reads that. It says a line when it begins and must not end by itself.
    """
    with tempfile.TemporaryFile() as file:
        count = file.fileno()
        os.pwrite(count, _COUNT.pack(0), 0)
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, str(count)],
            cwd=ROOT,
            pass_fds=(*descriptors, count),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            assert process.stdout.readline(), f"{module} has not begun"
            yield lambda: int(_COUNT.unpack(os.pread(count, _COUNT.size, 0))[0])
            assert process.poll() is None, f"{module} ended before its time"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@contextmanager
def flooded(
    sockets: Sequence[socket.socket], packets: Sequence[bytes], port: int, rate: int
) -> Iterator[Callable[[], int]]:
    """Let another process flood a port through these sockets; gives how much it has sent."""
    numbers = [s.fileno() for s in sockets]
    arguments = [
        ",".join(map(str, numbers)),
        ",".join(packet.hex() for packet in packets),
        str(port),
        str(rate),
    ]
    with running("tests.relay.flooding", arguments, numbers) as sent:
        yield sent


def unlike_sources(count: int) -> list[socket.socket]:
    """Open sockets on many of loopback's addresses: what spoofed sources look like."""
    opened = []
    for index in range(count):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((socket.inet_ntoa(struct.pack("!I", 0x7F010000 + index)), 0))
        opened.append(one)
    return opened


if __name__ == "__main__":
    handles, hexes, to, per_second, count_file = sys.argv[1:]
    print("flooding", flush=True)
    flood(
        [socket.socket(fileno=int(number)) for number in handles.split(",")],
        [bytes.fromhex(each) for each in hexes.split(",")],
        int(to),
        int(per_second),
        int(count_file),
    )
