"""A request said twice takes effect once.

Remembered by the gateway that answered, for a day. Behind several gateways a repetition may meet
another one; what must not happen twice there is refused by the ledger (`already_live`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Header
from pydantic import BaseModel

from broker.errors import Conflict, ErrorCode, Malformed

KEPT_S = 24 * 3_600.0
KEPT = 10_000

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


@dataclass(slots=True)
class _Kept:
    fingerprint: str
    until: float
    answer: BaseModel | None


class Idempotency:
    """Answers by account, operation and key. Time is the caller's, in seconds."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()

    async def once(
        self,
        account_id: str,
        operation: str,
        key: str | None,
        body: BaseModel,
        do: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """Do it, or return what doing it answered before. A failure is not remembered.

        Raises:
            Malformed: the key came with another body.
            Conflict: the first request with this key is still being answered.
        """
        if key is None:
            return await do()
        now = asyncio.get_running_loop().time()
        self._forget(now)
        place = (account_id, operation, key)
        fingerprint = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
        kept = self._kept.get(place)
        if kept is not None:
            if kept.fingerprint != fingerprint:
                raise Malformed(
                    ErrorCode.MALFORMED, "This Idempotency-Key was used with another body."
                )
            if kept.answer is None:
                raise Conflict(
                    ErrorCode.MALFORMED, "The first request with this Idempotency-Key is running."
                )
            return kept.answer  # type: ignore[return-value]  # One operation, one answer type.
        kept = self._kept[place] = _Kept(fingerprint, now + KEPT_S, None)
        try:
            answer = await do()
        except BaseException:
            self._kept.pop(place, None)
            raise
        kept.answer = answer
        return answer

    def _forget(self, now: float) -> None:
        while self._kept:
            place, oldest = next(iter(self._kept.items()))
            if oldest.until > now and len(self._kept) < KEPT:
                return
            del self._kept[place]
