"""What one peer reports and asks for: RTCP that has passed authentication (RFC 3550, RFC 4585).

It ends here: nothing of it is forwarded, and how much of it has any effect is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from actors.relay.budget import Budget
from actors.relay.wire import rtcp
from actors.relay.wire.transport_feedback import ArrivalReader

if TYPE_CHECKING:
    from actors.relay.transport.intake import Intake

_MOST_REQUESTS = 1000
"""Packets one subscriber may ask for again, per second."""
_MOST_KEY_FRAMES = 100
"""Key frames one subscriber may ask for per second, of all pictures together: a packet has room for
as many entries of a FIR. How many are made is for each publication to say."""
_MOST_FEEDBACKS, _FEEDBACKS_AT_ONCE = 50, 20
"""Transport-wide feedback messages looked at per second; browsers send ten to twenty."""
_MOST_PARTS = 16
"""Of one compound; four bytes make one, and browsers send ten at most."""


class Feedback:
    """The half of an intake that is about what its peer receives. Belongs to it."""

    __slots__ = (
        "_arrivals",
        "_feedbacks",
        "_intake",
        "_key_frames",
        "_requests",
        "_transport",
        "key_frames_wanted",
        "nacked",
    )

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._transport = intake.transport
        self.nacked = 0
        """Packets the peer asked for once more; those above its allowance count once a message."""
        self.key_frames_wanted = 0
        """Requests of the peer; those above its allowance are not counted."""
        self._requests = Budget(_MOST_REQUESTS, _MOST_REQUESTS)
        self._key_frames = Budget(_MOST_KEY_FRAMES, _MOST_KEY_FRAMES)
        self._feedbacks = Budget(_MOST_FEEDBACKS, _FEEDBACKS_AT_ONCE)
        self._arrivals = ArrivalReader()

    def take(self, compound: bytes, now: float) -> None:
        """Take one decrypted compound: a copy, because what it causes may use the buffers."""
        for part in islice(rtcp.parts_of(memoryview(compound)), _MOST_PARTS):
            self._part(part, now)

    def _part(self, part: rtcp.Part, now: float) -> None:
        body = part.body
        match part.kind:
            case rtcp.SR:
                info = rtcp.sender_info(body)
                if info is not None:
                    layer = self._intake.layers.get(info.ssrc)
                    if layer is not None:
                        layer.clock.reported(info, now)
                self._reports(body, part.form, 24, now)
            case rtcp.RR:
                self._reports(body, part.form, 4, now)
            case rtcp.PSFB if part.form == rtcp.PLI and len(body) >= 8:
                self._key_frames_wanted((int.from_bytes(body[4:8], "big"),), now)
            case rtcp.PSFB if part.form == rtcp.FIR:
                self._key_frames_wanted(rtcp.whole_pictures_wanted(body), now)
            case rtcp.RTPFB if part.form == rtcp.NACK:
                self._missed(body, now)
            case rtcp.RTPFB if part.form == rtcp.TRANSPORT_CC:
                if self._feedbacks.take(1, now):
                    self._transport.estimate.feedback(self._arrivals.read(body), now)
            case rtcp.PSFB if part.form == rtcp.APPLICATION:
                bitrate = rtcp.remb_of(body)
                if bitrate is not None:
                    self._transport.estimate.remb(bitrate, now)
            case _:
                return

    def _missed(self, body: memoryview, now: float) -> None:
        slot = self._transport.slots_by_ssrc.get(int.from_bytes(body[4:8], "big"))
        if slot is not None:
            for number in rtcp.nacked(body):
                self.nacked += 1
                # The bound is what makes a storm of requests cost others nothing.
                if not self._requests.take(1, now):
                    return
                slot.repairs.resend(number, now)

    def _reports(self, body: memoryview, count: int, start: int, now: float) -> None:
        worst = -1
        for report in rtcp.reports_of(body, count, start):
            slot = self._transport.slots_by_ssrc.get(report.ssrc)
            if slot is None:
                continue
            slot.fraction_lost = report.fraction_lost
            slot.expected, slot.reported = slot.packets - slot.reported, slot.packets
            slot.jitter = report.jitter
            # Where all pictures are held back the voices tell what the line loses.
            if slot.layer is not None and (slot.video or self._transport.held):
                worst = max(worst, report.fraction_lost)
            if report.last_sender_report:
                arrival = rtcp.ntp_of(now + self._transport.owner.epoch) >> 16 & 0xFFFFFFFF
                trip = arrival - report.last_sender_report - report.delay & 0xFFFFFFFF
                if trip < 0x80000000:
                    slot.round_trip = trip / 65536
        if worst >= 0:
            # One line, one reading of it, however many slots are reported on.
            self._transport.estimate.reported_loss(worst / 256, now)

    def _key_frames_wanted(self, ssrcs: Iterable[int], now: float) -> None:
        for ssrc in ssrcs:
            if not self._key_frames.take(1, now):
                return
            slot = self._transport.slots_by_ssrc.get(ssrc)
            if slot is not None and slot.video and slot.layer is not None:
                self.key_frames_wanted += 1
                slot.request_key_frame(now)
