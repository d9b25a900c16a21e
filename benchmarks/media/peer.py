"""One synthetic peer connection: a UDP socket, ICE checks, DTLS, SRTP keys.

Controlling and full, as a browser is towards an ICE-lite server. Set up on the event loop; after
that the pump owns the socket.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import dataclass, field

from aioice import stun
from OpenSSL import SSL

from actors.relay.dtls import Dtls, DtlsState
from actors.relay.identity import Identity
from actors.relay.pylibsrtp_private import Srtp
from benchmarks.media.description import Credentials, Remote

SO_TIMESTAMPNS = 35
RECEIVE_BUFFER = 4 * 1024 * 1024
CHECK_SECONDS = 0.1
CONNECT_SECONDS = 20.0
PRIORITY = 126 << 24 | 65535 << 8 | 255


class Certificate:
    """One certificate for all peers of a load: making one takes longer than a handshake."""

    def __init__(self, profile: str) -> None:
        """Offer only this SRTP profile (by its DTLS name), so that every server uses it."""
        identity = Identity()
        self.fingerprint = identity.fingerprint
        self.context: SSL.Context = identity.context
        self.context.set_tlsext_use_srtp(profile.encode("ascii"))


@dataclass(slots=True, eq=False)
class Peer:
    """One peer connection. Closed by the load."""

    certificate: Certificate
    own: Credentials = field(init=False)
    socket: socket.socket = field(init=False)
    remote: Remote = field(init=False)
    outbound: Srtp = field(init=False)
    inbound: Srtp = field(init=False)
    profile: str = ""
    checked: bool = False
    _dtls: Dtls | None = None
    _connected: asyncio.Future[None] | None = None

    def __post_init__(self) -> None:
        self.own = Credentials(
            secrets.token_hex(4), secrets.token_hex(16), self.certificate.fingerprint
        )
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind(("0.0.0.0", 0))

    async def connect(self, remote: Remote) -> None:
        """Check, shake hands, take the keys.

        Raises:
            TimeoutError: the server did not answer.
        """
        self.remote = remote
        self.socket.connect(remote.address)
        loop = asyncio.get_running_loop()
        self._connected = loop.create_future()
        # Whoever is active speaks first; an offer of `actpass` we answered with `active`.
        self._dtls = Dtls(
            self.certificate.context,
            {"sha-256": remote.fingerprint},
            server=remote.setup == "active",
        )
        loop.add_reader(self.socket.fileno(), self._readable)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while not self.checked:
                    self.check()
                    await asyncio.sleep(CHECK_SECONDS)
                if remote.setup != "active":
                    self._dtls.start()
                while not self._connected.done():
                    self._flush()
                    await asyncio.wait([self._connected], timeout=CHECK_SECONDS)
                    due = self._dtls.timeout()
                    if due is not None and due <= 0:
                        self._dtls.on_timeout()
        finally:
            loop.remove_reader(self.socket.fileno())
        self._flush()

    def check(self) -> None:
        """Send a nominating request; also what keeps consent alive later."""
        request = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes={
                "USERNAME": f"{self.remote.ufrag}:{self.own.ufrag}",
                "PRIORITY": PRIORITY,
                "ICE-CONTROLLING": 1,
                "USE-CANDIDATE": None,
            },
        )
        request.add_message_integrity(self.remote.password.encode())
        self.send(bytes(request))

    def send(self, data: bytes | memoryview) -> None:
        try:
            self.socket.send(data)
        except OSError:
            # Not there (yet), or a full buffer: what is missing is seen at the other end.
            pass

    def _readable(self) -> None:
        try:
            while True:
                self.control(self.socket.recv(2048))
        except OSError:
            return

    def control(self, data: bytes) -> None:
        """Take a STUN or DTLS datagram."""
        first = data[0] if data else 255
        if first < 2:
            self._stun(data)
        elif 19 < first < 64 and self._dtls is not None:
            self._dtls.receive(data)
            self._flush()
            self._take_keys()

    def _stun(self, data: bytes) -> None:
        message = stun.parse_message(data)
        if message.message_class == stun.Class.RESPONSE:
            self.checked = True
        elif message.message_class == stun.Class.REQUEST:
            response = stun.Message(
                message_method=stun.Method.BINDING,
                message_class=stun.Class.RESPONSE,
                transaction_id=message.transaction_id,
                attributes={"XOR-MAPPED-ADDRESS": self.remote.address},
            )
            response.add_message_integrity(self.own.password.encode())
            self.send(bytes(response))

    def _flush(self) -> None:
        assert self._dtls is not None
        for datagram in self._dtls.datagrams():
            self.send(datagram)

    def _take_keys(self) -> None:
        assert self._dtls is not None
        assert self._connected is not None
        if self._connected.done():
            return
        if self._dtls.state is DtlsState.FAILED:
            self._connected.set_exception(ConnectionError("the DTLS handshake failed"))
        keys = self._dtls.keys
        if self._dtls.state is DtlsState.CONNECTED and keys is not None:
            ours, theirs = keys.client, keys.server
            if self.remote.setup == "active":
                ours, theirs = theirs, ours
            self.profile = keys.profile.decode("ascii")
            self.outbound = Srtp(keys.profile, ours, inbound=False)
            self.inbound = Srtp(keys.profile, theirs, inbound=True)
            self._connected.set_result(None)

    def close(self) -> None:
        """Say goodbye and close the socket; a second close is harmless."""
        if self._dtls is not None and self.socket.fileno() >= 0:
            self._dtls.close()
            self._flush()
        self.socket.close()
