"""A participant as the relay knows one: rights, what they publish, their transports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.relay.forwarding.publication import Publication
from actors.relay.people.quality import Measured, QualityWatch, lost_of_all
from actors.relay.terms import MediaRights, PublishSource

if TYPE_CHECKING:
    from actors.relay.transport.transport import Transport


class Person:
    """At most two transports: the current one, and during a handover the next."""

    __slots__ = (
        "current",
        "following",
        "participant_id",
        "published",
        "quality",
        "rights",
        "settled",
        "spoke",
    )

    def __init__(self, participant_id: str, rights: MediaRights) -> None:
        self.participant_id = participant_id
        self.rights = rights
        self.published: dict[PublishSource, bool] = {}
        """What the person said; a source nobody spoke of counts as published."""
        self.current: Transport | None = None
        self.following: Transport | None = None
        """A newer transport that takes over at its first key frame."""
        self.settled = float("-inf")
        """When a widget of this person last said what it sends."""
        self.spoke = float("-inf")
        """When this person last became the speaker."""
        self.quality = QualityWatch()

    def transports(self) -> list[Transport]:
        return [t for t in (self.current, self.following) if t is not None]

    def publication(self, source: PublishSource) -> Publication | None:
        """The current transport's publication of this source."""
        if self.current is not None:
            for publication in self.current.publications.values():
                if publication.source is source:
                    return publication
        return None

    def may_pass(self, source: PublishSource) -> bool:
        return self.rights.may_send(source) and self.published.get(source, True)

    def apply(self, now: float) -> None:
        """Open or close every publication by rights, mute and transport."""
        for transport in self.transports():
            for publication in transport.publications.values():
                publication.set_open(
                    transport is self.current and self.may_pass(publication.source), now
                )

    def is_for(self, other: str) -> bool:
        """Whether this person may be seen and heard by that one."""
        audience = self.rights.audience
        return audience is None or other in audience

    def shows_screen(self) -> bool:
        publication = self.publication(PublishSource.SCREEN)
        return publication is not None and publication.open and bool(publication.layers)

    def can_be_seated(self) -> bool:
        if self.current is None or not self.current.live or not self.rights.takes_part:
            return False
        return any(
            self.publication(source) is not None
            for source in (PublishSource.MICROPHONE, PublishSource.CAMERA)
        )

    def loudness(self, now: float) -> float | None:
        """How loud this voice is; None while it may not be heard by everybody."""
        if self.rights.audience is not None:
            return None
        publication = self.publication(PublishSource.MICROPHONE)
        if publication is None or not publication.open:
            return None
        return publication.loudness.at(now)

    def measured(self, now: float) -> Measured | None:
        """The worst of what the current transport shows; None before it is connected."""
        transport = self.current
        if transport is None or not transport.live or not self.rights.takes_part:
            return None
        heard = transport.ice.last_heard()
        slots = [slot for slot in transport.all_slots() if slot.layer is not None]
        layers = transport.intake.layers.values()
        return Measured(
            silence=now - heard if heard is not None else 0.0,
            loss_down=lost_of_all([(slot.fraction_lost / 256, slot.expected) for slot in slots]),
            loss_up=lost_of_all([(layer.loss, layer.expected) for layer in layers]),
            round_trip=max((slot.round_trip or 0.0 for slot in slots), default=0.0),
            narrow=now - transport.narrow_since if transport.narrow_since is not None else 0.0,
            held=transport.held,
        )
