"""A participant's connection in one word and its reason: good, fair or poor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from actors.relay.listener import Grade

_LEAST_PACKETS = 20
"""Of all streams between two reports; fewer say nothing of what a line loses."""
SILENT = "silent"
_RANK = {Grade.GOOD: 0, Grade.FAIR: 1, Grade.POOR: 2}


@dataclass(frozen=True, slots=True)
class Measured:
    """The worst of what one participant's streams show, over the last seconds."""

    silence: float = 0.0
    """Seconds since anything authentic came."""
    loss_down: float = 0.0
    """Fraction of packets that did not reach them."""
    loss_up: float = 0.0
    """Fraction of their packets that did not reach the relay."""
    round_trip: float = 0.0
    """Seconds."""
    narrow: float = 0.0
    """Seconds since the line carries no more than the smallest of some picture shown larger."""
    held: int = 0
    """Pictures that are not sent, because the line does not carry them."""


def lost_of_all(streams: Sequence[tuple[float, int]]) -> float:
    """Return which share of a line's packets is lost, from that and the count of each stream.

    Whoever is silent sends two or three packets in a second: one of them lost is no bad line, and
    of many who are silent somebody always loses one.
    """
    count = sum(packets for _, packets in streams)
    if count < _LEAST_PACKETS:
        return 0.0
    return sum(fraction * packets for fraction, packets in streams) / count


def judge(measured: Measured) -> tuple[Grade, str]:
    """Grade one measurement; the reason is a stable word, empty when all is well."""
    worst = (Grade.GOOD, "")
    for value, fair, poor, reason in (
        (measured.silence, 2.0, 5.0, SILENT),
        (measured.held, 1, 1, "bandwidth"),
        (measured.loss_down, 0.03, 0.10, "loss_down"),
        (measured.loss_up, 0.03, 0.10, "loss_up"),
        (measured.round_trip, 0.30, 0.60, "delay"),
        # It costs sharpness only; and every line begins with the smallest, until it is measured.
        (measured.narrow, 8.0, inf, "bandwidth"),
    ):
        grade = Grade.POOR if value >= poor else Grade.FAIR if value >= fair else Grade.GOOD
        if _RANK[grade] > _RANK[worst[0]]:
            worst = (grade, reason)
    return worst


class QualityWatch:
    """Changes the grade only when two measurements in a row agree, so that it does not flicker.

    Silence alone is over at once: of somebody who is back nobody reads that nothing arrives.
    """

    __slots__ = ("_candidate", "grade", "reason")

    def __init__(self) -> None:
        self.grade = Grade.GOOD
        self.reason = ""
        self._candidate: tuple[Grade, str] | None = None

    def measured(self, measured: Measured) -> bool:
        """Take a measurement; True when the grade or its reason changed."""
        judged = judge(measured)
        if judged == (self.grade, self.reason):
            self._candidate = None
            return False
        if self.reason == SILENT != judged[1]:
            self.grade, self.reason = Grade.GOOD, ""
            self._candidate = judged
            return True
        if judged != self._candidate:
            self._candidate = judged
            return False
        self.grade, self.reason = judged
        self._candidate = None
        return True
