"""Reading inside the cluster what the next release may have put more into.

Widgets are read strictly, by `broker.messages.parts`; parts that travel on between our own
processes are read here: what this release does not know is left out (see `broker.past`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ValidationError

from broker.messages.parts import EngagementIds
from broker.words import EndReason, Mode

W = TypeVar("W", bound=StrEnum)


def read_ids(told: object) -> EngagementIds:
    """Read the ids of an engagement: what is unknown or does not fit is left out.

    Raises:
        ValueError: no ids at all, or none of an account.
    """
    if isinstance(told, EngagementIds):
        return told
    if not isinstance(told, Mapping):
        raise ValueError("These are no ids of an engagement.")
    known = {name: told[name] for name in EngagementIds.model_fields if name in told}
    try:
        return EngagementIds.model_validate(known)
    except ValidationError as error:
        unfit = {each["loc"][0] for each in error.errors(include_input=False)}
        return EngagementIds.model_validate(
            {name: value for name, value in known.items() if name not in unfit}
        )


def beyond(told: Mapping[str, Any], ids: EngagementIds) -> dict[str, Any]:
    """Return what a later release told of an engagement and `ids` cannot hold."""
    kept = ids.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in told.items() if name not in kept and value is not None}


def word_or(words: type[W], otherwise: W | None) -> BeforeValidator:
    """Read a word of a closed set; one that only a later release knows is `otherwise`."""
    known = frozenset(map(str, words))
    return BeforeValidator(
        lambda word: otherwise if isinstance(word, str) and word not in known else word
    )


Ids = Annotated[EngagementIds, BeforeValidator(read_ids)]
AnyMode = Annotated[Mode, word_or(Mode, Mode.VOICE)]
AnyEndReason = Annotated[EndReason | None, word_or(EndReason, None)]
