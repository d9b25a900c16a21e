"""Secrets lie in files that only their owner can read."""

from __future__ import annotations

from pathlib import Path

from broker.keys import MIN_SECRET_BYTES


def read_secret(path: Path) -> bytes:
    """Read a secret of at least 32 bytes from a file nobody else may read.

    Raises:
        OSError: it cannot be read.
        ValueError: too short, or readable by others; the sentence says what to do.
    """
    if path.stat().st_mode & 0o077:
        raise ValueError(f"Others can read {path}; run `chmod 600` on it.")
    secret = path.read_bytes().strip()
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"The secret in {path} is shorter than {MIN_SECRET_BYTES} bytes.")
    return secret
