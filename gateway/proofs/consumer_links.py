"""The consumer's one-time link: what the agent sends into the conversation proves who reads it.

The link holds account, engagement and end of life, sealed, in its fragment. That it was used is
remembered by the ledger, so it works once, at whichever gateway.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from cryptography.fernet import Fernet, InvalidToken
from pydantic import ValidationError

from broker.errors import ErrorCode, Forbidden
from broker.keys import KeyPurpose, derive_key
from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.sharing import AnswerClaim, AnswerClaimed, AnswerSettle, Claim
from gateway.links.directory import Directory

LINK_S = 3_600
"""How long a link may wait to be opened; and how long the token lasts that it is exchanged for."""
_USED = "used"


class _Sealed(ClusterMessage):
    account_id: str
    key: str
    chance: str


class ConsumerLinks:
    """Makes links, and takes each once."""

    def __init__(self, secret: bytes, clock: Callable[[], float], directory: Directory) -> None:
        self._seal = Fernet(base64.urlsafe_b64encode(derive_key(secret, KeyPurpose.CONSUMER_LINK)))
        self._clock = clock
        self._directory = directory

    def make(self, origin: str, account_id: str, key: str) -> str:
        """Make the address that an agent sends to the consumer of an engagement."""
        sealed = _Sealed(account_id=account_id, key=key, chance=secrets.token_hex(8))
        code = self._seal.encrypt_at_time(sealed.to_bytes(), int(self._clock())).decode("ascii")
        query = urlencode({"accountId": account_id, "sessionId": key})
        return f"{origin}/engagement?{query}#{code}"

    async def take(
        self, code: str, account_id: str, keys: tuple[str, ...], claim_secret: str | None
    ) -> str:
        """Take a link's code; returns the one engagement key that it proves.

        Whoever took it may take it again, as the answer may not have reached them: they are known
        by their claim secret.

        Raises:
            Forbidden: not ours, late, used, or of another conversation; all look alike.
            Unavailable: the ledger cannot say whether it was used.
        """
        try:
            data = self._seal.decrypt_at_time(code.encode("ascii"), LINK_S, int(self._clock()))
            sealed = _Sealed.model_validate_json(data)
        except (InvalidToken, UnicodeEncodeError, ValidationError):
            raise _refused() from None
        if sealed.account_id != account_id or sealed.key not in keys:
            raise _refused()
        place = _hash(code)
        by = _USED if claim_secret is None else _hash(code, claim_secret)
        claim = AnswerClaim(place=place, fingerprint=by, account_id=account_id)
        claimed = await self._directory.ask(claim, AnswerClaimed)
        found = claimed.claim
        if found is Claim.OTHER_BODY or (found is not Claim.FIRST and by == _USED):
            raise _refused()
        settle = AnswerSettle(
            place=place, sealed=_USED, begun_ms=claimed.begun_ms, account_id=account_id
        )
        await self._directory.ask(settle, Done)
        return sealed.key


def _hash(*parts: str) -> str:
    return hashlib.sha256(":".join(("consumer-link", *parts)).encode()).hexdigest()


def _refused() -> Forbidden:
    return Forbidden(
        ErrorCode.NOT_PERMITTED, "This link does not hold (any more); ask for a new one."
    )
