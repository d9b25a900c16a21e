"""What each person says they send: forwarded, shown to the others, and at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from actors.session.media import SessionMedia
from actors.session.pace import Pace
from actors.session.person import Person
from broker.words import PublishSource

SWITCH_COUNT = 20
SWITCH_MS = 10_000
"""A person may turn something on so many times in so many milliseconds."""


@dataclass(slots=True)
class _Switches:
    """One person's pace, and what waits for it."""

    pace: Pace
    wish: Mapping[PublishSource, bool] | None = None
    timer: asyncio.TimerHandle | None = None

    def drop_wish(self) -> Mapping[PublishSource, bool] | None:
        """Forget what waits, and return it."""
        wish, self.wish = self.wish, None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        return wish


class Publishing:
    """Forwards what somebody says they send, and nothing else.

    Each change is told to everybody, so there is a pace. Turning off never waits. Turning on too
    often does: of each person the newest wish is kept and comes true as soon as the pace lets it,
    so that in the end what they were told they send is what is sent. Closed by the session.
    """

    def __init__(
        self,
        media: SessionMedia,
        on_change: Callable[[], None],
        now_ms: Callable[[], int],
        *,
        window: tuple[int, int] = (SWITCH_COUNT, SWITCH_MS),
    ) -> None:
        self._media = media
        self._on_change = on_change
        self._now_ms = now_ms
        self._window = window
        self._switches: dict[str, _Switches] = {}

    def say(self, person: Person, sources: Mapping[PublishSource, bool]) -> None:
        """Take what somebody says they send from now on."""
        switches = self._switches.get(person.participant_id)
        if switches is None:
            switches = self._switches[person.participant_id] = _Switches(Pace(self._window))
        switches.drop_wish()
        turned_on = any(on and not person.published[source] for source, on in sources.items())
        if turned_on and not switches.pace.take(self._now_ms()):
            self._hold(person, switches, sources)
            sources = {source: on and person.published[source] for source, on in sources.items()}
        if sources != person.published:
            person.published = dict(sources)
            self._media.publish(person.participant_id, person.published)
            self._on_change()

    def silence(self, person: Person, sources: Iterable[PublishSource]) -> None:
        """Stop forwarding these here, whatever the widget does, until its person goes on."""
        switches = self._switches.get(person.participant_id)
        wish = switches.drop_wish() if switches is not None else None
        self.say(person, {**(wish or person.published), **dict.fromkeys(sources, False)})

    def close(self) -> None:
        """Drop what waits; harmless when closed."""
        for switches in self._switches.values():
            switches.drop_wish()

    def _hold(
        self, person: Person, switches: _Switches, wish: Mapping[PublishSource, bool]
    ) -> None:
        switches.wish = wish
        wait_s = switches.pace.wait_ms(self._now_ms()) / 1000
        switches.timer = asyncio.get_running_loop().call_later(wait_s, self.say, person, wish)
