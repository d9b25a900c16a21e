"""How often one address may ask for what needs no proof."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import Request

from broker.errors import ErrorCode, TooFast
from gateway.limits import AddressLimits
from gateway.origins import address_of
from gateway.settings import Limits


class Rates:
    """What one gateway counts of each address, each kind of request apart from the others."""

    def __init__(self, limits: Limits) -> None:
        self.guest_codes = _guesses(limits)
        """Codes of guests' and consumers' links, and ratings."""
        self.device_codes = _guesses(limits)
        self.devices = _requests(limits)
        self.logins = _requests(limits)


def hold_back(
    request: Request,
    take: Callable[[str, float], bool],
    why: str = "Too many requests; wait a little.",
) -> None:
    """Count a request of its address. Raises TooFast when `take` has nothing left for it."""
    if not take(address_of(request.scope), asyncio.get_running_loop().time()):
        raise TooFast(ErrorCode.RATE_LIMITED, why)


def _guesses(limits: Limits) -> AddressLimits:
    return AddressLimits(
        limits.guest_tries_per_minute, limits.guest_try_burst, keys=limits.addresses
    )


def _requests(limits: Limits) -> AddressLimits:
    return AddressLimits(limits.requests_per_minute, limits.request_burst, keys=limits.addresses)
