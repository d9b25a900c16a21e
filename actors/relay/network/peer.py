"""Whose an address is: what the network side knows of a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from actors.relay.network.drops import Drops
    from actors.relay.network.ice import Address, Credentials, IceLite
    from actors.relay.network.port import Endpoint, Socket
    from actors.relay.network.pylibsrtp_private import Buffer


class MediaIntake(Protocol):
    """Where media go that came from a validated address. True means that they were authentic."""

    @property
    def drops(self) -> Drops: ...

    def receive_rtp(self, buffer: Buffer, size: int, now: float) -> bool: ...

    def receive_rtcp(self, buffer: Buffer, size: int, now: float) -> bool: ...


class Peer(Protocol):
    """Takes the datagrams of one peer; `Transport` says what it does with each kind."""

    @property
    def ice(self) -> IceLite: ...

    @property
    def intake(self) -> MediaIntake: ...

    def binding_request(
        self,
        data: bytes,
        credentials: Credentials,
        socket: Socket,
        endpoint: Endpoint,
        now: float,
    ) -> None: ...

    def binding_response(self, data: bytes, address: Address, now: float) -> None: ...

    def dtls_received(self, data: bytes, address: Address, now: float) -> None: ...

    def may_have_moved(self, now: float) -> bool: ...

    def knows(self, ssrc: int, *, feedback: bool) -> bool: ...

    def heard_elsewhere(
        self,
        inbox: Buffer,
        size: int,
        socket: Socket,
        endpoint: Endpoint,
        now: float,
        *,
        feedback: bool,
    ) -> bool: ...
