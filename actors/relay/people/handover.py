"""From a person's older transport to a newer one of theirs: a pop-out, a reload, another device."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.relay.forwarding.publication import Publication
from actors.relay.people.person import Person
from actors.relay.terms import PublishSource
from actors.relay.transport.transport import Transport

_LONGEST = 3.0
"""Seconds after which a newer transport that shows no key frame takes over anyway, counted from
where its person says what they send."""
_LONGEST_PROMPT = 60.0
"""So long a browser may ask for camera and microphone, while the older transport goes on."""


class Handover:
    """Decides when a newer transport takes over, and closes the older. A relay's own."""

    def __init__(
        self, people: Mapping[str, Person], reseat: Callable[[float], None], silence: float
    ) -> None:
        """Work on the relay's people; whoever has said nothing for `silence` seconds is gone."""
        self._people = people
        self._reseat = reseat
        self._silence = silence

    def ready(self, publication: Publication, now: float) -> None:
        """A transport shows something that can start: a key frame, or audio alone."""
        person = self._people.get(publication.transport.participant_id)
        if person is None or person.following is not publication.transport:
            return
        camera = person.publication(PublishSource.CAMERA)
        if publication.video or camera is None or not camera.open or not camera.layers:
            self.take_over(person, now)

    def take_over(self, person: Person, now: float) -> None:
        """Let a person's newer transport be the current one, and close the older."""
        older, newer = person.current, person.following
        person.current, person.following = newer, None
        person.apply(now)
        self._reseat(now)
        if older is not None:
            older.close(now)

    def look(self, now: float) -> None:
        """Ask again for a lost key frame; let those take over that have waited for too long."""
        for person in list(self._people.values()):
            older, newer = person.current, person.following
            if older is None or newer is None or not newer.live:
                continue
            since, longest = max(newer.created, person.settled), _LONGEST
            if person.settled < newer.created and self._is_sending(older, now):
                longest = _LONGEST_PROMPT
            if now - since > longest:
                self.take_over(person, now)
            else:
                _ask_for_key_frame(newer, now)

    def _is_sending(self, transport: Transport, now: float) -> bool:
        """Whether somebody is seen or heard by it; a page that was closed may not have said so."""
        heard = transport.ice.last_heard()
        if heard is None or now - heard > self._silence:
            return False
        return any(each.open and each.layers for each in transport.publications.values())


def _ask_for_key_frame(newer: Transport, now: float) -> None:
    """Ask for one where pictures come: it would have taken over at its first."""
    for publication in newer.publications.values():
        sending = [layer for layer in publication.ordered() if layer.active(now)]
        if publication.video and sending:
            sending[0].send_key_request(now)
