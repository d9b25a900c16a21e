"""Choosing simulcast layers for every subscriber, and telling publishers which are needed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from actors.relay.congestion.allocation import (
    Demand,
    LayerFacts,
    carried,
    choose,
    highest_useful,
    rooms_of,
)
from actors.relay.congestion.estimate import Congestion
from actors.relay.congestion.restraint import FILLED, LEAST_FOR_OTHERS

if TYPE_CHECKING:
    from actors.relay.forwarding.publication import Publication
    from actors.relay.forwarding.slot import Slot
    from actors.relay.people.person import Person
    from actors.relay.transport.transport import Transport

_GONE = 5.0
"""Seconds without a packet after which nobody is asked for less of it: a still screen sends one a
second."""
_USUAL = (150_000.0, 500_000.0, 1_700_000.0)
"""What layers usually take, lowest first, while nothing has been measured."""


def choose_layers(person: Person, now: float, *, on_time: bool) -> None:
    """Choose for each of a person's transports what its slots shall show.

    `on_time` says that the process has had its processor: else the lines are not to blame, and no
    picture begins to be held back.
    """
    for transport in person.transports():
        if transport.live:
            _choose(transport, now, on_time=on_time)


def _choose(transport: Transport, now: float, *, on_time: bool) -> None:
    """Give voices what they take, then pictures what is left; what does not fit is held back."""
    wanted: list[tuple[Slot, Demand]] = []
    slots: list[Slot] = []
    demands: list[Demand] = []
    held = 0
    spare = transport.estimate.bitrate
    for slot in transport.all_slots():
        publication = slot.publication
        slot.room = None
        if publication is None or not slot.enabled or not publication.open:
            continue
        if slot.video:
            demand = _demand_of(transport, slot, publication, now)
            if demand is not None:
                wanted.append((slot, demand))
        else:
            spare -= sum(layer.bitrate for layer in publication.layers.values())
    spare = max(0.0, spare)
    congestion = transport.estimate.congestion(now) if on_time else Congestion.NONE
    found = carried([demand for _, demand in wanted], spare, congestion)
    rooms = rooms_of([demand for _, demand in wanted], spare)
    for (slot, demand), fits, room in zip(wanted, found, rooms, strict=True):
        slot.room = room
        asked = slot.publication.restraint.asked if slot.publication is not None else None
        changed = slot.hold.note(fits, now, asked=asked)
        if slot.hold.held:
            held += 1
            # What is above it may be turned off at the sender.
            slot.wanted_rid = demand.layers[0].rid
            if changed:
                slot.retarget(now)
        else:
            slots.append(slot)
            demands.append(demand)
    chosen, starved = choose(demands, spare)
    transport.held = held
    restrained = any(
        slot.publication is not None
        and slot.room is not None
        and slot.publication.restraint.would_take_more_than(FILLED * slot.room)
        for slot in slots
    )
    transport.starved = starved or restrained or held > 0
    narrow = any(i == 0 < highest_useful(demand) for i, demand in zip(chosen, demands, strict=True))
    if not narrow:
        transport.narrow_since = None
    elif transport.narrow_since is None:
        transport.narrow_since = now
    for slot, demand, index in zip(slots, demands, chosen, strict=True):
        slot.wanted_rid = demand.layers[index].rid
        slot.retarget(now)


def restrain(person: Person, now: float) -> None:
    """Ask for less of what a person sends in one layer only, where lines do not carry it."""
    transport = person.current
    if transport is None or not transport.live:
        return
    publications = list(transport.publications.values())
    for publication in publications:
        if not publication.may_be_restrained:
            continue
        if not publication.open or publication.silence(now) > _GONE:
            publication.restraint.lift()
        else:
            rooms = [
                (FILLED * slot.room, slot.hold.pressed)
                for slot in publication.subscribers
                if slot.room is not None
            ]
            others = _costs_others(publication, publications)
            publication.restraint.note(rooms, publication.sent(now), now, others=others)
    transport.asking.tick(publications, transport.config.max_bits_per_second, now)


def _costs_others(publication: Publication, all_of_sender: Sequence[Publication]) -> bool:
    """Whether somebody who does not see it has room for another picture of the same sender."""
    here = {slot.transport for slot in publication.subscribers if slot.room is not None}
    return any(
        slot.room is not None
        and slot.transport not in here
        and (not slot.hold.pressed or FILLED * slot.room >= LEAST_FOR_OTHERS)
        for other in all_of_sender
        if other.video
        for slot in other.subscribers
    )


def _demand_of(
    transport: Transport, slot: Slot, publication: Publication, now: float
) -> Demand | None:
    """Say what a slot's picture takes; None while nothing of it has come."""
    layers = facts_of(publication, now)
    if not layers:
        return None
    shown = slot.layer.rid if slot.layer is not None else None
    if shown is None:
        # Whoever sees nothing yet begins with what comes soonest and is never off.
        layers = layers[:1]
    size = transport.view.get((slot.kind, slot.index))
    return Demand(
        layers,
        size[1] if size else 0,
        next((i for i, layer in enumerate(layers) if layer.rid == shown), -1),
        slot.hold.held,
    )


def facts_of(publication: Publication, now: float) -> list[LayerFacts]:
    """List every layer, lowest first, with guesses for those that are off.

    A layer that is off costs at least what is sent in its place: the lowest that is not
    (`Publication.layer_for`). One that never came between two that did is taken for as far from
    either: held to be too small it would be turned off and never come, while more is sent than is
    displayed. Without simulcast there is one, as soon as it is there.
    """
    facts: list[LayerFacts] = []
    lowest = next((layer for layer in publication.ordered() if layer.active(now)), None)
    passed = lowest is None
    for index, rid in enumerate(publication.ordered_rids() or publication.layers):
        layer = publication.layers.get(rid)
        passed = passed or layer is lowest
        usual = _USUAL[min(index, len(_USUAL) - 1)]
        bitrate = layer.bitrate if layer is not None and layer.bitrate else usual
        if lowest is not None and not passed:
            bitrate = max(bitrate, lowest.bitrate)
        facts.append(LayerFacts(rid, layer.height if layer is not None else 0, bitrate))
    for index in range(1, len(facts) - 1):
        below, above = facts[index - 1].height, facts[index + 1].height
        if not facts[index].height and 0 < below < above:
            facts[index] = replace(facts[index], height=math.isqrt(below * above))
    return facts


def needed_rids(publication: Publication, now: float) -> tuple[str, ...]:
    """Return the layers somebody is to see, and always the lowest.

    Whoever comes next begins with it: turned off, it would cost them a message to the publisher
    and an encoder's start before their first picture.
    """
    facts = facts_of(publication, now)
    watching = [slot for slot in publication.subscribers if slot.enabled]
    if not facts:
        return ()
    wanted = {facts[0].rid}
    wanted.update(slot.wanted_rid for slot in watching if slot.wanted_rid is not None)
    return tuple(fact.rid for fact in facts if fact.rid in wanted)


def simulcast_of(person: Person) -> Iterable[Publication]:
    """The publications of a person that have layers to choose from."""
    if person.current is None:
        return ()
    return [p for p in person.current.publications.values() if len(p.rids) > 1 and p.layers]
