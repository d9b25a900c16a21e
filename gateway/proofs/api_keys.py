"""Who calls the server API: an account, by one of its API keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
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
        self.accounts = tuple(accounts)
        """All that are served, each with the keys that hold."""
        self._by_key_id = _by_key_id(self.accounts)

    def take_over(self, accounts: Mapping[str, Account]) -> None:
        """Let the keys hold that these have, by account id, instead of those before.

        Of the accounts that are served, and of each the keys only: all else that is new waits for a
        restart. From any thread.
        """
        keys = {account_id: account.api_keys for account_id, account in accounts.items()}
        self.accounts = tuple(
            replace(each, api_keys=keys.get(each.account_id, ())) for each in self.accounts
        )
        self._by_key_id = _by_key_id(self.accounts)

    def account_of(self, presented: str) -> Account:
        """Return the account of a key.

        Raises:
            Unauthenticated: none of ours; the answer does not tell whether the key id exists.
        """
        key_id = key_id_of(presented)
        if key_id is not None:
            for account in self._by_key_id.get(key_id, ()):
                if account.find_key(presented) is not None:
                    return account
        raise Unauthenticated(ErrorCode.TOKEN_INVALID, "The API key does not hold.")


def _by_key_id(accounts: Iterable[Account]) -> dict[str, list[Account]]:
    found: dict[str, list[Account]] = {}
    for account in accounts:
        for key in account.api_keys:
            found.setdefault(key.key_id, []).append(account)
    return found


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
