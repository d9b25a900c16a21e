"""From an offer and its layout to what each section becomes (design-media §2 and §3).

Whatever is refused is refused before anything has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.relay.forwarding.publication import Publication
from actors.relay.forwarding.slot import Slot
from actors.relay.listener import SeatKind
from actors.relay.sdp.answer import AnsweredSection, SlotNames
from actors.relay.sdp.codec import Codec, accepted_codecs
from actors.relay.sdp.offer import Offer, OfferedSection, refusal
from actors.relay.terms import OfferLayout, PublishSource
from actors.relay.transport.transport import Transport
from actors.relay.wire.rtp import MID_URI, RID_URI

_RID_EXTENSIONS = {MID_URI, RID_URI}
"""Without them layers cannot be told apart."""


@dataclass(frozen=True, slots=True)
class PlannedSection:
    """A section of the offer, what it means, and the codecs both sides have."""

    offered: OfferedSection
    source: PublishSource | None
    receives: bool
    codecs: tuple[Codec, ...]
    """Empty for a section that is refused: data channels and what the layout does not name."""


def plan_sections(offer: Offer, layout: OfferLayout) -> list[PlannedSection]:
    """Match the layout with the offer.

    Raises:
        Malformed: `offer_invalid` where they do not fit, `no_common_codec`.
    """
    sections = {section.mid: section for section in offer.sections if section.mid}
    receiving: dict[str, str] = {}
    for audio, video in layout.seats:
        for mid, kind in ((audio, "audio"), (video, "video")):
            if mid in receiving:
                raise refusal("The layout names a section twice.")
            receiving[mid] = kind
    for mid in layout.screens:
        if mid in receiving:
            raise refusal("The layout names a section twice.")
        receiving[mid] = "video"
    for mid, source in layout.publish.items():
        section = sections.get(mid)
        kind = "audio" if source is PublishSource.MICROPHONE else "video"
        if mid in receiving or section is None or section.kind != kind:
            raise refusal("The layout names a section to publish on that the offer has not.")
    if len(set(layout.publish.values())) != len(layout.publish):
        raise refusal("The layout publishes one source twice.")
    for mid, kind in receiving.items():
        section = sections.get(mid)
        if section is None or section.kind != kind:
            raise refusal("The layout names a section to receive on that the offer has not.")
        if section.direction not in ("recvonly", "sendrecv"):
            raise refusal("A section of a seat must be offered for receiving.")
    planned: list[PlannedSection] = []
    for section in offer.sections:
        source_here = layout.publish.get(section.mid) if section.mid else None
        receives = section.mid in receiving
        codecs: tuple[Codec, ...] = ()
        if source_here is not None or receives:
            codecs = accepted_codecs(section, publishing=source_here is not None)
        planned.append(PlannedSection(section, source_here, receives, codecs))
    return planned


def apply_sections(
    transport: Transport, planned: Sequence[PlannedSection], layout: OfferLayout, now: float
) -> list[AnsweredSection]:
    """Give the transport its publications and slots; slots that exist keep their SSRCs.

    Raises:
        Malformed: `offer_invalid` where a seat or a screen has another section than before.
    """
    slots = {slot.mid: slot for slot in transport.all_slots()}
    pairs = list(transport.seats)
    for index, (audio, video) in enumerate(layout.seats):
        if index >= len(pairs):
            cname = f"{transport.cname}-{index}"
            pair = tuple(
                Slot(transport, SeatKind.SEAT, index, mid, video=is_video, cname=cname, now=now)
                for mid, is_video in ((audio, False), (video, True))
            )
            pairs.append((pair[0], pair[1]))
        elif (pairs[index][0].mid, pairs[index][1].mid) != (audio, video):
            raise refusal("A seat may not change its sections.")
    screens = list(transport.screens)
    for index, mid in enumerate(layout.screens):
        if index >= len(screens):
            cname = f"{transport.cname}-screen-{index}"
            screens.append(
                Slot(transport, SeatKind.SCREEN, index, mid, video=True, cname=cname, now=now)
            )
        elif screens[index].mid != mid:
            raise refusal("A screen slot may not change its section.")
    transport.seats = pairs
    transport.screens = screens
    slots = {slot.mid: slot for slot in transport.all_slots()}
    transport.slots_by_ssrc = {slot.ssrc: slot for slot in slots.values()}
    _drop_publications(transport, planned, now)
    answered: list[AnsweredSection] = []
    extensions: dict[str, int] = {}
    for section in planned:
        answer = _apply(transport, section, slots)
        if section.source is not None:
            extensions.update(answer.extensions)
        answered.append(answer)
    transport.intake.negotiated(extensions)
    transport.outlet.reduced_size = all(s.offered.reduced_size for s in planned if s.codecs)
    return answered


def new_publications(transport: Transport, planned: Sequence[PlannedSection]) -> int:
    """Count what this offer would publish that the transport does not publish yet."""
    known = {mid: publication.source for mid, publication in transport.publications.items()}
    return sum(known.get(mid) is not source for mid, source in _published(planned).items())


def _published(planned: Sequence[PlannedSection]) -> dict[str, PublishSource]:
    return {
        section.offered.mid: section.source
        for section in planned
        if section.codecs and section.source is not None
    }


def _drop_publications(transport: Transport, planned: Sequence[PlannedSection], now: float) -> None:
    """Close what the offer no longer publishes; which SSRCs it names, the offer says anew."""
    published = _published(planned)
    for mid, publication in list(transport.publications.items()):
        if published.get(mid) is not publication.source:
            del transport.publications[mid]
            publication.close(now)
            transport.intake.forget(publication)
    transport.intake.signalled.clear()


def _apply(
    transport: Transport, section: PlannedSection, slots: dict[str, Slot]
) -> AnsweredSection:
    offered = section.offered
    if not section.codecs:
        return AnsweredSection(offered)
    if section.source is not None:
        rids: tuple[str, ...] = ()
        if section.source is PublishSource.CAMERA and _RID_EXTENSIONS <= offered.extensions.keys():
            # Each is a layer once, however often it is named.
            rids = tuple(dict.fromkeys(offered.rids))[: transport.config.max_layers]
        publication = transport.publications.get(offered.mid)
        if publication is None:
            publication = Publication(transport, offered.mid, section.source)
            transport.publications[offered.mid] = publication
            transport.published += 1
        publication.negotiated(section.codecs, rids)
        publication.signalled = bool(offered.ssrcs)
        for ssrc in offered.ssrcs:
            transport.intake.signalled[ssrc] = publication
        off = frozenset(rids).difference(publication.told_rids)
        return AnsweredSection(offered, section.codecs, rids=rids, off=off)
    slot = slots[offered.mid]
    track = f"{slot.stream}-{offered.kind}"
    names = SlotNames(slot.ssrc, slot.repairs.ssrc, slot.cname, slot.stream, track)
    answer = AnsweredSection(offered, section.codecs, names)
    slot.negotiated(section.codecs, answer.extensions)
    return answer
