"""Who calls the server API: an account, by one of its API keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from broker.errors import ErrorCode, TooFast, Unauthenticated
from gateway.accounts import Account, key_id_of
from gateway.limits import AddressLimits

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="apiKey",
    description="An account's API key: swk_<key id>_<secret>.",
)


class ApiKeys:
    """Finds the account of an API key."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts: dict[str, list[Account]] = {}
        for account in accounts:
            for key in account.api_keys:
                self._accounts.setdefault(key.key_id, []).append(account)

    def account_of(self, presented: str) -> Account:
        """Return the account of a key.

        Raises:
            Unauthenticated: none of ours; the answer does not tell whether the key id exists.
        """
        key_id = key_id_of(presented)
        if key_id is not None:
            for account in self._accounts.get(key_id, ()):
                if account.find_key(presented) is not None:
                    return account
        raise Unauthenticated(ErrorCode.TOKEN_INVALID, "The API key does not hold.")


async def calling_account(
    request: Request,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Account:
    """Find who calls, by the API key of the request."""
    if given is None:
        raise Unauthenticated(ErrorCode.TOKEN_MISSING, "No API key was given.")
    keys: ApiKeys = request.app.state.api_keys
    account = keys.account_of(given.credentials)
    limits: AddressLimits = request.app.state.account_limits
    if not limits.take(account.account_id, asyncio.get_running_loop().time()):
        raise TooFast(ErrorCode.RATE_LIMITED, "Too many requests of this account; wait a little.")
    return account


Caller = Annotated[Account, Depends(calling_account)]
