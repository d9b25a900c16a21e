"""Who sits in which seat of each subscriber: people keep their places (design-media §3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from actors.relay.forwarding.publication import Publication
from actors.relay.forwarding.slot import Slot
from actors.relay.listener import SeatKind, SeatUpdate, TransportState
from actors.relay.people.person import Person
from actors.relay.terms import PublishSource
from actors.relay.transport.transport import Transport


def arrange(
    seated: Sequence[str | None],
    wanted: Sequence[str],
    speaker: str | None = None,
    spoke: Mapping[str, float] | None = None,
) -> list[str | None]:
    """Return the new occupants of the seats.

    Whoever is still wanted stays where they are; those who are not leave an empty seat, which
    goes to whoever of the others `spoke` last, or else to the first of `wanted`. With more people
    than seats the speaker takes the seat of the one who has been silent longest.
    """
    times = spoke or {}

    def last_word(person: str) -> float:
        return times.get(person, float("-inf"))

    result = [person if person in wanted else None for person in seated]
    standing = sorted(
        (person for person in wanted if person not in result), key=last_word, reverse=True
    )
    for index, person in enumerate(result):
        if person is None and standing:
            result[index] = standing.pop(0)
    if speaker in standing:
        silent = min(
            (index for index, person in enumerate(result) if person is not None),
            key=lambda index: last_word(result[index] or ""),
            default=None,
        )
        if silent is not None:
            result[silent] = speaker
    return result


class Seating:
    """Gives slots to people and publications to slots; told by the relay when anything changed."""

    def __init__(
        self,
        people: Mapping[str, Person],
        transports: Mapping[str, Transport],
        tell: Callable[[Transport, list[SeatUpdate]], None],
    ) -> None:
        """Work on the relay's own people and transports; `tell` takes each transport's updates."""
        self._people = people
        self._transports = transports
        self._tell = tell
        self._speaker: str | None = None

    def spoken(self, speaker: str | None, now: float) -> None:
        """Note who speaks now: whoever is heard is to be seen."""
        self._speaker = speaker
        person = self._people.get(speaker) if speaker is not None else None
        if person is not None:
            person.spoke = now
            self.reseat(now)

    def reseat(self, now: float) -> None:
        """Give every subscriber the people there are, keeping everybody's place."""
        seated = [p for p in self._people.values() if p.can_be_seated()]
        sharing = [p for p in self._people.values() if p.shows_screen()]
        for transport in list(self._transports.values()):
            subscriber = self._people.get(transport.participant_id)
            if not transport.live or subscriber is None or not subscriber.rights.takes_part:
                continue
            own = transport.participant_id
            here = [p for p in seated if p.is_for(own)]
            updates = self._seat(transport, SeatKind.SEAT, here, now)
            here = [p for p in sharing if p.is_for(own)]
            updates += self._seat(transport, SeatKind.SCREEN, here, now)
            if updates:
                self._tell(transport, updates)

    def apply_view(self, person: Person, now: float) -> None:
        """Feed or pause this person's slots by what they may and want to see."""
        for transport in person.transports():
            for slot in transport.all_slots():
                slot.enabled = self._is_wanted(transport, slot)
                slot.retarget(now)

    def _seat(
        self, transport: Transport, kind: SeatKind, people: Sequence[Person], now: float
    ) -> list[SeatUpdate]:
        own = transport.participant_id
        count = len(transport.seats) if kind is SeatKind.SEAT else len(transport.screens)
        before = [transport.occupants.get((kind, index)) for index in range(count)]
        others = [p for p in people if p.participant_id != own]
        after = arrange(
            before,
            [p.participant_id for p in others],
            self._speaker if kind is SeatKind.SEAT else None,
            {p.participant_id: p.spoke for p in others},
        )
        updates: list[SeatUpdate] = []
        for index, occupant in enumerate(after):
            slots = _slots_of(transport, kind, index)
            for slot in slots:
                slot.enabled = self._is_wanted(transport, slot)
                slot.follow(self._publication_for(slot, occupant), now)
            # Empty ones are told, too: the subscriber may remember those of an older transport.
            if occupant == before[index] and (kind, index) in transport.occupants:
                continue
            transport.occupants[kind, index] = occupant
            updates.append(
                SeatUpdate(
                    kind,
                    index,
                    occupant,
                    slots[0].numbering.promise(now) if kind is SeatKind.SEAT else None,
                    slots[-1].numbering.promise(now),
                    slots[-1].numbering.turn,
                )
            )
        return updates

    def _publication_for(self, slot: Slot, occupant: str | None) -> Publication | None:
        person = self._people.get(occupant) if occupant is not None else None
        if person is None:
            return None
        if slot.kind is SeatKind.SCREEN:
            return person.publication(PublishSource.SCREEN)
        return person.publication(PublishSource.CAMERA if slot.video else PublishSource.MICROPHONE)

    def _is_wanted(self, transport: Transport, slot: Slot) -> bool:
        person = self._people.get(transport.participant_id)
        if person is None or not person.rights.takes_part:
            return False
        if transport.state is TransportState.RECONNECTING:
            # Who misses 2¹⁵ packets of an SSRC never decrypts it again (see `Numbering`).
            return False
        if not slot.video:
            return True
        return person.rights.receive_video and (
            transport.view.get((slot.kind, slot.index), (0, 0)) is not None
        )


def _slots_of(transport: Transport, kind: SeatKind, index: int) -> Sequence[Slot]:
    return transport.seats[index] if kind is SeatKind.SEAT else [transport.screens[index]]
