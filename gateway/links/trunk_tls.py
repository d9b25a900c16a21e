"""TLS between the nodes of a deployment, from its secret alone: no authority, no files to hand out.

Everybody who knows the trunk key derives the same Ed25519 key and, because its signatures are
deterministic (RFC 8032), the same certificate. Each side shows it and trusts no other, so whoever
cannot derive it sees neither hello nor message. Links that stay on the machine are plain.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import ssl
from datetime import UTC, datetime
from functools import cached_property, lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

SERVER_NAME = "switchboard"
"""Sent in the clear at every handshake, so it is no name of a machine."""
_FROM = datetime(2020, 1, 1, tzinfo=UTC)
_UNTIL = datetime(9999, 12, 31, tzinfo=UTC)
"""It lasts as long as the secret does: who changes that changes the certificate."""


class TrunkTls:
    """The two contexts of one trunk key, each made when it is first needed."""

    def __init__(self, key: bytes) -> None:
        seed = hmac.digest(key, b"switchboard trunk certificate", hashlib.sha256)
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def listening(self, host: str) -> ssl.SSLContext | None:
        """What to listen with on this address; `None` on loopback."""
        return None if is_loopback(host) else self.server

    def dialling(self, host: str) -> ssl.SSLContext | None:
        """What to dial this address with; `None` on loopback."""
        return None if is_loopback(host) else self.client

    @cached_property
    def server(self) -> ssl.SSLContext:
        """The listening side's context; asks the far end for its certificate too."""
        return self._prepared(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    @cached_property
    def client(self) -> ssl.SSLContext:
        """The dialling side's context. The certificate itself is pinned, so names do not count."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        return self._prepared(context)

    @cached_property
    def certificate(self) -> bytes:
        """The certificate, PEM: the same bytes wherever the key is known."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER_NAME)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(_FROM)
            .not_valid_after(_UNTIL)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        )
        return builder.sign(self._key, None).public_bytes(Encoding.PEM)

    def _prepared(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.certificate.decode())
        private = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        # OpenSSL's binding reads files only; this one exists in memory and has no name.
        with os.fdopen(os.memfd_create("trunk"), "wb") as file:
            file.write(self.certificate + private)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return context


@lru_cache(maxsize=8)
def trunk_tls(key: bytes) -> TrunkTls:
    """The contexts of a trunk key, made once for each process."""
    return TrunkTls(key)


def is_loopback(host: str) -> bool:
    """Whether what is said to this address stays on the machine; names are taken not to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
