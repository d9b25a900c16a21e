"""How each participant's connection was, and for how long: one event when they are out.

The relay says when a grade changes; here the time between is added up while a transport stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from actors.relay import Grade, TransportState
from broker.events import (
    AnyEvent,
    ParticipantJoined,
    ParticipantLeft,
    QualityMeasured,
    SessionEnded,
)
from broker.evolve import evolve
from broker.state import SessionState

GOOD = (Grade.GOOD, "")


@dataclass(slots=True)
class _Course:
    """One participant's connection since it is counted."""

    since_ms: int
    judged: tuple[Grade, str] = GOOD
    transports: set[str] = field(default_factory=set)
    spent_ms: Counter[tuple[Grade, str]] = field(default_factory=Counter)

    def settle(self, now_ms: int) -> None:
        """Count up to now."""
        if self.transports:
            self.spent_ms[self.judged] += max(0, now_ms - self.since_ms)
        self.since_ms = now_ms


class QualityLog:
    """Adds up grades by participant. `now_ms` is the session's clock."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._courses: dict[str, _Course] = {}

    def transport_changed(
        self, participant_id: str, transport_id: str, state: TransportState
    ) -> None:
        """Count while at least one transport of somebody is connected, or was and fell silent."""
        now_ms = self._now_ms()
        if state is TransportState.CONNECTED:
            course = self._courses.setdefault(participant_id, _Course(now_ms))
            course.settle(now_ms)
            course.transports.add(transport_id)
        elif state is TransportState.CLOSED and participant_id in self._courses:
            course = self._courses[participant_id]
            course.settle(now_ms)
            course.transports.discard(transport_id)

    def graded(self, participant_id: str, grade: Grade, reason: str) -> None:
        """The relay judges somebody's connection otherwise; `reason` is its own word."""
        course = self._courses.setdefault(participant_id, _Course(self._now_ms()))
        course.settle(self._now_ms())
        course.judged = (grade, reason)

    def woven(self, state: SessionState, events: Iterable[AnyEvent]) -> tuple[AnyEvent, ...]:
        """Put the event of each participant's quality before the one by which they are out.

        Whoever comes in is counted from there: their transport may have stood while it rang.
        """
        found: list[AnyEvent] = []
        for event in events:
            match event:
                case ParticipantJoined():
                    self._take(event.participant_id)
                case ParticipantLeft():
                    found += self.measured([event.participant_id])
                    self._courses.pop(event.participant_id, None)
                case SessionEnded():
                    found += self.measured(each.participant_id for each in state.inside())
                case _:
                    pass
            found.append(event)
            state = evolve(state, event)
        return tuple(found)

    def measured(self, participant_ids: Iterable[str]) -> list[QualityMeasured]:
        """Make the events of these participants and count anew; none of whom nothing is known."""
        found = []
        for participant_id in participant_ids:
            spent_ms = self._take(participant_id)
            if spent_ms.total() == 0:
                continue
            by_grade: Counter[Grade] = Counter()
            by_reason: Counter[str] = Counter()
            for (grade, reason), ms in spent_ms.items():
                by_grade[grade] += ms
                by_reason[reason] += ms
            found.append(
                QualityMeasured(
                    at_ms=self._now_ms(),
                    participant_id=participant_id,
                    good_ms=by_grade[Grade.GOOD],
                    fair_ms=by_grade[Grade.FAIR],
                    poor_ms=by_grade[Grade.POOR],
                    loss_down_ms=by_reason["loss_down"],
                    loss_up_ms=by_reason["loss_up"],
                    delay_ms=by_reason["delay"],
                    silent_ms=by_reason["silent"],
                )
            )
        return found

    def _take(self, participant_id: str) -> Counter[tuple[Grade, str]]:
        course = self._courses.get(participant_id)
        if course is None:
            return Counter()
        course.settle(self._now_ms())
        spent_ms, course.spent_ms = course.spent_ms, Counter()
        return spent_ms
