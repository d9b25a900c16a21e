"""Who may ask: `Host`, `Origin` and the address a request came from."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.close_codes import CloseCode
from broker.errors import ErrorCode, Forbidden, Malformed
from gateway.api.problems import answer
from gateway.settings import Settings


def allowed_origins(settings: Settings) -> frozenset[str]:
    """Return every origin whose pages may open a widget WebSocket."""
    listed = {settings.origin, *settings.allowed_origins}
    for account in settings.accounts.values():
        listed.update(account.allowed_origins)
    return frozenset(listed)


def origin_allowed(origin: str | None, allowed: frozenset[str]) -> bool:
    """Whether a WebSocket may come from this origin.

    Browsers always send one. What sends none is a program, which could as well send ours: the
    check keeps foreign pages out, and proofs keep programs out.
    """
    return origin is None or origin in allowed


def address_of(scope: Scope) -> str:
    """Return the client's address for limits of rate; an IPv6 network counts as one."""
    client: Any = scope.get("client")
    if not client:
        return "unknown"
    try:
        address = ip_address(client[0])
    except ValueError:
        return str(client[0])
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is not None:
            return str(mapped)
        return str(ip_network((address, 64), strict=False).network_address)
    return str(address)


INSIDE = tuple(
    map(
        ip_network,
        (
            *("127.0.0.0/8", "::1/128"),
            *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
            *("169.254.0.0/16", "fe80::/10"),
        ),
    )
)
"""This machine, private networks (RFC 1918, RFC 4193) and its own links. The shared addresses
100.64.0.0/10 (RFC 6598) are not among them: a carrier's customers and some load balancers have
those, and nobody can say whose they are."""


def is_inside(scope: Scope, networks: Iterable[str] = ()) -> bool:
    """Whether a request comes from `INSIDE`, one of these networks, or the very address that it
    came to, which is this machine's. What a trusted proxy passes on comes from whom it says."""
    try:
        address = ip_address(scope["client"][0])
    except (TypeError, ValueError):
        return False
    server = scope.get("server")
    if server is not None and server[0] == scope["client"][0]:
        return True
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    address = mapped or address
    named = (ip_network(each, strict=False) for each in networks)
    return any(address in each for each in (*INSIDE, *named))


def veiled(address: str, key: bytes) -> str:
    """Return what stands for an address in the cluster: the same at every gateway, and no address
    to who has not the key."""
    return hmac.digest(key, b"address:" + address.encode(), "sha256")[:12].hex()


class HostCheck:
    """Refuse requests for another `Host`: a page elsewhere that rebinds its name to loopback."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and self._hosts:
            host = Headers(scope=scope).get("host", "")
            if host not in self._hosts:
                if scope["type"] == "websocket":
                    await receive()
                    await send({"type": "websocket.close", "code": CloseCode.FORBIDDEN})
                    return
                refusal = Forbidden(ErrorCode.ORIGIN_REFUSED, "This host is not served here.")
                await answer(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class AddressCheck:
    """Refuse an address with a NUL in it: no id has one, and no database keeps it as text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\x00" in scope["path"] or b"%00" in scope["query_string"]):
            refusal = Malformed(ErrorCode.MALFORMED, "An address cannot hold U+0000.")
            await answer(refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)
