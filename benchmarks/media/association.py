"""The far end of one transport, without a socket: ICE checks, the DTLS handshake, its keys.

Controlling and full, as a browser is towards an ICE-lite server (RFC 8445 §6.1.1). The load's
peers and the crafted clients of the relay's tests are associations with a socket of their own.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass

from aioice import stun
from OpenSSL import SSL

from actors.relay.network.dtls import Dtls, DtlsState
from actors.relay.network.identity import Identity
from benchmarks.media.description import Credentials
from benchmarks.media.remote import Remote

PRIORITY = 126 << 24 | 65535 << 8 | 255
REPEAT_SECONDS = 0.1
"""Between two checks, or two looks at a handshake, that have not been answered."""


class Certificate:
    """A certificate and what a handshake offers; a load shares one, for each costs a while."""

    def __init__(self, profile: str | None = None) -> None:
        """Offer only this SRTP profile (by its DTLS name), so that every server uses it."""
        identity = Identity()
        self.fingerprint = identity.fingerprint
        self.context: SSL.Context = identity.context
        if profile is not None:
            self.context.set_tlsext_use_srtp(profile.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Keys:
    """What a handshake gave: the SRTP profile's DTLS name, each direction's key with its salt."""

    profile: bytes
    outbound: bytes
    inbound: bytes


class Association(ABC):
    """One peer connection's far end. Whoever has the socket implements `send` and `keyed`."""

    repeats_flights = True
    """Whether a flight of the handshake that finds no answer is repeated from this end."""

    def __init__(self, certificate: Certificate) -> None:
        self.certificate = certificate
        self.own = Credentials(secrets.token_hex(4), secrets.token_hex(16), certificate.fingerprint)
        self.remote = Remote()
        """What the other side's description said."""
        self.keys: Keys | None = None
        self.nominates = True
        self.answers_checks = True
        self.checks_answered = 0
        self.checks_received = 0
        self.mapped: tuple[str, int] | None = None
        """What the last answered check said this end's address is."""
        self._tie_breaker = secrets.randbits(64)
        self._dtls: Dtls | None = None
        self._news = asyncio.Event()

    @abstractmethod
    def send(self, data: bytes | memoryview) -> None:
        """Let one datagram go; what cannot be sent is lost."""

    @abstractmethod
    def keyed(self, keys: Keys) -> None:
        """Take the keys as soon as the handshake has given them."""

    async def associate(self, within: float) -> None:
        """Check until there is an answer, then shake hands until there are keys.

        Raises:
            TimeoutError: the other side did not answer.
            ConnectionError: the handshake failed.
        """
        async with asyncio.timeout(within):
            while not self.checks_answered:
                self.send_check()
                await self._wait_for_datagram(REPEAT_SECONDS)
            self.start_dtls()
            while self.keys is None:
                await self._wait_for_datagram(REPEAT_SECONDS)
                self._drive_handshake()

    async def _wait_for_datagram(self, within: float) -> None:
        """Wait until a datagram was taken, or so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._news.wait()
        self._news.clear()

    def receive(self, data: bytes) -> None:
        """Take a STUN or DTLS datagram; what is neither is ignored."""
        first = data[0] if data else 255
        if first < 2:
            self._stun(data)
        elif 19 < first < 64:
            self._flight(data)
        self._news.set()

    # -- ICE -----------------------------------------------------------------------------------

    def check(self, *, nominate: bool | None = None, password: str | None = None) -> bytes:
        """Make a Binding request; `password` other than the remote one makes a forged one."""
        attributes: dict[str, object] = {
            "USERNAME": f"{self.remote.ufrag}:{self.own.ufrag}",
            "PRIORITY": PRIORITY,
            "ICE-CONTROLLING": self._tie_breaker,
        }
        if self.nominates if nominate is None else nominate:
            attributes["USE-CANDIDATE"] = None
        request = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            attributes=attributes,
        )
        request.add_message_integrity((password or self.remote.password).encode())
        return bytes(request)

    def send_check(self, *, nominate: bool | None = None) -> None:
        """Send a check; also what keeps consent alive (RFC 7675)."""
        self.send(self.check(nominate=nominate))

    def _stun(self, data: bytes) -> None:
        message = stun.parse_message(data)
        if message.message_class == stun.Class.RESPONSE:
            if message.check_message_integrity(self.remote.password.encode()):
                self.checks_answered += 1
                self.mapped = message.attributes["XOR-MAPPED-ADDRESS"]
        elif message.message_class == stun.Class.REQUEST:
            if message.check_message_integrity(self.own.password.encode()):
                self.checks_received += 1
                if self.answers_checks:
                    self._answer(message)

    def _answer(self, request: stun.Message) -> None:
        response = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
            attributes={"XOR-MAPPED-ADDRESS": self.remote.address},
        )
        response.add_message_integrity(self.own.password.encode())
        self.send(bytes(response))

    # -- DTLS ----------------------------------------------------------------------------------

    def start_dtls(self) -> None:
        """Begin a handshake, a new one each time; nothing where the other side begins it."""
        if self.remote.setup != "active":
            self._dtls = self._endpoint(server=False)
            self._dtls.start()
            self._flush()

    def _endpoint(self, *, server: bool) -> Dtls:
        fingerprints = {"sha-256": self.remote.fingerprint}
        return Dtls(self.certificate.context, fingerprints, server=server)

    def _flight(self, data: bytes) -> None:
        if self._dtls is None:
            # Whoever is active speaks first (RFC 5763 §5).
            if self.remote.setup != "active":
                return
            self._dtls = self._endpoint(server=True)
        self._dtls.receive(data)
        self._flush()
        keys = self._dtls.keys
        if self._dtls.state is DtlsState.CONNECTED and keys is not None and self.keys is None:
            ours, theirs = keys.client, keys.server
            if self.remote.setup == "active":
                ours, theirs = theirs, ours
            self.keys = Keys(keys.profile, ours, theirs)
            self.keyed(self.keys)

    def _drive_handshake(self) -> None:
        """Repeat a flight that is due; raise if the handshake has failed."""
        if self._dtls is None:
            return
        if self._dtls.state is DtlsState.FAILED:
            raise ConnectionError("the DTLS handshake failed")
        due = self._dtls.timeout()
        if self.repeats_flights and due is not None and due <= 0:
            self._dtls.on_timeout()
            self._flush()

    def _flush(self) -> None:
        assert self._dtls is not None
        for datagram in self._dtls.datagrams():
            self.send(datagram)

    def say_goodbye(self) -> None:
        """End the handshake's association, if there is one (close_notify)."""
        if self._dtls is not None:
            self._dtls.close()
            self._flush()
