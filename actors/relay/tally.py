"""What a relay has done since it was made, added up when somebody asks.

Nothing counts here: packets are counted where they pass, and each transport and socket leaves its
counts when it closes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from actors.relay.listener import TransportState
from broker.measures import Count, Standing

if TYPE_CHECKING:
    from actors.relay.network.port import Socket
    from actors.relay.relay import Relay
    from actors.relay.transport.transport import Transport


class Tally:
    """The counts of what has closed, and from them and what is open those of all."""

    def __init__(self) -> None:
        self._closed: Counter[Count] = Counter()

    def keep_transport(self, transport: Transport) -> None:
        """Take the counts of a transport that has just closed."""
        self._closed += counts_of_transport(transport)

    def keep_sockets(self, sockets: Iterable[Socket]) -> None:
        """Take the counts of sockets that are about to close."""
        for socket in sockets:
            self._closed += counts_of_socket(socket)

    def of_all(self, relay: Relay) -> Counter[Count]:
        """Add up what a relay has done; no count of it ever falls."""
        total = self._closed.copy()
        for transport in relay.transports.values():
            total += counts_of_transport(transport)
        for socket in relay.sockets:
            total += counts_of_socket(socket)
        total[Count.DROPPED_STRANGER] += relay.dropped_strangers
        total[Count.DROPPED_MISTAKE] += relay.mistakes
        return total


def counts_of_transport(transport: Transport) -> Counter[Count]:
    """Read what one transport has counted; it may have closed."""
    intake, outlet = transport.intake, transport.outlet
    slots = transport.all_slots()
    answered = sum(slot.repairs.sent for slot in slots)
    # What waits for its turn may come to either, and no count may fall.
    waiting = sum(slot.repairs.waiting for slot in slots)
    found = Counter(
        {
            Count.PACKETS_IN: intake.packets,
            Count.BYTES_IN: intake.octets,
            Count.PACKETS_OUT: outlet.packets_sent,
            Count.BYTES_OUT: outlet.octets_sent,
            Count.DROPPED_REFUSED: outlet.refused_sends,
            Count.DROPPED_LATE: sum(slot.late for slot in slots),
            Count.NACKED_ANSWERED: answered,
            Count.NACKED_UNANSWERED: intake.feedback.nacked - answered - waiting,
            Count.KEY_FRAMES_IN: intake.feedback.key_frames_wanted,
            Count.KEY_FRAMES_OUT: outlet.key_frames_asked,
            Count.LAYER_SWITCHES: outlet.layer_switches,
        }
    )
    for reason, dropped in intake.drops.as_dict().items():
        found[Count(f"dropped.{reason}")] += dropped
    return found


def counts_of_socket(socket: Socket) -> Counter[Count]:
    """Read what one open socket has counted."""
    return Counter(
        {
            Count.DROPPED_BLOCKED: socket.dropped_sends,
            Count.DROPPED_FAILED: socket.failed_sends,
            Count.DROPPED_KERNEL: socket.kernel_drops(),
        }
    )


def standing_of(relay: Relay) -> Counter[Standing]:
    """Count the transports by state, and who has a live one by the grade of their connection."""
    found: Counter[Standing] = Counter()
    for transport in relay.transports.values():
        if transport.state is not TransportState.CLOSED:
            found[Standing(f"transports.{transport.state}")] += 1
    for person in relay.people.values():
        if person.current is not None and person.current.live:
            found[Standing(f"grades.{person.quality.grade}")] += 1
    return found
