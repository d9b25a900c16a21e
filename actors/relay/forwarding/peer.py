"""Whose a publication or a slot is: what forwarding knows of a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from actors.relay.forwarding.outlet import Outlet
    from actors.relay.forwarding.publication import Publication
    from actors.relay.forwarding.wall_clock import WallClock
    from actors.relay.network.drops import Drops


class MediaPeer(Protocol):
    """The transport by which somebody sends a publication, or is sent what a slot shows."""

    participant_id: str
    transport_id: str
    outlet: Outlet
    wall_clock: WallClock
    """Of all that it sends."""
    drops: Drops
    """Counts what of it is thrown away."""
    key_frame_interval: float
    """Shortest time between two requests to one layer, in seconds."""

    def ready_to_take_over(self, publication: Publication, now: float) -> None:
        """A publication that is not passed on has shown something that can start."""
