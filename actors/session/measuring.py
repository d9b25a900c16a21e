"""What a session actor tells the ledger of itself, for those who run the deployment.

Read from what is counted anyway, every few seconds: nothing of it is on a packet's way.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable

from actors import memory
from actors.session.live import LiveSession
from broker.measures import LOOP, Count, Standing
from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.measures import ActorMeasured
from broker.state import SessionState
from broker.words import Attendance

_LOG = logging.getLogger(__name__)
JITTER = 0.2
"""Reports come so much sooner or later: those of actors that began together spread."""


class Measuring:
    """Reports of one session actor, which beats and holds it. Closes nothing.

    `notify` says whether the ledger's link took a report; what it did not take is in the next.
    """

    def __init__(
        self,
        notify: Callable[[str, ClusterMessage], bool],
        period_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        tasks: Callable[[], int] = lambda: len(asyncio.all_tasks()),
    ) -> None:
        self._notify = notify
        self._period_s = period_s
        self._clock = clock
        self._tasks = tasks
        self._due = clock() + random.uniform(0.0, period_s)
        self._cpu_before_s = time.process_time()
        self._own: Counter[Count] = Counter()
        self._told: Counter[Count] = Counter()

    def beat(self, late_s: float, session: LiveSession | None) -> None:
        """Note by how much the loop was late for this beat, and report when it is time."""
        self._own[LOOP.of(late_s)] += 1
        self._own[LOOP.total] += max(0, round(late_s * 1e6))
        now = self._clock()
        if now >= self._due:
            self._due = now + self._period_s * random.uniform(1.0 - JITTER, 1.0 + JITTER)
            self.report(session)

    def report(self, session: LiveSession | None) -> None:
        """Say what has grown since the last report, and how it stands."""
        try:
            self._report(session)
        except Exception:
            # A mistake in counting must not cost the session what else happens on a beat.
            _LOG.exception("not reported")

    def _report(self, session: LiveSession | None) -> None:
        self._own[Count.CPU_MS] = round(1000 * (time.process_time() - self._cpu_before_s))
        total = self._own.copy()
        standing: Counter[Standing] = Counter(
            {Standing.RESIDENT: memory.resident_bytes(), Standing.TASKS: self._tasks()}
        )
        if session is not None:
            total += session.media.counts()
            standing += standing_of(session)
        report = ActorMeasured(grown=total - self._told, standing=+standing)
        if self._notify("actor.measured", report):
            self._told |= total


def standing_of(session: LiveSession) -> Counter[Standing]:
    """How a session stands, in numbers; nothing when it is over."""
    found: Counter[Standing] = Counter()
    if session.over:
        return found
    state = session.decided
    found[_phase(state, moving=session.frozen)] = 1
    found[Standing.UNSAVED] = int(not session.saved)
    for participant in state.participants.values():
        if participant.attendance is not Attendance.LEFT:
            found[Standing(f"participants.{participant.attendance}")] += 1
    return found + session.media.standing()


def _phase(state: SessionState, *, moving: bool) -> Standing:
    if moving:
        return Standing.SESSIONS_MOVING
    if sum(1 for _ in state.inside()) > 1:
        return Standing.SESSIONS_TALKING
    if state.invitation is not None and state.invitation.open:
        return Standing.SESSIONS_RINGING
    return Standing.SESSIONS_WAITING
