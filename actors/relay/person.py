"""A participant as the relay knows one: rights, what they publish, their transports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .publication import Publication
from .terms import MediaRights, PublishSource

if TYPE_CHECKING:
    from .transport import Transport


class Person:
    """At most two transports: the current one, and during a handover the next."""

    __slots__ = ("current", "following", "participant_id", "published", "rights", "view")

    def __init__(self, participant_id: str, rights: MediaRights) -> None:
        self.participant_id = participant_id
        self.rights = rights
        self.published: dict[PublishSource, bool] = {}
        """What the person said; a source nobody spoke of counts as published."""
        self.current: Transport | None = None
        self.following: Transport | None = None
        """A newer transport that takes over at its first key frame."""
        self.view: dict[tuple[str, int], tuple[int, int] | None] = {}
        """(seat kind, index) → displayed size in pixels; None where hidden."""

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

    def shows_screen(self) -> bool:
        publication = self.publication(PublishSource.SCREEN)
        return publication is not None and publication.open and bool(publication.layers)

    def can_be_seated(self) -> bool:
        if self.current is None or not self.current.live:
            return False
        return any(
            self.publication(source) is not None
            for source in (PublishSource.MICROPHONE, PublishSource.CAMERA)
        )
