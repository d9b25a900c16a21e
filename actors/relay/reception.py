"""The source check: whose datagram this is, and which of STUN, DTLS, RTP and RTCP (RFC 7983)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from . import stun
from .ice import Credentials
from .port import Endpoint, Socket
from .pylibsrtp_private import Buffer
from .rtp import is_rtcp
from .transport import Transport

log = logging.getLogger(__name__)

Name: TypeAlias = tuple[Transport, Credentials]


class Reception:
    """Takes every datagram that comes in, and knows the names strangers may call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.inbox = Buffer()
        self.dropped_strangers = 0
        """Datagrams from addresses that were not validated, and names nobody has."""
        self.mistakes = 0
        """Datagrams that our own code failed on; anything but 0 is a bug."""
        self.names: dict[bytes, Name] = {}
        """Local ufrag → whose it is, for every generation of credentials that is valid."""
        self._clock = clock

    def received(self, socket: Socket, endpoint: Endpoint, size: int) -> None:
        """Take one datagram from the inbox; a mistake of ours costs this datagram only."""
        try:
            self._dispatch(socket, endpoint, size)
        except Exception:
            self.mistakes += 1
            log.exception("a datagram could not be handled")

    def _dispatch(self, socket: Socket, endpoint: Endpoint, size: int) -> None:
        address = socket.peers.get(endpoint)
        inbox = self.inbox
        view = inbox.view
        first = view[0] if size else 255
        if address is None:
            if first < 2:
                self._stun(bytes(view[:size]), socket, endpoint)
            else:
                self.dropped_strangers += 1
            return
        now = self._clock()
        transport = address.transport
        if 127 < first < 192 and size > 1:
            intake = transport.intake
            if is_rtcp(view):
                authentic = intake.receive_rtcp(inbox, size, now)
            else:
                authentic = intake.receive_rtp(inbox, size, now)
            if authentic:
                address.heard = now
        elif first < 2:
            self._stun(bytes(view[:size]), socket, endpoint)
        elif 19 < first < 64:
            transport.dtls_received(bytes(view[:size]), address, now)

    def _stun(self, data: bytes, socket: Socket, endpoint: Endpoint) -> None:
        now = self._clock()
        if stun.is_response(data):
            address = socket.peers.get(endpoint)
            if address is not None:
                address.transport.binding_response(data, address, now)
            return
        name = stun.request_name(data)
        found = self.names.get(name) if name is not None else None
        if found is None:
            self.dropped_strangers += 1
            return
        transport, credentials = found
        transport.binding_request(data, credentials, socket, endpoint, now)

    def know(self, transport: Transport, credentials: Credentials) -> None:
        self.names[credentials.ufrag.encode()] = (transport, credentials)

    def forget(self, credentials: Credentials) -> None:
        self.names.pop(credentials.ufrag.encode(), None)
