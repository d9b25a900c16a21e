"""The source check: whose datagram this is, and which of STUN, DTLS, RTP and RTCP (RFC 7983)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

from actors.relay.network import mmsg
from actors.relay.network.departures import Departures
from actors.relay.network.ice import Credentials
from actors.relay.network.mmsg import LENGTH_FIRST, LENGTH_STEP
from actors.relay.network.peer import Peer
from actors.relay.network.port import Endpoint, Key, Socket, unpack_name
from actors.relay.network.pylibsrtp_private import Buffer
from actors.relay.network.stall import Stall
from actors.relay.network.strangers import Strangers
from actors.relay.wire import stun

log = logging.getLogger(__name__)

Name: TypeAlias = tuple[Peer, Credentials]


class Reception:
    """Takes every datagram that comes in, and knows the names strangers may call."""

    def __init__(
        self, clock: Callable[[], float], departures: Departures, drain: int, stall: Stall
    ) -> None:
        """Take up to `drain` datagrams per wake-up; what they cause leaves at its end."""
        self._departures = departures
        self._stall = stall
        self._inbox = [Buffer() for _ in range(drain)]
        self._received = (
            mmsg.Received([buffer.address for buffer in self._inbox]) if mmsg.available else None
        )
        self.dropped_strangers = 0
        """Datagrams from addresses that were not validated, and names nobody has."""
        self.mistakes = 0
        """Datagrams that our own code failed on; anything but 0 is a bug."""
        self.names: dict[bytes, Name] = {}
        """Local ufrag → whose it is, for every generation of credentials that is valid."""
        # Each once, whatever names they have.
        self._strangers = Strangers(lambda: dict.fromkeys(peer for peer, _ in self.names.values()))
        self._clock = clock

    def wake(self, socket: Socket) -> None:
        """Take what waits, a bounded number, and send on what comes of it.

        Nothing is read to the end: while one packet per wake-up is usual, the read that finds
        nothing would cost as much as the one that finds it.
        """
        now = self._clock()
        if now >= self._stall.until and self._stall.look(now):
            return
        received = self._received
        if received is None or not socket.batched:
            for buffer in self._inbox:
                found = socket.receive_into(buffer)
                if found is None:
                    break
                self._handle(socket, found[1], buffer, found[0], now)
        else:
            lengths, size = received.lengths, socket.name_bytes
            for index in range(received.receive(socket.fileno())):
                self._handle(
                    socket,
                    received.name(index, size),
                    self._inbox[index],
                    lengths[LENGTH_STEP * index + LENGTH_FIRST],
                    now,
                )
        try:
            self._departures.depart(now)
        except Exception:
            self.mistakes += 1
            log.exception("what had come in could not be passed on")

    def _handle(self, socket: Socket, key: Key, inbox: Buffer, size: int, now: float) -> None:
        """Take one datagram; a mistake of ours costs this datagram only."""
        try:
            self._dispatch(socket, key, inbox, size, now)
        except Exception:
            self.mistakes += 1
            log.exception("a datagram could not be handled")

    def _dispatch(self, socket: Socket, key: Key, inbox: Buffer, size: int, now: float) -> None:
        address = socket.peers.get(key)
        view = inbox.view
        first = view[0] if size else 255
        if address is None:
            if first < 2:
                self._stun(bytes(view[:size]), socket, key, now)
            elif not (127 < first < 192 and self._has_moved(socket, key, inbox, size, now)):
                self.dropped_strangers += 1
            return
        transport = address.transport
        if 127 < first < 192 and size > 1:
            intake = transport.intake
            if 192 <= view[1] <= 223:
                authentic = intake.receive_rtcp(inbox, size, now)
            else:
                authentic = intake.receive_rtp(inbox, size, now)
            if authentic:
                address.heard = now
        elif first < 2:
            self._stun(bytes(view[:size]), socket, key, now)
        elif 19 < first < 64:
            transport.dtls_received(bytes(view[:size]), address, now)
        else:
            transport.intake.drops.malformed += 1

    def _has_moved(self, socket: Socket, key: Key, inbox: Buffer, size: int, now: float) -> bool:
        """Whether this is media of somebody whose address has changed; it is taken then."""
        if size < 12:
            return False
        view = inbox.view
        feedback = 192 <= view[1] <= 223
        ssrc = int.from_bytes(view[4:8] if feedback else view[8:12], "big")
        strangers = self._strangers
        named = strangers.whose(ssrc, now, feedback=feedback)
        if not named or not strangers.may_try(key, now):
            return False
        endpoint = _endpoint_of(key)
        data = bytes(view[:size]) if len(named) > 1 else b""
        for transport in named:
            if transport.heard_elsewhere(inbox, size, socket, endpoint, now, feedback=feedback):
                return True
            strangers.failed(key)
            # What failed was decrypted in its place all the same.
            view[: len(data)] = data
        return False

    def _stun(self, data: bytes, socket: Socket, key: Key, now: float) -> None:
        address = socket.peers.get(key)
        if stun.is_response(data):
            if address is not None:
                address.transport.binding_response(data, address, now)
            return
        if address is not None and stun.is_indication(data):
            # It proves nothing, so that nobody is heard by it; nor is it a stranger's.
            return
        name = stun.request_name(data)
        found = self.names.get(name) if name is not None else None
        if found is None:
            self.dropped_strangers += 1
            return
        transport, credentials = found
        transport.binding_request(data, credentials, socket, _endpoint_of(key), now)

    def know(self, transport: Peer, credentials: Credentials) -> None:
        self.names[credentials.ufrag.encode()] = (transport, credentials)

    def forget(self, credentials: Credentials) -> None:
        self.names.pop(credentials.ufrag.encode(), None)
        self._strangers.forget()


def _endpoint_of(key: Key) -> Endpoint:
    return unpack_name(key) if isinstance(key, bytes) else key
