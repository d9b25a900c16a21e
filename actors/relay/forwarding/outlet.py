"""What one peer is sent: its path, its keys, its transport-wide numbers.

The counterpart of `Intake`. Forwarded packets leave with the departures of the wake-up that brought
them; repairs, probes and RTCP are written into the outbox, protected there and sent at once.
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import TYPE_CHECKING, Any

from actors.relay.budget import Budget
from actors.relay.congestion.estimate import Estimate
from actors.relay.network.departures import Departures
from actors.relay.network.ice import IceLite
from actors.relay.network.pylibsrtp_private import Buffer, Srtp
from actors.relay.wire.rtcp import (
    RR,
    SR,
    negative_acknowledgement,
    picture_loss,
    receiver_report,
    source_description,
)

if TYPE_CHECKING:
    from actors.relay.forwarding.repairs import Repairs

_FIRST_ESTIMATE = 2_500_000
"""Bits per second assumed of a subscriber before it has reported anything."""
_REPAIR_SHARE = 0.2
_REPAIR_BURST = 24_000
"""Bytes beyond that share: about one key frame."""
_AT_ONCE_SECONDS = 0.05
"""So much of the line repairs may take at once, and no more than the line while they last: a line
in need of them has a queue already, and what is put on top of it is what is lost next."""
_LEAST_AT_ONCE = 2_600
"""Bytes: two packets, on however narrow a line."""
_MOST_WAITING = 64
"""Repairs that wait for their turn."""
_LONGEST_WAIT = 0.5
"""Seconds after which a repair is too late for its picture."""


class Outlet:
    """The outbound half of a transport; closed by it."""

    __slots__ = (
        "_outbound",
        "_pace",
        "_share",
        "_waiting",
        "cname",
        "departures",
        "estimate",
        "feedback_ssrc",
        "handle",
        "ice",
        "key_frames_asked",
        "layer_switches",
        "octets_sent",
        "outbox",
        "packets_sent",
        "reduced_size",
        "refused_sends",
        "transport_sequence",
    )

    def __init__(self, ice: IceLite, departures: Departures, cname: str) -> None:
        self.ice = ice
        self.cname = cname
        """Whose feedback is (RFC 3550 §6.5.1)."""
        self.departures = departures
        """Where slots put the packets of the present wake-up."""
        self.outbox = Buffer()
        """For what is sent by itself: repairs, probes, RTCP."""
        self.handle: Any = None
        """libsrtp's, for packets in the departures' cells; None before there are keys."""
        self.estimate = Estimate(_FIRST_ESTIMATE)
        """What this peer can receive."""
        self.transport_sequence = secrets.randbelow(1 << 15)
        self.feedback_ssrc = 1 + secrets.randbelow(0xFFFFFFFE)
        self.reduced_size = False
        self.packets_sent = 0
        self.octets_sent = 0
        self.key_frames_asked = 0
        self.layer_switches = 0
        """Slots that went on with another layer of the same person."""
        self.refused_sends = 0
        """Packets libsrtp would not protect: repeats, or far too old."""
        self._outbound: Srtp | None = None
        """None before there are keys, and when there are none any more."""
        self._share = Budget(0.0, _REPAIR_BURST)
        self._pace = Budget(0.0, _REPAIR_BURST)
        self._waiting: deque[tuple[Repairs, int, float]] = deque()
        """Repairs in the order in which they were asked for: whose, which, and since when."""
        self._share_repairs()

    def keyed(self, outbound: Srtp) -> None:
        """Take the keys the handshake gave."""
        self._outbound = outbound
        self.handle = outbound.handle

    def close(self) -> None:
        """Forget the keys: nothing is sent any more."""
        self._outbound = None
        self.handle = None
        self._waiting.clear()

    def send_rtp(self, size: int, now: float, *, counted: bool) -> None:
        """Protect and send the packet in the outbox; `Slot.forward` has its own.

        `counted` says that it carries the present transport-wide number.
        """
        outbound, path = self._outbound, self.ice.selected
        if outbound is None or path is None:
            return
        size = outbound.protect(self.outbox, size)
        if not size:
            self.refused_sends += 1
        elif path.socket.send(self.outbox.view[:size], path.endpoint):
            self.packets_sent += 1
            self.octets_sent += size
            if counted:
                self.estimate.sent(self.transport_sequence, size, now)

    def repeat(self, protected: bytes, number: int | None, now: float) -> None:
        """Send once more, byte for byte, what left under this transport-wide number, if any."""
        path = self.ice.selected
        if path is not None and path.socket.send(protected, path.endpoint):
            self.packets_sent += 1
            self.octets_sent += len(protected)
            if number is not None:
                self.estimate.sent(number, len(protected), now)

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send one compound (or reduced-size) RTCP packet."""
        outbound = self._outbound
        selected = self.ice.selected
        if outbound is None or selected is None:
            return
        outbox = self.outbox
        if not self.reduced_size and packet[1] not in (SR, RR):
            # RFC 4585 §3.1: without reduced size a report and a name come first.
            ssrc = self.feedback_ssrc
            packet = receiver_report(ssrc, ()) + source_description(ssrc, self.cname) + packet
        outbox.view[: len(packet)] = packet
        size = outbound.protect_rtcp(outbox, len(packet))
        if size:
            selected.socket.send(outbox.view[:size], selected.endpoint)

    def send_picture_loss(self, ssrc: int) -> None:
        self.key_frames_asked += 1
        self.send_rtcp(picture_loss(self.feedback_ssrc, ssrc))

    def send_missing(self, ssrc: int, sequences: list[int]) -> None:
        numbers = [sequence & 0xFFFF for sequence in sequences]
        self.send_rtcp(negative_acknowledgement(self.feedback_ssrc, ssrc, numbers))

    def repair(self, repairs: Repairs, number: int, now: float) -> bool:
        """Let this be sent again when its turn comes; False when too many wait already."""
        if len(self._waiting) >= _MOST_WAITING:
            return False
        self._waiting.append((repairs, number, now))
        self._go_on_repairing(now)
        return True

    def tick(self, now: float) -> None:
        """Give repairs their share of the present estimate, and send those whose turn it is."""
        self._share_repairs()
        self._go_on_repairing(now)

    def may_resend(self, octets: int, now: float) -> bool:
        """Say whether a repair of this size may leave now: by the pace, and by its share."""
        share = self._share
        return share.has(octets, now) and self._pace.take(octets, now) and share.take(octets, now)

    def _share_repairs(self) -> None:
        line = self.estimate.bitrate / 8
        self._share.rate = _REPAIR_SHARE * line
        pace = self._pace
        pace.rate = line
        pace.burst = max(_LEAST_AT_ONCE, _AT_ONCE_SECONDS * line)

    def _go_on_repairing(self, now: float) -> None:
        waiting = self._waiting
        while waiting:
            repairs, number, since = waiting[0]
            if now - since > _LONGEST_WAIT:
                repairs.give_up(number)
            elif not repairs.send(number, now):
                return
            waiting.popleft()
