"""How often anybody may ask about engagements without a proof."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.limits import AddressLimits
from gateway.settings import Limits


class AskingRates:
    """The rates of one gateway, by address and by engagement.

    A waiting token costs nothing and proves nothing, so what it lets its holder stand at costs the
    same as another token would: else one token and one socket would ask about any number.
    """

    def __init__(self, limits: Limits) -> None:
        self._addresses = AddressLimits(
            limits.requests_per_minute, limits.request_burst, keys=limits.addresses
        )
        self._engagements = AddressLimits(
            limits.engagement_tries_per_minute, limits.engagement_try_burst, keys=limits.addresses
        )

    def from_address(self, address: str, now: float) -> bool:
        """Note a request; False when its address asks too fast."""
        return self._addresses.take(address, now)

    def about(self, account_id: str, keys: Iterable[str], now: float) -> bool:
        """Note that an engagement is asked about by these keys; False when it is too often."""
        return all(self._engagements.take(f"{account_id}:{key}", now) for key in keys)
