"""Signing a webhook: HMAC-SHA256 over the time and the body, so that neither can be exchanged."""

from __future__ import annotations

import hashlib
import hmac

HEADER = "Switchboard-Signature"
WINDOW_S = 300


def sign(secret: bytes, at_s: int, body: bytes) -> str:
    """Return the header's value: `t=<unix seconds>,v1=<hexadecimal digest>`."""
    return f"t={at_s},v1={_digest(secret, at_s, body)}"


def verify(secret: bytes, value: str, body: bytes, *, now_s: int, window_s: int = WINDOW_S) -> bool:
    """Whether a header is ours and fresh: what a receiver does, and the tests.

    A receiver also remembers the event ids of the window: a delivery may come twice.
    """
    parts = dict(part.partition("=")[::2] for part in value.split(","))
    try:
        at_s = int(parts["t"])
        digest = parts["v1"]
    except (KeyError, ValueError):
        return False
    fresh = abs(now_s - at_s) <= window_s
    ours = _digest(secret, at_s, body)
    return hmac.compare_digest(digest.encode(), ours.encode()) and fresh


def _digest(secret: bytes, at_s: int, body: bytes) -> str:
    return hmac.new(secret, str(at_s).encode() + b"." + body, hashlib.sha256).hexdigest()
