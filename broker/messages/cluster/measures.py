"""What a session actor tells of itself now and then: counts and sums, never an id."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field

from broker.measures import Count, Standing
from broker.messages.cluster.base import ClusterMessage

W = TypeVar("W", bound=StrEnum)


def known(words: type[W]) -> BeforeValidator:
    """Read what has a word of a closed set; what only a later release counts is left out."""
    names = frozenset(map(str, words))
    return BeforeValidator(
        lambda told: (
            {word: value for word, value in told.items() if word in names}
            if isinstance(told, dict)
            else told
        )
    )


Counts = Annotated[dict[Count, Annotated[int, Field(ge=0)]], known(Count)]
Standings = Annotated[dict[Standing, Annotated[int, Field(ge=0)]], known(Standing)]


class ActorMeasured(ClusterMessage):
    """Notice session actor to ledger, `actor.measured`.

    Counts are what has grown since the report before, so each stands in one report only: no total
    need be remembered of an actor that dies, and none falls.
    """

    grown: Counts = Field(default_factory=dict)
    standing: Standings = Field(default_factory=dict)
