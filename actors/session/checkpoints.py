"""What a session writes down from time to time, for whoever continues it after a sudden death."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.session.person import Person, seen_here
from broker.messages.parts import EngagementIds
from broker.state import STAFF

if TYPE_CHECKING:
    from actors.session.live import LiveSession

KEEP_S = 30.0
"""How often: at most as much of what was measured is lost with a killed process."""


class Checkpoints:
    """Keeps beside the journal how everybody's connection was since the last event about it, and
    ids of the hosts that changed too fast to be kept one by one.

    One write for a whole session, of those only of whom there is news. What is not kept for want of
    a ledger is in the next one. Begun and closed by the session.
    """

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Write from now on."""
        self._timer = asyncio.get_running_loop().call_later(KEEP_S, self._due)

    def close(self) -> None:
        """Write no more; harmless when closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def engagement_changed(self, person: Person, ids: EngagementIds) -> None:
        """A host SDK told more: keep it now, what comes too fast with the next that is written."""
        session = self._session
        staff = person.principal.role in STAFF
        known = seen_here(ids, session.engagement_key) if staff else ids
        if person.engagement != known:
            person.engagement = known
            person.unkept = True
            if person.in_pace(session.now_ms()):
                session.keep([person])

    def write(self) -> None:
        """Write now, unless there is no news."""
        session = self._session
        changed = []
        for person in session.people.values():
            measured = session.media.quality.so_far(
                person.participant_id, session.decided.event_count
            )
            if measured is not None and measured != person.measured:
                person.measured = measured
                person.unkept = True
            if person.unkept:
                changed.append(person)
        if changed:
            session.keep(changed)

    def _due(self) -> None:
        self.begin()
        if self._session.saves:
            self.write()
