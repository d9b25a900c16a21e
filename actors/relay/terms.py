"""The words the session actor and the relay share about media."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from broker.words import PublishSource as PublishSource


@dataclass(frozen=True, slots=True)
class OfferLayout:
    """What the widget says the sections of its offer mean; nothing is guessed."""

    publish: Mapping[str, PublishSource]
    """MID of each section the widget sends on."""
    seats: tuple[tuple[str, str], ...]
    """(audio MID, video MID) of each pair of receive-only sections."""
    screens: tuple[str, ...]
    """MIDs of the receive-only video sections for screen shares."""


@dataclass(frozen=True, slots=True)
class MediaRights:
    """What a participant may send and receive; enforced in the packet path."""

    send_audio: bool
    send_video: bool
    send_screen: bool
    receive_video: bool = True
    """False for a voice-only participant: no video is forwarded to them."""
    audience: frozenset[str] | None = None
    """Who may see and hear this participant; `None`: everybody. Nobody else is told of them."""
    takes_part: bool = True
    """False before an invitation is answered: the connection may stand, but nothing passes either
    way, and nobody is told of it."""

    def may_send(self, source: PublishSource) -> bool:
        match source:
            case PublishSource.MICROPHONE:
                return self.send_audio
            case PublishSource.CAMERA:
                return self.send_video
            case PublishSource.SCREEN:
                return self.send_screen
