"""How the media of a live session flow, as the server API shows it.

Rates are bits per second of payload, losses fractions of the last report interval, times
milliseconds. Every count begins with its transport.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from broker.messages.parts import SlotReport
from broker.words import PublishSource


class LayerView(BaseModel):
    """One encoding of a publication: what arrives from its sender."""

    rid: str
    """Its name in simulcast (RFC 8852), empty without."""
    codec: str
    packets: int
    repaired: int
    """Packets that came as retransmissions (RFC 4588)."""
    key_frames: int
    bitrate: int
    height: int
    """Pixels, as its last key frame said; 0 while unknown."""
    loss: float
    jitter_ms: float
    feeds: int
    """Slots that it feeds now."""


class PublicationView(BaseModel):
    """What somebody sends under one name."""

    source: PublishSource
    open: bool
    """False while muted, off or not allowed: nothing of it is forwarded."""
    layers: list[LayerView]


class SubscriptionView(BaseModel):
    """One slot of a receiving widget."""

    kind: str
    """`seat` or `screen`."""
    index: int
    video: bool
    participant_id: str | None
    """Whose media it is for."""
    rid: str | None
    """The layer it is fed from."""
    feeding: bool
    wanted: bool | None = None
    """False: its widget does not show it, or may not. Null: an actor of an earlier release."""
    waiting: bool | None = None
    """Whether it waits for a key frame, or for the first packet."""
    held: bool | None = None
    """Whether it is held back, because its receiver's line does not carry it."""
    packets: int
    bitrate: int
    loss: float
    """By the receiver's reports (RFC 3550 §6.4)."""
    jitter_ms: float
    round_trip_ms: float | None
    repairs_sent: int
    repairs_refused: int
    """Retransmissions asked for beyond what their share of the line allows."""


class TransportView(BaseModel):
    """One peer connection of a widget."""

    transport_id: str
    participant_id: str
    state: str
    srtp_profile: str | None
    estimate: int
    """What this widget can receive, in bits per second."""
    estimate_loss: float
    bitrate_in: int
    bitrate_out: int
    loss_in: float
    loss_out: float
    round_trip_ms: float | None
    silence_seconds: float | None
    packets_received: int
    packets_sent: int
    drops: dict[str, int]
    """Packets of this transport that were thrown away, by reason."""
    publications: list[PublicationView]
    subscriptions: list[SubscriptionView]


class QualityView(BaseModel):
    """A participant's connection in two words."""

    quality: str
    """`good`, `fair` or `poor`."""
    reason: str


class MediaState(BaseModel):
    """The media of a live session this moment."""

    transports: list[TransportView] = []
    participants: dict[str, QualityView] = {}
    reports: dict[str, list[SlotReport]] = {}
    """What each participant's widget measured on its slots since its report before the last."""
    drops: dict[str, Annotated[int, Field(ge=0)]] = {}
    """Datagrams the whole relay threw away, by reason; `kernel` and `sends_blocked` at 0 mean that
    nothing was lost here."""


def media_state(snapshot: dict[str, Any]) -> MediaState:
    """Read what a session actor said. Raises pydantic's ValidationError for what it cannot be."""
    return MediaState.model_validate(snapshot)
