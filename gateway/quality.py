"""How each participant's connection was, added up from a session's events."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from broker.messages.cluster import JournalEntry


class Quality(BaseModel):
    """How long a connection was in which state, in milliseconds; time without one counts nowhere.

    `fair_ms` and `poor_ms` together are what the four reasons add up to.
    """

    good_ms: int = 0
    fair_ms: int = 0
    poor_ms: int = 0
    loss_down_ms: int = 0
    """Packets did not reach the person."""
    loss_up_ms: int = 0
    """Their packets did not reach us."""
    delay_ms: int = 0
    """The round trip was long."""
    silent_ms: int = 0
    """Nothing came from them at all."""

    def plus(self, body: dict[str, object]) -> Quality:
        """Add what one `participant.quality` says; what is no number of ours says nothing."""
        more = {
            name: value + said
            for name, value in self
            if isinstance(said := body.get(name), int) and not isinstance(said, bool)
        }
        return self.model_copy(update=more)


def qualities(events: Iterable[JournalEntry]) -> dict[str, Quality]:
    """Add up the quality of everybody of whom something was measured, by participant."""
    found: dict[str, Quality] = {}
    for event in events:
        if event.type == "participant.quality":
            participant_id = str(event.body.get("participant_id", ""))
            found[participant_id] = found.get(participant_id, Quality()).plus(event.body)
    return found
