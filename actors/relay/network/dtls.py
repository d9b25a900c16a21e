"""One DTLS-SRTP association without I/O: datagrams in, datagrams and SRTP keys out (RFC 5764)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from OpenSSL import SSL

from actors.relay.network.identity import fingerprint_of
from actors.relay.network.pylibsrtp_private import PROFILES

_MTU = 1200
_RECORD_HEADER = 13
_MOST_BYTES = 64 * 1024
"""Handshake bytes taken from one peer; a real handshake needs about 3 KB."""


class DtlsState(StrEnum):
    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What a handshake yields: the SRTP profile and both directions' key with salt."""

    profile: bytes
    client: bytes
    server: bytes


class Dtls:
    """A DTLS endpoint; the relay is always the server, crafted clients in tests are not."""

    def __init__(
        self, context: SSL.Context, fingerprints: Mapping[str, str], *, server: bool = True
    ) -> None:
        """Prepare; `fingerprints` are the peer's, algorithm → digest, all must match."""
        self.state = DtlsState.HANDSHAKING
        self.keys: SrtpKeys | None = None
        self._fingerprints = dict(fingerprints)
        self._received = 0
        self._connection = SSL.Connection(context, None)
        self._connection.set_ciphertext_mtu(_MTU)
        if server:
            self._connection.set_accept_state()
        else:
            self._connection.set_connect_state()

    def start(self) -> None:
        """Write the first flight (client only)."""
        self._handshake()

    def receive(self, datagram: bytes) -> None:
        """Take one datagram; never raises on what it holds."""
        if self.state in (DtlsState.FAILED, DtlsState.CLOSED):
            return
        if self.state is DtlsState.HANDSHAKING:
            self._received += len(datagram)
            if self._received > _MOST_BYTES:
                self.state = DtlsState.FAILED
                return
        try:
            self._connection.bio_write(datagram)
        except SSL.Error:
            return
        if self.state is DtlsState.HANDSHAKING:
            self._handshake()
        if self.state is DtlsState.CONNECTED:
            self._read()

    def _handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self.state = DtlsState.FAILED
            return
        keys = self._export_keys() if self._peer_is_who_the_offer_said() else None
        if keys is None:
            self.state = DtlsState.FAILED
        else:
            self.keys = keys
            self.state = DtlsState.CONNECTED

    def _read(self) -> None:
        # No application data is expected (data channels are refused); reading lets OpenSSL
        # answer a repeated last flight and notice close_notify.
        try:
            while self._connection.recv(2048):
                continue
        except SSL.ZeroReturnError:
            self.state = DtlsState.CLOSED
        except SSL.Error:
            return

    def _peer_is_who_the_offer_said(self) -> bool:
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        if certificate is None or not self._fingerprints:
            return False
        return all(
            fingerprint_of(certificate, algorithm) == value.upper()
            for algorithm, value in self._fingerprints.items()
        )

    def _export_keys(self) -> SrtpKeys | None:
        profile = bytes(self._connection.get_selected_srtp_profile())
        if profile not in PROFILES:
            return None
        _, key, salt = PROFILES[profile]
        material = self._connection.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        # RFC 5764 §4.2: client key, server key, client salt, server salt.
        salts = 2 * key
        return SrtpKeys(
            profile,
            client=material[:key] + material[salts : salts + salt],
            server=material[key:salts] + material[salts + salt :],
        )

    def datagrams(self) -> list[bytes]:
        """Return what is to be sent, whole records packed into datagrams of the MTU."""
        pending = bytearray()
        try:
            while True:
                pending += self._connection.bio_read(16384)
        except SSL.Error:
            # Drained.
            pass
        datagrams: list[bytes] = []
        start = position = 0
        while position + _RECORD_HEADER <= len(pending):
            length = pending[position + 11] << 8 | pending[position + 12]
            end = position + _RECORD_HEADER + length
            if end - start > _MTU and position > start:
                datagrams.append(bytes(pending[start:position]))
                start = position
            position = end
        if position > start:
            datagrams.append(bytes(pending[start:position]))
        return datagrams

    def timeout(self) -> float | None:
        """Return the seconds until `on_timeout` is due; None when nothing waits for an answer."""
        if self.state in (DtlsState.FAILED, DtlsState.CLOSED):
            return None
        return self._connection.DTLSv1_get_timeout()

    def on_timeout(self) -> None:
        """Repeat a flight that was not answered."""
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:
            self.state = DtlsState.FAILED

    def close(self) -> None:
        """Queue close_notify; the owner sends `datagrams()` once more."""
        if self.state is DtlsState.CONNECTED:
            try:
                self._connection.shutdown()
            except SSL.Error:
                pass
        if self.state is not DtlsState.FAILED:
            self.state = DtlsState.CLOSED
