"""Secrets lie in files that only their owner can read."""

from __future__ import annotations

from pathlib import Path

from broker.keys import MIN_SECRET_BYTES


def read_secret(path: Path, *, least: int = MIN_SECRET_BYTES) -> bytes:
    """Read a secret of at least `least` bytes from a file nobody else may read.

    Raises:
        OSError: it cannot be read.
        ValueError: too short, or readable by others; the sentence says what to do, as the other's.
    """
    try:
        open_to_others = path.stat().st_mode & 0o077
        secret = path.read_bytes().strip()
    except OSError as error:
        raise OSError(f"{path} cannot be read: {error.strerror}.") from error
    if open_to_others:
        raise ValueError(f"Others can read {path}; run `chmod 600` on it.")
    if len(secret) < least:
        raise ValueError(f"The secret in {path} is shorter than {least} bytes.")
    return secret
