"""Where the next page of a list begins: opaque to who gets it, a time and ids to us."""

from __future__ import annotations

import base64
import binascii

from broker.errors import ErrorCode, Malformed

_MOST_MS = 2**53


def write_cursor(ms: int, *ids: str) -> str:
    """Write the place of the last item of a page."""
    text = ":".join((str(ms), *ids))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, ids: int) -> tuple[int, list[str]]:
    """Read a place that has so many ids.

    Raises:
        Malformed: it is not one of ours; what no column holds would look like a failed database.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        first, *rest = text.split(":", ids)
        ms = int(first)
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise _not_ours() from None
    if len(rest) != ids or not 0 <= ms <= _MOST_MS or "\x00" in text:
        raise _not_ours()
    return ms, rest


def _not_ours() -> Malformed:
    return Malformed(ErrorCode.MALFORMED, "The cursor is not one of ours.")
