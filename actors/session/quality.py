"""How each participant's connection was, and for how long: one event when they are out.

The relay says when a grade changes; here the time between is added up while a transport stands.
What was counted so far is kept beside the journal (`checkpoints.py`), for whoever continues the
session of an actor that was killed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from actors.relay import Grade, TransportState
from broker.events import (
    AnyEvent,
    Event,
    ParticipantJoined,
    ParticipantLeft,
    PastEvent,
    QualityMeasured,
    SessionEnded,
)
from broker.evolve import evolve
from broker.state import SessionState

GOOD = (Grade.GOOD, "")
_AT = "at_seq"
_COUNTED = (
    frozenset(each.name for each in fields(QualityMeasured))
    - {each.name for each in fields(Event)}
    - {"participant_id"}
)
"""What an event of quality counts, in milliseconds: all but what each event has."""


@dataclass(slots=True)
class _Course:
    """One participant's connection since it is counted."""

    since_ms: int
    judged: tuple[Grade, str] = GOOD
    transports: set[str] = field(default_factory=set)
    spent_ms: Counter[str] = field(default_factory=Counter)
    """By the names of the event."""

    def settle(self, now_ms: int) -> None:
        """Count up to now."""
        if self.transports:
            grade, reason = self.judged
            spent_ms = max(0, now_ms - self.since_ms)
            self.spent_ms[f"{grade}_ms"] += spent_ms
            if reason:
                self.spent_ms[f"{reason}_ms"] += spent_ms
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
            if spent_ms.total() > 0:
                known = {name: spent_ms[name] for name in _COUNTED}
                found.append(
                    QualityMeasured(
                        at_ms=self._now_ms(), participant_id=participant_id, mark=None, **known
                    )
                )
        return found

    def so_far(self, participant_id: str, at_seq: int) -> dict[str, int] | None:
        """What was counted since the last event, to stand beside the journal as it is at `at_seq`.

        `None`: nothing.
        """
        course = self._courses.get(participant_id)
        if course is None:
            return None
        course.settle(self._now_ms())
        spent_ms = {name: ms for name, ms in course.spent_ms.items() if ms > 0}
        return {_AT: at_seq, **spent_ms} if spent_ms else None

    def go_on(
        self, participant_id: str, so_far: Mapping[str, Any], past: Sequence[PastEvent]
    ) -> None:
        """Count on from what an actor before this one wrote down, unless an event came after it."""
        at_seq = so_far.get(_AT)
        if not isinstance(at_seq, int) or any(
            isinstance(event, QualityMeasured | ParticipantLeft)
            and event.participant_id == participant_id
            for event in past[at_seq:]
        ):
            return
        course = self._courses.setdefault(participant_id, _Course(self._now_ms()))
        course.spent_ms.update(
            {name: ms for name, ms in so_far.items() if name in _COUNTED and isinstance(ms, int)}
        )

    def _take(self, participant_id: str) -> Counter[str]:
        course = self._courses.get(participant_id)
        if course is None:
            return Counter()
        course.settle(self._now_ms())
        spent_ms, course.spent_ms = course.spent_ms, Counter()
        return spent_ms
