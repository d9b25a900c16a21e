"""Which widget carries its media by which transport, and what it was told of that transport."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from broker.messages.facts import MediaLayers
from broker.messages.parts import SeatAssignment
from broker.words import PublishSource


@dataclass(slots=True)
class Carried:
    """One transport, the widget that offered it, and what holds for its seats and layers now."""

    transport_id: str
    participant_id: str
    widget_id: str
    given_up: bool = False
    """Whether its widget has offered another since; what holds for it is noted and not told."""
    seats: dict[tuple[str, int], SeatAssignment] = field(default_factory=dict)
    layers: dict[PublishSource, MediaLayers] = field(default_factory=dict)

    def seated(self, assignments: Iterable[SeatAssignment]) -> None:
        """Note who sits where; seats that are not named keep their person."""
        for assignment in assignments:
            self.seats[assignment.kind, assignment.index] = assignment


class CarriedMedia:
    """The transports there are; each widget uses one at most: the one that it offered last."""

    def __init__(self) -> None:
        self._by_transport: dict[str, Carried] = {}

    def offered(self, participant_id: str, widget_id: str, transport_id: str) -> Carried | None:
        """Note an offer that was answered; a widget gives up what it offered before.

        Returns the transport if it had been given up: not all of it was told.
        """
        earlier = self.by_widget(participant_id, widget_id)
        if earlier is not None and earlier.transport_id != transport_id:
            earlier.given_up = True
        carried = self._by_transport.get(transport_id)
        if carried is None:
            carried = Carried(transport_id, participant_id, widget_id)
            self._by_transport[transport_id] = carried
        carried.widget_id = widget_id
        taken_up = carried if carried.given_up else None
        carried.given_up = False
        return taken_up

    def closed(self, transport_id: str) -> None:
        """Forget a transport; unknown ones are ignored."""
        self._by_transport.pop(transport_id, None)

    def layers_of(self, participant_id: str, widget_id: str) -> list[MediaLayers]:
        """Which layers are needed of what this widget sends, as it was told last."""
        carried = self.by_widget(participant_id, widget_id)
        return [] if carried is None else list(carried.layers.values())

    def seats_of(self, participant_id: str, widget_id: str) -> list[SeatAssignment]:
        """Who sits where in the transport that this widget carries."""
        carried = self.by_widget(participant_id, widget_id)
        return [] if carried is None else list(carried.seats.values())

    def widgets_of(self, participant_id: str) -> set[str]:
        """The widgets by which somebody's media are carried."""
        return {
            carried.widget_id
            for carried in self._by_transport.values()
            if carried.participant_id == participant_id and not carried.given_up
        }

    def by_transport(self, transport_id: str) -> Carried | None:
        """What was offered as this transport and has not closed."""
        return self._by_transport.get(transport_id)

    def by_widget(self, participant_id: str, widget_id: str) -> Carried | None:
        """What this widget carries its media by, if it does."""
        for carried in self._by_transport.values():
            names = (carried.participant_id, carried.widget_id)
            if names == (participant_id, widget_id) and not carried.given_up:
                return carried
        return None
