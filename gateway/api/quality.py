"""How each participant's connection was, added up from a session's record."""

from __future__ import annotations

from pydantic import BaseModel

from broker.messages.cluster.records import SessionRecord


class Quality(BaseModel):
    """How long a connection was in which state, in milliseconds; time without one counts nowhere.

    `fair_ms` and `poor_ms` together are what the five reasons add up to.
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
    bandwidth_ms: int = 0
    """Their line carried no more than the smallest pictures."""
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


def qualities(record: SessionRecord) -> dict[str, Quality]:
    """Add up the quality of everybody of whom something was measured, by participant.

    What the session's actor kept beside the journal counts until an event says it: in a live
    session, and where nobody was left to say it.
    """
    found: dict[str, Quality] = {}
    said: dict[str, int] = {}
    for event in record.events:
        participant_id = str(event.body.get("participant_id", ""))
        if event.type == "participant.quality":
            found[participant_id] = found.get(participant_id, Quality()).plus(event.body)
        if event.type in ("participant.quality", "participant.left"):
            said[participant_id] = event.seq
    for subject in record.subjects:
        kept = subject.body.get("measured")
        if not isinstance(kept, dict):
            continue
        at_seq = kept.get("at_seq")
        if isinstance(at_seq, int) and said.get(subject.participant_id, 0) <= at_seq:
            known = found.get(subject.participant_id, Quality())
            found[subject.participant_id] = known.plus(kept)
    return found
