"""Others who say they are the consumer: the agent is asked, and nobody is displaced.

Whoever is let in comes by a guest link made for their own claim secret: beside the consumer, with
a guest's rights, and only after they accepted. Until then they learn nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.session.person import Person, encode_body
from broker.close_codes import CloseCode
from broker.commands import DeclineGuest, InviteGuest
from broker.errors import Conflict, ErrorCode, NotFound
from broker.messages.cluster.trunk import TrunkHello
from broker.messages.facts import ConflictsChanged, InvitationChanged, SessionLeft
from broker.messages.parts import ConflictView, Difference, EngagementIds, InvitationView
from broker.rights import require_capability
from broker.state import GuestLink
from broker.words import Capability, InvitationState, LeaveReason, Surface

if TYPE_CHECKING:
    from actors.session.live import LiveSession

OPEN_LIMIT = 4
"""Asked about at once; further strangers wait unheard, as do those who were kept out."""
KEPT_OUT_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Claimant:
    """Somebody at the engagement without the consumer's secret."""

    conflict_id: str
    surface: Surface
    engagement: EngagementIds | None


class Conflicts:
    """The claimants of one live session, by the hash of their secret. Memory of one tenure."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._open: dict[str, Claimant] = {}
        self._kept_out: OrderedDict[str, None] = OrderedDict()

    def noticed(self, hello: TrunkHello, conflict_id: str) -> None:
        """Somebody was turned away; ask the agent, once for each secret."""
        claim = hello.principal.claim_hash
        if claim is None or claim in self._open or claim in self._kept_out:
            return
        if len(self._open) < OPEN_LIMIT:
            self._open[claim] = Claimant(conflict_id, hello.surface, hello.engagement)
            self._tell()

    def views(self) -> list[ConflictView]:
        """What those who may admit are shown."""
        consumer = self._session.people.get(self._session.decided.consumer_id or "")
        return [
            ConflictView(
                conflict_id=each.conflict_id,
                surface=each.surface,
                differences=_differences(consumer, each),
            )
            for each in self._open.values()
        ]

    def admission(self, by: str, conflict_id: str, link_id: str) -> tuple[str, InviteGuest]:
        """Build what lets a claimant in; returns their claim, too. Raises NotFound."""
        claim = self._claim_of(conflict_id)
        life_ms = self._session.decided.policy.invitation_ms
        return claim, InviteGuest(by, link_id, claim, 1, life_ms, admitted=True)

    def admitted(self, claim: str) -> None:
        """The claimant is welcome: durable now."""
        if self._open.pop(claim, None) is not None:
            self._tell()

    def dismiss(self, by: str, conflict_id: str) -> None:
        """Keep a claimant out. Raises NotFound, Forbidden, Conflict."""
        require_capability(self._session.decided, by, Capability.ADMIT)
        claim = self._claim_of(conflict_id)
        del self._open[claim]
        self._kept_out[claim] = None
        while len(self._kept_out) > KEPT_OUT_LIMIT:
            self._kept_out.popitem(last=False)
        self._tell()

    # Whoever was let in, until they answer.

    def link_of(self, claim: str | None) -> GuestLink | None:
        """The open admission of a claim, when it is durable."""
        session = self._session
        for link in session.durable.guest_links.values():
            if link.admitted and link.code_hash == claim and link.expires_ms > session.now_ms():
                return link
        return None

    def invitation(
        self, person: Person, state: InvitationState = InvitationState.RINGING
    ) -> InvitationView | None:
        """The admission as the invitation that its person sees."""
        link = self.link_of(person.principal.claim_hash)
        if link is None:
            return None
        session = self._session
        inviter = session.people.get(link.by)
        return InvitationView(
            invitation_id=link.guest_invitation_id,
            state=state,
            mode=session.durable.mode,
            from_name=inviter.principal.name if inviter else "",
            from_picture=inviter.principal.picture if inviter else None,
            surfaces=person.surfaces,
            visible=person.visible,
            expires_in_ms=link.expires_ms - session.now_ms(),
            monitoring=session.durable.policy.silent_monitoring,
        )

    def decline(self, person: Person, invitation_id: str) -> DeclineGuest:
        """Build the command of whoever was let in and does not come. Raises Conflict."""
        view = self.invitation(person, InvitationState.DECLINED)
        if view is None or view.invitation_id != invitation_id:
            raise Conflict(ErrorCode.NO_INVITATION, "There is no such invitation.")
        person.tell(encode_body(InvitationChanged(seq=0, invitation=view)))
        return DeclineGuest(person.participant_id, invitation_id)

    def on_link_closed(self, link: GuestLink) -> None:
        """An admission was withdrawn, declined or forgotten: its person goes back to waiting."""
        person = self._session.people.of_claim(link.code_hash) if link.admitted else None
        inside = {each.participant_id for each in self._session.durable.inside()}
        if person is not None and person.participant_id not in inside:
            body = encode_body(SessionLeft(seq=0, reason=LeaveReason.LEFT))
            person.part(body, CloseCode.NORMAL, "withdrawn", to_waiting=True)

    def _claim_of(self, conflict_id: str) -> str:
        for claim, claimant in self._open.items():
            if claimant.conflict_id == conflict_id:
                return claim
        raise NotFound(ErrorCode.UNKNOWN_PARTICIPANT, "Nobody waits by that id any more.")

    def _tell(self) -> None:
        session = self._session
        body = encode_body(ConflictsChanged(seq=0, conflicts=self.views()))
        for participant in session.durable.inside():
            if Capability.ADMIT in participant.capabilities:
                session.people[participant.participant_id].tell(body)


def _differences(consumer: Person | None, claimant: Claimant) -> list[Difference]:
    """In what the claimant's ids differ from those of the consumer who is known."""
    known = None if consumer is None else consumer.engagement
    rows: list[tuple[str, str | None, str | None]] = [
        (
            name,
            None if known is None else getattr(known, name),
            None if claimant.engagement is None else getattr(claimant.engagement, name),
        )
        for name in ("visitor_id", "participant_visitor_id", "visitor_name", "channel")
    ]
    surfaces = [] if consumer is None else consumer.surfaces
    rows.append(("surface", surfaces[0] if surfaces else None, claimant.surface))
    return [
        Difference(what=what, known=one, claimed=other) for what, one, other in rows if one != other
    ]
