"""Which layer each slot of one subscriber shall show: displayed sizes against an estimate.

Pure: from what is known to what is wanted. Everybody visible gets the lowest layer first, as far as
the line carries it; then the largest displays are raised, step by step, while the estimate allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from actors.relay.congestion.estimate import Congestion

_SHARE = 0.9
"""Of the estimate; the rest is for audio bursts and repairs."""
_OVERLOAD = {Congestion.NONE: inf, Congestion.LOSS: 2.0, Congestion.QUEUE: 1.15}
"""Of the estimate; so much what is sent already may take. What arrives whole at once is carried,
whatever the estimate knows. A cut leaves 0.85 of what arrives: behind a queue what is more takes
the voice with it, late or lost. Loss without a queue is the line's own, and a fifth of it leaves
half of what is sent."""
_MARGIN = 1.2
"""A rise must fit this much better than what is shown already, or layers would flicker."""
_LARGE_ENOUGH = 0.8
"""A layer is large enough from this part of the displayed height on."""


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """A layer as the choice sees it, lowest first in its list."""

    rid: str
    height: int
    """Pixels; 0 while no key frame told."""
    bitrate: float
    """Measured, or what such a layer usually takes while it is off."""


@dataclass(frozen=True, slots=True)
class Demand:
    """One visible slot: the layers of what it shows, and how large it is displayed."""

    layers: Sequence[LayerFacts]
    height: int
    """Displayed pixels; 0 when the widget has not said, which means as large as possible."""
    shown: int
    """Index of the layer it shows now; -1 for none."""
    held: bool = False
    """Whether it is held back now: to begin again it has to fit better than what goes on."""


def highest_useful(demand: Demand) -> int:
    """Return the lowest layer that fills the display, or the highest there is."""
    if demand.height:
        for index, layer in enumerate(demand.layers):
            if layer.height and layer.height >= _LARGE_ENOUGH * demand.height:
                return index
    return len(demand.layers) - 1


def carried(demands: Sequence[Demand], bitrate: float, congestion: Congestion) -> list[bool]:
    """Say of each slot whether the line carries its lowest layer, which is the least it can show.

    What costs least comes first: so most are seen, and nobody's excess costs another their picture.
    """
    found = [True] * len(demands)
    spent = 0.0
    most = _OVERLOAD[congestion]
    for index in sorted(range(len(demands)), key=lambda index: demands[index].layers[0].bitrate):
        demand = demands[index]
        cost = demand.layers[0].bitrate
        if spent + cost <= bitrate * (_SHARE if demand.held else most):
            spent += cost
        else:
            found[index] = False
    return found


def rooms_of(demands: Sequence[Demand], bitrate: float) -> list[float]:
    """Say of each slot how much its lowest layer could take beside the others'.

    Each has an equal part of what those that cost less leave: nobody has to be less for the sake
    of one that takes more.
    """
    rooms = [0.0] * len(demands)
    left = bitrate * _SHARE
    costs = [demand.layers[0].bitrate for demand in demands]
    for place, index in enumerate(sorted(range(len(demands)), key=lambda index: costs[index])):
        rooms[index] = part = left / (len(demands) - place)
        left -= min(costs[index], part)
    return rooms


def choose(demands: Sequence[Demand], bitrate: float) -> tuple[list[int], bool]:
    """Return each slot's layer index, and whether a higher one was wanted but did not fit."""
    budget = bitrate * _SHARE
    chosen = [0] * len(demands)
    spent = sum(demand.layers[0].bitrate for demand in demands)
    useful = [highest_useful(demand) for demand in demands]
    order = sorted(
        range(len(demands)), key=lambda index: demands[index].height or 1 << 30, reverse=True
    )
    starved = False
    raised = True
    while raised:
        raised = False
        for index in order:
            here = chosen[index]
            if here >= useful[index]:
                continue
            layers = demands[index].layers
            cost = layers[here + 1].bitrate - layers[here].bitrate
            margin = 1.0 if demands[index].shown > here else _MARGIN
            if (spent + max(0.0, cost)) * margin <= budget:
                chosen[index] += 1
                spent += max(0.0, cost)
                raised = True
            else:
                starved = True
    return chosen, starved
