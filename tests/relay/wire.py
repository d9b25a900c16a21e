"""A crafted client's connection: an association with a socket that tests hinder, move and cut."""

from __future__ import annotations

import asyncio
import socket
import struct
from abc import abstractmethod
from collections.abc import Callable
from typing import TypeAlias

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from actors.relay.network.pylibsrtp_private import PROFILES
from benchmarks.media.association import Association, Certificate, Keys
from benchmarks.shaper import Downlink

Address: TypeAlias = tuple[str, int]

_CHECK_INTERVAL = 0.25
_SO_MEMINFO = 55
"""Linux: nine 32-bit counters of a socket, the last one is datagrams dropped."""


class Wire(Association, asyncio.DatagramProtocol):
    """Real UDP, ICE checks and DTLS-SRTP. Closed by `close`, or by `vanish` without a word."""

    # So that only the relay's own timer can mend a lost flight.
    repeats_flights = False

    def __init__(self, certificate: Certificate, host: str) -> None:
        super().__init__(certificate)
        self.host = host
        self.answered_from: str | None = None
        """The address that the last datagram came from."""
        self.undecryptable = 0
        self.raw_received: Callable[[bytes], bool] | None = None
        """Sees every datagram first; True keeps the client from handling it (loss, capture)."""
        self.downlink: Downlink | None = None
        """What shapes everything that comes in; None for the bare loopback."""
        self._transport: asyncio.DatagramTransport | None = None
        self._outbound: Session | None = None
        self._inbound: Session | None = None
        self._checking: asyncio.TimerHandle | None = None

    @property
    @abstractmethod
    def destination(self) -> Address:
        """Where everything is sent."""

    @abstractmethod
    def rtp_received(self, data: bytes) -> None:
        """Take a decrypted RTP packet."""

    @abstractmethod
    def rtcp_received(self, data: bytes) -> None:
        """Take a decrypted RTCP compound."""

    async def open(self) -> None:
        """Bind a socket of one's own."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * 1024 * 1024)
        self._transport = transport

    async def rebind(self, host: str | None = None) -> None:
        """Move to another port, of another address if one is given: a NAT, a change of network."""
        assert self._transport is not None
        self._transport.close()
        self.host = host or self.host
        await self.open()

    @property
    def gone(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    @property
    def local_port(self) -> int:
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    @property
    def fileno(self) -> int:
        assert self._transport is not None
        number: int = self._transport.get_extra_info("socket").fileno()
        return number

    def kernel_drops(self) -> int:
        """Return how many datagrams this end's kernel threw away because nobody read in time."""
        assert self._transport is not None
        raw = self._transport.get_extra_info("socket")
        counters = raw.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
        return int(struct.unpack("@9I", counters)[8])

    def keep_checking(self) -> None:
        """Check now and every quarter of a second from now on."""
        self.stop_checking()
        self.send_check()
        loop = asyncio.get_running_loop()
        self._checking = loop.call_later(_CHECK_INTERVAL, self.keep_checking)

    def stop_checking(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
            self._checking = None

    def send(self, data: bytes | memoryview) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, self.destination)

    def close(self) -> None:
        """Say goodbye and give the socket back."""
        self.say_goodbye()
        self.vanish()

    def vanish(self) -> None:
        """Be gone without a word, as a crashed browser is."""
        self.stop_checking()
        if self._transport is not None:
            self._transport.close()

    # -- SRTP ----------------------------------------------------------------------------------

    def keyed(self, keys: Keys) -> None:
        profile, _, _ = PROFILES[keys.profile]
        outbound = Policy(keys.outbound, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        inbound = Policy(keys.inbound, Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        # A test may send the same packet twice on purpose.
        outbound.allow_repeat_tx = True
        outbound.window_size = inbound.window_size = 1024
        self._outbound = Session(outbound)
        self._inbound = Session(inbound)

    def protect(self, packet: bytes) -> bytes:
        """Return an RTP packet as SRTP."""
        assert self._outbound is not None
        return self._outbound.protect(packet)

    def send_rtcp(self, packet: bytes) -> None:
        assert self._outbound is not None
        self.send(self._outbound.protect_rtcp(packet))

    # -- receiving -----------------------------------------------------------------------------

    def error_received(self, exc: Exception) -> None:
        """Ignore ICMP errors about what was sent to a port that is gone."""

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.answered_from = addr[0]
        if self.downlink is None:
            self._handle(data)
            return
        loop = asyncio.get_running_loop()
        arrival = self.downlink.arrival(len(data), loop.time())
        if arrival is not None:
            loop.call_at(arrival, self._handle, data)

    def _handle(self, data: bytes) -> None:
        if self.raw_received is not None and self.raw_received(data):
            return
        if not 127 < data[0] < 192:
            self.receive(data)
        elif self._inbound is not None:
            try:
                if 192 <= data[1] <= 223:
                    self.rtcp_received(self._inbound.unprotect_rtcp(data))
                else:
                    self.rtp_received(self._inbound.unprotect(data))
            except SrtpError:
                self.undecryptable += 1
