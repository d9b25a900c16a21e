"""One synthetic peer of a load: an association with a UDP socket and SRTP in place.

Set up on the event loop; after that the pump owns the socket.
"""

from __future__ import annotations

import asyncio
import socket

from actors.relay.network.pylibsrtp_private import Srtp
from benchmarks.media.association import Association, Certificate, Keys
from benchmarks.media.remote import Remote

SO_TIMESTAMPNS = 35
RECEIVE_BUFFER = 4 * 1024 * 1024
CONNECT_SECONDS = 20.0


class Peer(Association):
    """One peer connection. Closed by the load."""

    def __init__(self, certificate: Certificate) -> None:
        super().__init__(certificate)
        self.outbound: Srtp
        self.inbound: Srtp
        self.profile = ""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(("0.0.0.0", 0))

    async def connect(self, remote: Remote) -> None:
        """Check, shake hands, take the keys.

        Raises:
            TimeoutError: the server did not answer.
            ConnectionError: the handshake failed.
        """
        self.remote = remote
        self.socket.connect(remote.address)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.socket.fileno(), self._readable)
        try:
            await self.associate(CONNECT_SECONDS)
        finally:
            loop.remove_reader(self.socket.fileno())

    def send(self, data: bytes | memoryview) -> None:
        try:
            self.socket.send(data)
        except OSError:
            # Not there (yet), or a full buffer: what is missing is seen at the other end.
            pass

    def keyed(self, keys: Keys) -> None:
        self.profile = keys.profile.decode("ascii")
        self.outbound = Srtp(keys.profile, keys.outbound, inbound=False)
        self.inbound = Srtp(keys.profile, keys.inbound, inbound=True)

    def _readable(self) -> None:
        try:
            while True:
                self.receive(self.socket.recv(2048))
        except OSError:
            return

    def close(self) -> None:
        """Say goodbye and close the socket; a second close is harmless."""
        if self.socket.fileno() >= 0:
            self.say_goodbye()
        self.socket.close()
