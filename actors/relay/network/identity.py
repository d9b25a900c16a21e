"""The certificate of a relay and the DTLS context made from it (RFC 8122, RFC 8827 §6.5)."""

from __future__ import annotations

import datetime
import secrets

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from actors.relay.network.pylibsrtp_private import available_profiles

_DTLS_1_2 = 0xFEFD
# Forward secrecy and AEAD only; the certificate is ECDSA (RFC 8827 §6.5).
_CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
_CIPHERS += b":ECDHE-ECDSA-CHACHA20-POLY1305"
_DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    "sha-256": hashes.SHA256,
    "sha-384": hashes.SHA384,
    "sha-512": hashes.SHA512,
}


def fingerprint_of(certificate: x509.Certificate, algorithm: str) -> str | None:
    """Return the upper-case, colon-separated digest; None for one weaker than sha-256."""
    digest = _DIGESTS.get(algorithm.lower())
    if digest is None:
        return None
    return certificate.fingerprint(digest()).hex(":").upper()


class Identity:
    """A fresh self-signed certificate with its DTLS context.

    Made once for each relay, at its first offer; a standby that takes a session opens a new relay
    and so has a new one.
    """

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
        now = datetime.datetime.now(tz=datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        self.context = dtls_context(key, certificate)


def dtls_context(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> SSL.Context:
    """Make a DTLS 1.2 context that asks for the peer's certificate and offers SRTP.

    Any certificate passes here; the caller compares it with the offer's fingerprint.
    """
    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _any_certificate)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    context.set_cipher_list(_CIPHERS)
    context.set_tlsext_use_srtp(b":".join(available_profiles()))
    return context


def _any_certificate(*_: object) -> bool:
    return True
