"""What a relay tells the session actor that owns it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from actors.relay.terms import PublishSource


class TransportState(StrEnum):
    """Life of the server end of one peer connection."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class SeatKind(StrEnum):
    SEAT = "seat"
    SCREEN = "screen"


class Grade(StrEnum):
    """Quality of one participant's connection, for people."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


@dataclass(frozen=True, slots=True)
class SeatUpdate:
    """Who sits in a seat of one subscriber from a given moment of the media on.

    The time stamps are those the subscriber's browser sees on the frames of that slot (RFC 3550);
    None where that slot did not change, or has no time line.
    """

    kind: SeatKind
    index: int
    participant_id: str | None
    audio_timestamp: int | None
    video_timestamp: int | None
    turn: int
    """The last three bits of the time stamp of each of their frames, and of no neighbour's."""


class RelayListener(Protocol):
    """Synchronous callbacks; an exception is logged and goes no further."""

    def transport_changed(
        self, participant_id: str, transport_id: str, state: TransportState
    ) -> None:
        """A transport connected, fell silent, came back or closed."""

    def seats_changed(
        self, participant_id: str, transport_id: str, seats: Sequence[SeatUpdate]
    ) -> None:
        """Tell this subscriber who sits where in one of their transports.

        A transport has seats of its own, and two exist during a handover. The first call for each
        seat names it even if it is empty.
        """

    def speaker_changed(self, participant_id: str | None) -> None:
        """Somebody else is speaking now; None after a while of silence."""

    def layers_wanted(
        self,
        participant_id: str,
        transport_id: str,
        source: PublishSource,
        rids: tuple[str, ...],
    ) -> None:
        """Of what this transport sends only these simulcast layers are needed."""

    def quality_changed(self, participant_id: str, grade: Grade, reason: str) -> None:
        """A participant's connection got better or worse; `reason` is a stable word."""

    def stood_still(self, seconds: float) -> None:
        """The process did, and its session may be another's: `Relay.go_on` once it is not."""
