"""How a gateway asks servers outside: those of brands and of LivePerson."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


def outside_client(
    timeout_s: float, *, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """Return a client that its owner closes.

    It follows no redirect, and neither proxies nor credentials of our own environment belong in it.
    """
    return httpx.AsyncClient(
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
        verify=_trust(),
        transport=transport,
    )


@cache
def _trust() -> ssl.SSLContext:
    """Return whom all of these trust. To read their certificates takes some 20 ms."""
    return httpx.create_ssl_context(trust_env=False)
