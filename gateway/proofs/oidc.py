"""A brand's own login for its consumers: an OpenID Connect `id_token`, checked against its keys.

Core 1.0 §3.1.3.7: issuer, audience, signature by a fixed algorithm, expiry. `nonce` is between the
brand's page and its provider, and not ours to know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import jwt
from pydantic import StringConstraints, TypeAdapter

from broker.errors import ErrorCode, Unauthenticated, Unavailable
from broker.messages.parts import Storable
from gateway.accounts import Account, OidcProvider
from gateway.proofs.outside import outside_client

logger = logging.getLogger(__name__)
ALGORITHMS = ("RS256", "PS256", "ES256")
CALL_S = 5.0
KEYS_KEPT_S = 600.0
KEYS_HELD_S = 24 * 3_600.0
"""Keys serve on for so long while their provider cannot be reached."""
KEYS_PAUSE_S = 10.0
"""A provider is asked this often at most, whether it answers or not."""
LEEWAY_S = 60
SUBJECT_CHARACTERS = 255
"""Of who somebody is, at most (Core 1.0 §2, `sub`): more than SDKs' ids have."""
VisitorId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=SUBJECT_CHARACTERS, strip_whitespace=True),
    Storable,
]
_VISITOR_ID: TypeAdapter[str] = TypeAdapter(VisitorId)
MAX_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Identified:
    """A consumer whom the brand has logged in."""

    visitor_id: str
    name: str


class _Keys:
    """The keys of one provider by their ids. Times are the event loop's."""

    def __init__(self) -> None:
        self.fetching = asyncio.Lock()
        self.known: dict[str, Any] = {}
        self.fetched_at = float("-inf")
        self.tried_at = float("-inf")

    def lack(self, kid: str, now: float) -> bool:
        """Whether this one is not known, or may have been withdrawn since."""
        return kid not in self.known or now - self.fetched_at > KEYS_KEPT_S

    def serve(self, now: float) -> bool:
        """Whether they hold, fetched in time or not."""
        return now - self.fetched_at <= KEYS_HELD_S


class Oidc:
    """Reads id_tokens. `clock` gives Unix time in seconds; `close()` ends its connections."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._client = outside_client(CALL_S)
        self._keys: dict[str, _Keys] = {}
        """By address, as many as there are accounts: one that hangs holds up its own only."""

    async def close(self) -> None:
        """End the kept connections; harmless when closed."""
        await self._client.aclose()

    async def read(self, account: Account, token: str) -> Identified:
        """Check an id_token of the account's provider.

        Raises:
            Unauthenticated: it does not hold; the sentence does not say why.
            Unavailable: the provider's keys cannot be had.
        """
        provider = account.oidc
        if provider is None:
            raise _refused()
        try:
            head = jwt.get_unverified_header(token)
            key = await self._key(provider, str(head.get("kid", "")))
            claims = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=provider.audience,
                issuer=provider.issuer,
                # Our clock is an argument; PyJWT reads the system's.
                options={
                    "require": ["exp", "aud", "iss"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            expires_at, not_before = float(claims["exp"]), float(claims.get("nbf", 0))
            visitor_id = _VISITOR_ID.validate_python(claims.get(provider.visitor_claim))
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            logger.info("id_token refused", extra={"why": type(error).__name__})
            raise _refused() from None
        now = self._clock()
        if expires_at + LEEWAY_S <= now or not_before - LEEWAY_S > now:
            raise _refused()
        name = claims.get(provider.name_claim)
        return Identified(visitor_id, name[:80] if isinstance(name, str) else "")

    async def _key(self, provider: OidcProvider, kid: str) -> Any:
        """Find a key of the provider by its id. Raises Unauthenticated, Unavailable."""
        keys = self._keys.setdefault(provider.jwks_url, _Keys())
        loop = asyncio.get_running_loop()
        if keys.lack(kid, loop.time()):
            async with keys.fetching:
                now = loop.time()
                if keys.lack(kid, now) and now - keys.tried_at > KEYS_PAUSE_S:
                    keys.tried_at = now
                    found = await self._fetch(provider.jwks_url)
                    if found is not None:
                        keys.known, keys.fetched_at = found, loop.time()
        if not keys.serve(loop.time()):
            raise Unavailable(
                ErrorCode.SESSION_AWAY, "The brand's login cannot be checked at the moment."
            )
        if kid not in keys.known:
            raise _refused()
        return keys.known[kid]

    async def _fetch(self, url: str) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(CALL_S):
                answer = await self._client.get(url)
            if answer.status_code != 200 or len(answer.content) > MAX_ANSWER_BYTES:
                raise ValueError("No keys came.")
            found = jwt.PyJWKSet.from_dict(answer.json())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, jwt.PyJWTError, ValueError) as error:
            logger.warning("keys not fetched", extra={"why": type(error).__name__})
            return None
        return {each.key_id or "": each.key for each in found.keys if each.key_type != "oct"}


def _refused() -> Unauthenticated:
    return Unauthenticated(ErrorCode.TOKEN_INVALID, "The id_token does not hold; log in again.")
