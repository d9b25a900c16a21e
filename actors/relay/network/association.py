"""A transport's DTLS association: where its peer speaks from, how long it may take (RFC 5764)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.relay.budget import Budget
from actors.relay.network.dtls import Dtls, DtlsState, SrtpKeys

if TYPE_CHECKING:
    from actors.relay.config import RelayConfig
    from actors.relay.network.ice import Address
    from actors.relay.network.identity import Identity


class Association:
    """Belongs to a transport, which ends it. Times are of the relay's clock, in seconds."""

    __slots__ = ("_address", "_begun", "_budget", "_dtls", "_longest", "_longest_silence", "_made")

    def __init__(
        self, identity: Identity, fingerprints: dict[str, str], config: RelayConfig, now: float
    ) -> None:
        self._dtls = Dtls(identity.context, fingerprints)
        most = config.dtls_datagrams_per_second
        self._budget = Budget(most, most)
        self._longest = config.handshake_seconds
        self._longest_silence = config.silence_before_closing
        self._made = now
        self._begun: float | None = None
        """When the peer's first datagram came."""
        self._address: Address | None = None
        """Where the latest came from."""

    @property
    def keys(self) -> SrtpKeys | None:
        """What the handshake gave; None before its end."""
        return self._dtls.keys

    def may_take(self, now: float) -> bool:
        """Whether one more datagram is looked at.

        Noise costs as much as a record of the peer's, before and after the handshake, so that only
        so many are.
        """
        return self._budget.take(1, now)

    def take(self, datagram: bytes, address: Address, now: float) -> DtlsState | None:
        """Take a datagram from a validated address and answer it; returns a state that is new."""
        if self._begun is None:
            self._begun = now
        self._address = address
        before = self._dtls.state
        self._dtls.receive(datagram)
        self._send(address)
        after = self._dtls.state
        return None if after is before else after

    def tick(self, now: float) -> bool:
        """Repeat what was not answered; False when the handshake has taken too long."""
        if self._begun is None:
            return now - self._made <= self._longest_silence
        if now - self._begun > self._longest:
            return False
        due = self._dtls.timeout()
        if due is not None and due <= 0:
            self._dtls.on_timeout()
            self._send(self._address)
        return True

    def close(self, address: Address | None) -> None:
        """Say goodbye, at this address if the peer has moved there since the handshake."""
        if self._address is not None:
            self._dtls.close()
            self._send(address or self._address)

    def _send(self, address: Address | None) -> None:
        for datagram in self._dtls.datagrams():
            if address is not None:
                address.socket.send(datagram, address.endpoint)
