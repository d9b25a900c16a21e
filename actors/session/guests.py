"""Guests: the links they come by, and the names that those were made with.

A name stands beside the journal under the link's id, and who comes by a link for one person keeps
that id: whoever erases the guest erases the name in the invitation with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.session.person import Person
from actors.session.repeats import code_of, mark_of
from broker.commands import InviteGuest
from broker.messages.cluster.trunk import Principal
from broker.state import SessionState
from broker.words import Role

if TYPE_CHECKING:
    from actors.session.live import LiveSession


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that was given to nobody yet. Only its address holds the code."""

    command: InviteGuest
    url: str


def new_link(
    command_id: str, key: bytes, by: str, uses: int, expires_in_s: int, public_url: str
) -> NewLink:
    """Build the link that a command makes: the same each time, though its code is kept nowhere.

    `key` is the cluster's, without which nobody finds the code.
    """
    code = code_of(command_id, key)
    command = InviteGuest(
        by=by,
        guest_invitation_id=mark_of(command_id),
        code_hash=hashlib.sha256(code.encode()).hexdigest(),
        uses=uses,
        expires_in_ms=expires_in_s * 1000,
    )
    return NewLink(command, f"{public_url}/join#{code}")


def invite(
    session: LiveSession, link: NewLink, name: str | None, reply: Callable[[], None]
) -> None:
    """Make a link, for somebody by name if one is given; one that was made before is told again.

    Raises:
        SwitchboardError: what the core refuses.
    """
    named = None
    link_id = link.command.guest_invitation_id
    known = link_id in session.decided.guest_link_ids
    if name and not known:
        principal = Principal(role=Role.GUEST, account_id=session.account_id, name=name)
        named = Person(link_id, principal)
    subjects = [named.subject()] if named else ()
    session.do(link.command, widens=not known, subjects=subjects, reply=reply)
    if named is not None:
        session.people[link_id] = named


def guest_of(session: LiveSession, principal: Principal, participant_id: str) -> Person:
    """Who comes by a link: whom it was made for by name, or somebody by this new id."""
    link_id = principal.guest_invitation_id or ""
    named = session.people.get(link_id)
    if named is None:
        return Person(participant_id, principal)
    name = named.principal.name
    if _is_for_one(session.decided, link_id):
        return Person(link_id, principal.model_copy(update={"name": name}))
    return Person(participant_id, principal.model_copy(update={"name": principal.name or name}))


def forget(session: LiveSession, link_id: str) -> None:
    """The link is gone; of whom it was made for, and did not come, the record alone knows."""
    if link_id not in session.decided.participants:
        session.people.pop(link_id, None)


def _is_for_one(state: SessionState, link_id: str) -> bool:
    """Whether the link was made for one person, who has not come yet."""
    link = state.guest_links.get(link_id)
    used = any(each.guest_invitation_id == link_id for each in state.participants.values())
    return link is not None and link.uses_left == 1 and not used
