"""What each person says they send: forwarded, shown to the others, and at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from actors.session.media import SessionMedia
from actors.session.pace import Pace
from actors.session.person import Person
from broker.words import PublishSource

SWITCH_COUNT = 20
SWITCH_MS = 10_000
"""A person may turn something on so many times in so many milliseconds."""


@dataclass(slots=True)
class _Switches:
    """One person's pace, what waits for it, and what was stopped."""

    pace: Pace
    stopped: dict[PublishSource, str] = field(default_factory=dict)
    """By whom, until the person's widget says that it is off."""
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
        """Take what somebody says they send from now on.

        A widget that says on of what was stopped has not heard of that: it may have been away.
        """
        stopped = self._switches_of(person).stopped
        for source in [source for source in stopped if not sources[source]]:
            del stopped[source]
        self._take(person, {source: on and source not in stopped for source, on in sources.items()})

    def _take(self, person: Person, sources: Mapping[PublishSource, bool]) -> None:
        switches = self._switches_of(person)
        switches.drop_wish()
        turned_on = any(on and not person.published[source] for source, on in sources.items())
        if turned_on and not switches.pace.take(self._now_ms()):
            self._hold(person, switches, sources)
            sources = {source: on and person.published[source] for source, on in sources.items()}
        if sources != person.published:
            person.published = dict(sources)
            self._media.publish(person.participant_id, person.published)
            self._on_change()

    def silence(self, person: Person, sources: Iterable[PublishSource], by: str) -> None:
        """Stop forwarding these here until the widget has said that they are off, and on again."""
        switches = self._switches_of(person)
        wished = switches.drop_wish() or person.published
        silenced = [source for source in sources if wished[source]]
        switches.stopped |= dict.fromkeys(silenced, by)
        self._take(person, {**wished, **dict.fromkeys(silenced, False)})

    def stopped(self, person: Person) -> dict[str, list[PublishSource]]:
        """By whom which were stopped, of which the person's widget has not said that they are."""
        found: dict[str, list[PublishSource]] = {}
        for source, by in self._switches_of(person).stopped.items():
            found.setdefault(by, []).append(source)
        return found

    def close(self) -> None:
        """Drop what waits; harmless when closed."""
        for switches in self._switches.values():
            switches.drop_wish()

    def _switches_of(self, person: Person) -> _Switches:
        switches = self._switches.get(person.participant_id)
        if switches is None:
            switches = self._switches[person.participant_id] = _Switches(Pace(self._window))
        return switches

    def _hold(
        self, person: Person, switches: _Switches, wish: Mapping[PublishSource, bool]
    ) -> None:
        switches.wish = wish
        wait_s = switches.pace.wait_ms(self._now_ms()) / 1000
        switches.timer = asyncio.get_running_loop().call_later(wait_s, self._take, person, wish)
