"""LivePerson's login for agents: OAuth's code flow of its application authorisation.

The exchange goes from server to server over TLS, so the `id_token` is trusted by where it came
from; issuer, audience and expiry are checked all the same (no key set is published). Sources:
https://developers.liveperson.com/authorizing-conversational-cloud-applications-overview.html and
its pages on the authorization and token requests. Whether `sub` is the SDK's `agentInfo.agentId`
is documented nowhere, so which claim names the agent is configured.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import jwt

from broker.errors import ErrorCode, Unauthenticated, Unavailable
from broker.ids import normal_agent_id, normal_id
from gateway.accounts import Account, LivePersonApp
from gateway.proofs.outside import outside_client
from gateway.secret_file import read_secret

logger = logging.getLogger(__name__)
DOMAINS = "https://api.liveperson.net"
ISSUER = "sentinel"
CALL_S = 10.0
LEEWAY_S = 60
HOST_KEPT_S = 3_600.0
MAX_ANSWER_BYTES = 64 * 1024
_SERVICE = re.compile(r"(?:[a-z0-9-]+\.)+liveperson\.net")
"""A host of theirs, and nothing behind it: the client's secret goes there."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An agent whom LivePerson has logged in."""

    agent_id: str
    name: str


class LivePersonLogin:
    """Asks LivePerson who somebody is. `clock` gives Unix time; `close()` ends its connections."""

    def __init__(self, redirect_uri: str, clock: Callable[[], float]) -> None:
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._client = outside_client(CALL_S)
        self._hosts: dict[str, tuple[float, str]] = {}

    async def close(self) -> None:
        """End the kept connections; harmless when closed."""
        await self._client.aclose()

    async def authorize_url(self, account: Account, state: str) -> str:
        """Where the agent's browser goes to log in. Raises Unavailable."""
        app = _app_of(account)
        query = urlencode(
            {
                "v": "1.0",
                "response_type": "code",
                "redirect_uri": self._redirect_uri,
                "client_id": app.client_id,
                "state": state,
            }
        )
        return f"{await self._place(account)}/authorize?{query}"

    async def exchange(self, account: Account, code: str) -> LoggedIn:
        """Exchange a code for who it is.

        Raises:
            Unauthenticated: LivePerson refuses the code, or its token does not hold.
            Unavailable: LivePerson does not answer.
        """
        app = _app_of(account)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "client_id": app.client_id,
            "client_secret": read_secret(app.client_secret_file, least=1).decode(),
        }
        answer = await self._ask("POST", f"{await self._place(account)}/token?v=1.0", form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise _refused()
        return self._read(app, token)

    def _read(self, app: LivePersonApp, token: str) -> LoggedIn:
        """Check issuer, audience and expiry of an id_token."""
        try:
            claims = jwt.decode(
                token,
                options={
                    "verify_signature": False,
                    "verify_aud": True,
                    "verify_iss": True,
                    "require": ["exp", "aud", "iss"],
                },
                audience=app.client_id,
                issuer=ISSUER,
            )
            expires_at = float(claims["exp"])
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            logger.warning("id_token refused", extra={"why": type(error).__name__})
            raise _refused() from None
        # PyJWT leaves times alone without a signature, and reads the system's clock with one.
        if expires_at + LEEWAY_S <= self._clock():
            raise _refused()
        agent_id = normal_agent_id(_text(claims.get(app.agent_id_claim)))
        if agent_id is None:
            logger.warning("id_token names no agent", extra={"claim": app.agent_id_claim})
            raise _refused()
        name = _text(claims.get(app.name_claim)) or agent_id
        return LoggedIn(agent_id, name[:80])

    async def _place(self, account: Account) -> str:
        """The base of the account's authorisation service, by LivePerson's domain service."""
        app, account_id = _app_of(account), quote(account.account_id, safe="")
        if app.sentinel is not None:
            return f"{app.sentinel}/sentinel/api/account/{account_id}"
        now = asyncio.get_running_loop().time()
        until, host = self._hosts.get(account_id, (0.0, ""))
        if until <= now:
            where = f"{DOMAINS}/api/account/{account_id}/service/sentinel/baseURI.json?version=1.0"
            host = _text((await self._ask("GET", where)).get("baseURI")) or ""
            if not _SERVICE.fullmatch(host):
                raise Unavailable(ErrorCode.SESSION_AWAY, "LivePerson named no login service.")
            self._hosts[account_id] = (now + HOST_KEPT_S, host)
        return f"https://{host}/sentinel/api/account/{account_id}"

    async def _ask(
        self, method: str, url: str, form: dict[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(CALL_S):
                answer = await self._client.request(method, url, data=form)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            logger.warning("liveperson not reached", extra={"why": type(error).__name__})
            raise Unavailable(ErrorCode.SESSION_AWAY, "LivePerson does not answer.") from None
        if answer.status_code >= 500:
            raise Unavailable(ErrorCode.SESSION_AWAY, "LivePerson does not answer.")
        if answer.status_code != 200 or len(answer.content) > MAX_ANSWER_BYTES:
            raise _refused()
        try:
            found = answer.json()
        except ValueError:
            raise _refused() from None
        return found if isinstance(found, dict) else {}


def _app_of(account: Account) -> LivePersonApp:
    if account.liveperson is None:
        raise Unauthenticated(ErrorCode.TOKEN_INVALID, "This account has another login.")
    return account.liveperson


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return normal_id(value) if isinstance(value, str) else None


def _refused() -> Unauthenticated:
    return Unauthenticated(ErrorCode.TOKEN_INVALID, "LivePerson's login did not hold; try again.")
