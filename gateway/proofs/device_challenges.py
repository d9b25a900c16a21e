"""What an enrolled device signs to prove itself, and the look at what it signed.

A challenge tells sealed for which device it is and when it was made, so no gateway keeps any.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from broker.errors import ErrorCode, Malformed, Unauthenticated
from broker.keys import KeyPurpose, derive_key
from broker.messages.cluster.base import ClusterMessage

CHALLENGE_S = 60


class _Asked(ClusterMessage):
    """Which device was asked, and when."""

    device_id: str
    at_ms: int


class DeviceChallenges:
    """Makes and opens challenges. `clock` gives Unix time in seconds."""

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._seal = Fernet(base64.urlsafe_b64encode(derive_key(secret, KeyPurpose.DEVICE)))
        self._clock = clock

    def make(self, device_id: str) -> str:
        """Make a challenge that holds for a minute."""
        now = self._clock()
        asked = _Asked(device_id=device_id, at_ms=int(now * 1000))
        return self._seal.encrypt_at_time(asked.to_bytes(), int(now)).decode("ascii")

    def open(self, challenge: str) -> _Asked:
        """Return what a challenge says. Raises Unauthenticated when it is none, or too old."""
        try:
            sealed = challenge.encode("ascii")
            opened = self._seal.decrypt_at_time(sealed, CHALLENGE_S, int(self._clock()))
        except (InvalidToken, UnicodeEncodeError):
            raise _refused() from None
        return _Asked.model_validate_json(opened)


def read_key(public_key: str) -> ec.EllipticCurvePublicKey:
    """Read a P-256 key: SubjectPublicKeyInfo in base64. Raises Malformed."""
    try:
        key = load_der_public_key(base64.b64decode(public_key, validate=True))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Malformed(ErrorCode.MALFORMED, "public_key: give an ECDSA P-256 key.")
    return key


def check_signature(public_key: str, signature: str, challenge: str) -> None:
    """Check WebCrypto's form of a signature: r and s, 32 bytes each, in base64.

    Raises:
        Unauthenticated: the key's owner did not sign this challenge.
    """
    try:
        raw = base64.b64decode(signature, validate=True)
        if len(raw) != 64:
            raise _refused()
        numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        der = encode_dss_signature(*numbers)
        read_key(public_key).verify(der, challenge.encode("ascii"), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise _refused() from None


def _refused() -> Unauthenticated:
    return Unauthenticated(ErrorCode.TOKEN_INVALID, "The device did not prove itself; try again.")
