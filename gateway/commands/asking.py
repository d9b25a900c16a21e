"""How commands ask a gateway: one way for all, whichever address they were given."""

from __future__ import annotations

import ssl
from functools import cache
from ipaddress import ip_address

import httpx
import psutil


class Asking(httpx.Client):
    """A client for commands.

    A certificate must hold for the address asked. It names where browsers reach the deployment, so
    one that does not is taken from an address of this machine, as long as no secret is sent there.

    Raises:
        httpx.InvalidURL: `base_url` is no address.
    """

    def __init__(
        self, base_url: str = "", headers: dict[str, str] | None = None, *, timeout_s: float
    ) -> None:
        super().__init__(
            base_url=base_url,
            headers=headers,
            timeout=timeout_s,
            transport=_ByAddress(),
            trust_env=False,
        )


def names_another(error: httpx.HTTPError) -> bool:
    """Whether a gateway was not asked because its certificate does not hold for the address."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


@cache
def is_here(host: str) -> bool:
    """Whether a host's name is an address of this machine."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return True
    own = (each.address for some in psutil.net_if_addrs().values() for each in some)
    return host in own


class _ByAddress(httpx.BaseTransport):
    def __init__(self) -> None:
        self._here = httpx.HTTPTransport(verify=False, trust_env=False)
        self._elsewhere = httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        here = is_here(request.url.host) and "Authorization" not in request.headers
        return (self._here if here else self._elsewhere).handle_request(request)

    def close(self) -> None:
        self._here.close()
        self._elsewhere.close()
