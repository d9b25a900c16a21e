"""Keys for each purpose, derived from the one secret of a deployment (HKDF-Expand, RFC 5869)."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum

MIN_SECRET_BYTES = 32


class KeyPurpose(StrEnum):
    """What a derived key is for; one key never serves two purposes."""

    TRUNK = "trunk"
    RESUME = "resume"
    AGENT_TOKEN = "token/agent"
    WAITING_TOKEN = "token/waiting"
    GUEST_TOKEN = "token/guest"
    OPERATOR_TOKEN = "token/operator"
    ANSWERS = "answers"
    LOGIN = "login"
    DEVICE = "device"
    CONSUMER_LINK = "consumer-link"
    PICTURE = "picture"
    COMMANDS = "commands"


def derive_key(secret: bytes, purpose: KeyPurpose) -> bytes:
    """Derive 32 bytes.

    Raises:
        ValueError: the secret is shorter than 32 bytes.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"The cluster secret must have at least {MIN_SECRET_BYTES} bytes.")
    return hmac.digest(secret, b"switchboard/" + purpose.encode() + b"\x01", hashlib.sha256)
