"""What a relay does by the clock: ticks of its transports, speaker, layers, grades."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from actors.relay.forwarding.publication import Publication
from actors.relay.listener import RelayListener
from actors.relay.network.stall import Stall
from actors.relay.people.layers import choose_layers, needed_rids, restrain, simulcast_of
from actors.relay.people.person import Person
from actors.relay.people.speaker import SpeakerChoice
from actors.relay.transport.transport import Transport

log = logging.getLogger(__name__)

_TICK = 0.05
_PADDING_INTERVAL = 0.01
"""A tick's padding at once is a queue of 50 ms on a line that carries no more than is sent."""
_LATE = 0.05
"""Seconds by which a tick may be late. A process that waits longer for a processor sends late what
it has stamped already: that looks like a queue on every line."""
_SPEAKER_INTERVAL = 0.2
_QUALITY_INTERVAL = 2.0
_LAYER_INTERVAL = 0.25
_FEWER_LAYERS_SECONDS = 2.0
"""A layer nobody needs is turned off after this long, so that sizes may change freely."""


class Pulse:
    """Beats while there are transports. Stopped by the relay."""

    def __init__(
        self,
        people: Mapping[str, Person],
        transports: Mapping[str, Transport],
        listener: RelayListener,
        tell: Callable[[Callable[[], None]], None],
        clock: Callable[[], float],
        take_over: Callable[[float], None],
        spoken: Callable[[str | None, float], None],
        stall: Stall,
    ) -> None:
        """Work on the relay's own people and transports.

        `take_over` looks for late handovers, `spoken` hears who became the speaker. While there is
        doubt whether the session is this relay's it beats, and does nothing.
        """
        self._people = people
        self._transports = transports
        self._listener = listener
        self._tell = tell
        self._clock = clock
        self._take_over = take_over
        self._spoken = spoken
        self._stall = stall
        self._speaker = SpeakerChoice()
        self._speaker_due = 0.0
        self._quality_due = 0.0
        self._layers_due = 0.0
        self._tick_due = 0.0
        self._on_time = True
        """Whether all ticks were since layers were last chosen."""
        self._timer: asyncio.TimerHandle | None = None
        self._padding_timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Beat on this loop, as soon as there is something to beat for."""
        self._loop = loop

    def go_on(self) -> None:
        """Beat, unless it does already."""
        if self._timer is None and self._loop is not None:
            now = self._clock()
            self._stall.beat(now)
            self._tick_due = now + _TICK
            self._timer = self._loop.call_later(_TICK, self._tick)

    def stop(self) -> None:
        for timer in (self._timer, self._padding_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._padding_timer = None
        self._stall.rest()

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        self._on_time = self._on_time and now - self._tick_due <= _LATE
        doubted = self._stall.look(now)
        if self._transports:
            self.go_on()
        else:
            self._stall.rest()
        if doubted:
            return
        for transport in list(self._transports.values()):
            try:
                transport.tick(now)
            except Exception:
                log.exception("tick failed", extra={"transport_id": transport.transport_id})
        self._pad_on()
        self._contained(self._take_over, now)
        if now >= self._speaker_due:
            self._speaker_due = now + _SPEAKER_INTERVAL
            self._contained(self._choose_speaker, now)
        if self._has_narrowed() or now >= self._layers_due:
            self._layers_due = now + _LAYER_INTERVAL
            self._contained(self._choose_layers, now)
        if now >= self._quality_due:
            self._quality_due = now + _QUALITY_INTERVAL
            self._contained(self._grade, now)

    def _pad_on(self) -> None:
        """Pad between two ticks, too, while some line is found out about by padding."""
        if self._loop is not None and self._padding_timer is None:
            if any(transport.pads for transport in self._transports.values()):
                self._padding_timer = self._loop.call_later(_PADDING_INTERVAL, self._pad)

    def _pad(self) -> None:
        self._padding_timer = None
        now = self._clock()
        if not self._stall.look(now):
            for transport in self._transports.values():
                if transport.pads:
                    self._contained(transport.probe, now)
            self._pad_on()

    def _contained(self, step: Callable[[float], None], now: float) -> None:
        """Take one step; a mistake of ours in it must not cost the session its pulse."""
        try:
            step(now)
        except Exception:
            log.exception("a step of the pulse failed")

    def _choose_speaker(self, now: float) -> None:
        voices = {
            name: loudness
            for name, person in self._people.items()
            if (loudness := person.loudness(now)) is not None
        }
        before = self._speaker.current
        speaker = self._speaker.decide(voices, now)
        if speaker != before:
            self._tell(lambda: self._listener.speaker_changed(speaker))
            self._spoken(speaker, now)

    def _has_narrowed(self) -> bool:
        """Whether somebody's line carries less: until a layer goes, all that is sent there suffers.

        A quarter of a second with thrice what a line carries is the loss of two voice packets in
        three, and more than redundancy mends.
        """
        narrowed = False
        for transport in self._transports.values():
            narrowed = narrowed or transport.estimate.lowered
            transport.estimate.lowered = False
        return narrowed

    def _choose_layers(self, now: float) -> None:
        people = list(self._people.values())
        on_time, self._on_time = self._on_time, True
        for person in people:
            choose_layers(person, now, on_time=on_time)
        for person in people:
            restrain(person, now)
            for publication in simulcast_of(person):
                self._tell_layers(person, publication, now)

    def _tell_layers(self, person: Person, publication: Publication, now: float) -> None:
        """Tell the widget which layers are needed, at once for more and after a while for less."""
        needed = needed_rids(publication, now)
        told = publication.told_rids
        if set(needed) == set(told):
            publication.fewer_since = None
            return
        if set(needed) < set(told):
            if publication.fewer_since is None:
                publication.fewer_since = now
            waited = now - publication.fewer_since >= _FEWER_LAYERS_SECONDS
            if not (waited and publication.turned_off.take(1, now)):
                return
        else:
            # What is needed no more has its own time.
            needed = tuple(rid for rid in publication.ordered_rids() if rid in (*needed, *told))
        publication.fewer_since = None
        publication.told_rids = needed
        self._tell(
            lambda: self._listener.layers_wanted(
                person.participant_id,
                publication.transport.transport_id,
                publication.source,
                needed,
            )
        )

    def _grade(self, now: float) -> None:
        for person in list(self._people.values()):
            measured = person.measured(now)
            if measured is not None and person.quality.measured(measured):
                self._tell_quality(person)

    def _tell_quality(self, person: Person) -> None:
        quality = person.quality
        self._tell(
            lambda: self._listener.quality_changed(
                person.participant_id, quality.grade, quality.reason
            )
        )
