"""A listener that remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from actors.relay import Grade, PublishSource, SeatUpdate, TransportState


@dataclass
class RecordingListener:
    """Keeps everything a relay tells, in order."""

    states: list[tuple[str, str, TransportState]] = field(default_factory=list)
    seats: list[tuple[str, SeatUpdate]] = field(default_factory=list)
    seated: list[tuple[str, SeatUpdate]] = field(default_factory=list)
    """The same by transport."""
    speakers: list[str | None] = field(default_factory=list)
    layers: list[tuple[str, PublishSource, tuple[str, ...]]] = field(default_factory=list)
    grades: list[tuple[str, Grade, str]] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)
    """For how many seconds the process stood still."""
    on_speaker: Callable[[], None] = lambda: None

    def transport_changed(
        self, participant_id: str, transport_id: str, state: TransportState
    ) -> None:
        self.states.append((participant_id, transport_id, state))

    def seats_changed(
        self, participant_id: str, transport_id: str, seats: Sequence[SeatUpdate]
    ) -> None:
        self.seats += [(participant_id, seat) for seat in seats]
        self.seated += [(transport_id, seat) for seat in seats]

    def speaker_changed(self, participant_id: str | None) -> None:
        self.speakers.append(participant_id)
        self.on_speaker()

    def layers_wanted(
        self,
        participant_id: str,
        transport_id: str,
        source: PublishSource,
        rids: tuple[str, ...],
    ) -> None:
        self.layers.append((participant_id, source, rids))

    def quality_changed(self, participant_id: str, grade: Grade, reason: str) -> None:
        self.grades.append((participant_id, grade, reason))

    def stood_still(self, seconds: float) -> None:
        self.stalls.append(seconds)

    def state_of(self, transport_id: str) -> TransportState | None:
        return next((s for _, t, s in reversed(self.states) if t == transport_id), None)

    def occupants(self, participant_id: str) -> dict[tuple[str, int], str]:
        """Who sits where for this subscriber, from the updates it was sent."""
        return _occupied(seat for told, seat in self.seats if told == participant_id)

    def occupants_of(self, transport_id: str) -> dict[tuple[str, int], str]:
        """Who sits where in one transport."""
        return _occupied(seat for told, seat in self.seated if told == transport_id)


def _occupied(updates: Iterable[SeatUpdate]) -> dict[tuple[str, int], str]:
    last = {(update.kind, update.index): update.participant_id for update in updates}
    return {place: who for place, who in last.items() if who is not None}
