"""A request said twice takes effect once, whichever gateway it meets.

The ledger remembers for a day which keys were used and what was answered. Answers are sealed, as
they may hold a token or a guest link.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from cryptography.fernet import Fernet, InvalidToken
from fastapi import Header
from pydantic import BaseModel, ValidationError

from broker.errors import Busy, Conflict, ErrorCode, Malformed, SwitchboardError, Unavailable
from broker.keys import KeyPurpose, derive_key
from broker.messages.cluster.base import Done
from broker.messages.sharing import (
    AnswerClaim,
    AnswerClaimed,
    AnswerRelease,
    AnswerSettle,
    Claim,
)
from gateway.links.directory import Directory

logger = logging.getLogger(__name__)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=128,
        description="Repeat a request with the same key and it takes effect once.",
    ),
]
Answer = TypeVar("Answer", bound=BaseModel)


class Idempotency:
    """Does a request once for its account, operation and key."""

    def __init__(self, directory: Directory, secret: bytes) -> None:
        self._directory = directory
        self._seal = Fernet(base64.urlsafe_b64encode(derive_key(secret, KeyPurpose.ANSWERS)))
        self._naming = derive_key(secret, KeyPurpose.COMMANDS)

    def command_id(
        self, account_id: str, operation: str, key: str | None, body: BaseModel
    ) -> str | None:
        """Name what a request has done elsewhere: said again, it has the same name.

        So whoever does it knows it again where nobody heard what came of it. `None`: the request
        is not to be repeated. Nobody can guess it who has not the deployment's secret.
        """
        if key is None:
            return None
        said = "\0".join((account_id, operation, key, body.model_dump_json()))
        digest = hmac.digest(self._naming, said.encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:18]).decode()

    async def once(
        self,
        account_id: str,
        operation: str,
        key: str | None,
        body: BaseModel,
        do: Callable[[], Awaitable[Answer]],
        answer: type[Answer],
        *,
        harmless: bool = False,
    ) -> Answer:
        """Do it, or return what doing it answered before.

        A failure is not remembered, and neither is that nobody knows what came of it: what `do`
        asks of others has a name then (`command_id`).

        `harmless`: doing it twice changes nothing, so it is done also while the ledger is away.

        Raises:
            Malformed: the key came with another body.
            Busy: the first request with this key is still being answered.
            Unavailable: the ledger cannot say whether it was done.
        """
        if key is None:
            return await do()
        place = _hash(account_id, operation, key)
        claim = AnswerClaim(
            place=place, fingerprint=_hash(body.model_dump_json()), account_id=account_id
        )
        try:
            found = await self._directory.ask(claim, AnswerClaimed)
        except Unavailable:
            if harmless:
                return await do()
            raise
        match found.claim:
            case Claim.OTHER_BODY:
                raise Malformed(
                    ErrorCode.MALFORMED, "This Idempotency-Key was used with another body."
                )
            case Claim.RUNNING:
                raise Busy(
                    ErrorCode.MALFORMED, "The first request with this Idempotency-Key is running."
                )
            case Claim.ANSWERED:
                return self._open(found.sealed or "", answer)
            case Claim.FIRST:
                return await self._first(claim, found.begun_ms, do)

    async def _first(
        self, claim: AnswerClaim, begun_ms: int | None, do: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        place, account_id = claim.place, claim.account_id
        try:
            made = await do()
        except BaseException:
            await self._tell(AnswerRelease(place=place, begun_ms=begun_ms, account_id=account_id))
            raise
        sealed = self._seal.encrypt(made.model_dump_json().encode()).decode()
        await self._tell(
            AnswerSettle(place=place, sealed=sealed, begun_ms=begun_ms, account_id=account_id)
        )
        return made

    async def _tell(self, ask: AnswerSettle | AnswerRelease) -> None:
        """Say what became of a claim. Unsaid, it lapses after a minute."""
        try:
            await self._directory.ask(ask, Done)
        except SwitchboardError as error:
            logger.warning("answer not kept", extra={"code": str(error.code)})

    def _open(self, sealed: str, answer: type[Answer]) -> Answer:
        try:
            return answer.model_validate_json(self._seal.decrypt(sealed.encode()))
        except (InvalidToken, ValidationError):
            raise Conflict(
                ErrorCode.MALFORMED, "What was answered to this Idempotency-Key cannot be read."
            ) from None


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
