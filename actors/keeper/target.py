"""Where a webhook may go: to public addresses, whatever a name resolves to at that moment.

The address that was checked is the one that is connected to, so a name that changes its mind
between check and connection gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Host and port in, addresses out. Raises OSError."""
LOOK_UPS = 128
"""At once, those that nobody waits for any more counted in."""

# Ranges that lead elsewhere: an IPv6 address that carries an IPv4 one.
_TRANSLATED = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
)


class TargetRefused(Exception):
    """The webhook may not go there; trying again may help only if the name changes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One URL, with the address to connect to."""

    url: str
    """With the address in place of the name."""
    host: str
    """What stands in the Host header and what the certificate must name."""
    server_name: str


class SystemResolver:
    """Resolves as the system does, in threads of its own.

    The loop's own are few, and a name whose servers do not answer holds a thread for half a minute,
    whoever still waits for it: a few tries of one endpoint would leave the others no thread.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="webhook-names")

    async def __call__(self, host: str, port: int) -> list[str]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [str(entry[4][0]) for entry in found]

    def close(self) -> None:
        """Begin no further one; harmless when closed."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def resolve(url: str, *, resolver: Resolver, loopback_allowed: bool = False) -> Target:
    """Check a URL and pin its address.

    Raises:
        TargetRefused: not HTTPS, credentials in the URL, or any of its addresses is not public.
        OSError: the name does not resolve.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise TargetRefused("The URL must name a host and no credentials.")
    try:
        # A name in other letters as it stands in a header, in a certificate and with resolvers.
        host = httpx.URL(url).raw_host.decode("ascii")
    except httpx.InvalidURL:
        raise TargetRefused("The URL's host is none.") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback_allowed):
        raise TargetRefused("The URL must begin with https.")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise TargetRefused("The URL's port is none.") from None
    addresses = [ipaddress.ip_address(text.split("%")[0]) for text in await resolver(host, port)]
    if not addresses:
        raise OSError(f"{host} has no address.")
    for address in addresses:
        if not may_reach(address, loopback_allowed=loopback_allowed):
            raise TargetRefused("The URL leads to an address that is not public.")
    pinned = addresses[0]
    literal = f"[{pinned}]" if pinned.version == 6 else str(pinned)
    path = parts.path or "/"
    query = f"?{parts.query}" if parts.query else ""
    shown = f"[{host}]" if ":" in host else host
    named = shown if parts.port is None else f"{shown}:{parts.port}"
    return Target(f"{parts.scheme}://{literal}:{port}{path}{query}", named, host)


def may_reach(address: Address, *, loopback_allowed: bool = False) -> bool:
    """Whether an address is public: not ours, not our neighbours', not a detour to either."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return may_reach(address.ipv4_mapped, loopback_allowed=loopback_allowed)
        if any(address in network for network in _TRANSLATED) or address.teredo is not None:
            return False
    if address.is_loopback:
        return loopback_allowed
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
