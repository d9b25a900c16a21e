"""What is asked of a live session by a trunk on which nobody joins.

The brand's backend has its calls become commands with its authority; a gateway has done again what
an earlier tenure could not save.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import assert_never

from pydantic import ValidationError

from actors.link import Future
from actors.session import guests, views
from actors.session.live import LiveSession, new_id
from actors.session.repeats import Answering, mark_of
from broker.commands import (
    Admit,
    CancelInvitation,
    Command,
    End,
    Grant,
    Mute,
    RefuseEntry,
    Remove,
    RevokeGuest,
    SendInvitation,
)
from broker.errors import ErrorCode, Internal, Malformed, SwitchboardError
from broker.link import LinkEnd, Reply
from broker.messages.cluster.base import Done, read
from broker.messages.cluster.deeds import (
    DeedAdmit,
    DeedCancelInvitation,
    DeedEnd,
    DeedGrant,
    DeedInvite,
    DeedInviteGuest,
    DeedList,
    DeedMedia,
    DeedMute,
    DeedRefuseEntry,
    DeedRemove,
    DeedRevokeGuest,
    PresentParticipant,
    SessionCommand,
    SessionCommandDone,
)
from broker.messages.cluster.tenure import SessionUnsaved
from broker.rights import BACKEND

_LOG = logging.getLogger(__name__)


class BackendCalls:
    """Answers the calls of one such trunk; each once its events are durable."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session

    def on_call(self, end: LinkEnd[Future], method: str, payload: bytes, reply: Reply) -> None:
        """Handle one call; whatever is wrong with it stays with its caller."""
        self._answered(reply, lambda: self._handle(method, payload, reply))

    def _handle(self, method: str, payload: bytes, reply: Reply) -> None:
        match method:
            case SessionCommand.method:
                asked = read(SessionCommand, payload)
                first = self._session.repeats.first(asked.command_id, reply)
                if first is not None:
                    self._answered(first, lambda: self._do(asked, first))
            case SessionUnsaved.method:
                done = partial(reply.done, Done().to_bytes())
                self._session.unsaved.recall(read(SessionUnsaved, payload), done)
            case _:
                raise Malformed(ErrorCode.MALFORMED, "Something unknown was asked for.")

    def _answered(self, reply: Answering, step: Callable[[], None]) -> None:
        """Take a step of a call; what it raises is the call's answer."""
        try:
            step()
        except ValidationError:
            reply.fault(Malformed(ErrorCode.MALFORMED, "The backend's call cannot be read."))
        except SwitchboardError as refusal:
            reply.fault(refusal)
        except Exception:
            _LOG.exception("backend call failed", extra={"session_id": self._session.session_id})
            reply.fault(Internal(ErrorCode.INTERNAL, "Something went wrong on our side."))

    def _do(self, asked: SessionCommand, reply: Answering) -> None:
        # A gateway of the release before may give it no name: then it is done each time.
        command_id = asked.command_id or new_id()
        mark = mark_of(command_id)
        match asked.deed:
            case DeedList():
                reply.done(SessionCommandDone(participants=self._present()).to_bytes())
            case DeedMedia():
                media = self._session.media.snapshot()
                done = SessionCommandDone(participants=self._present(), media=media)
                reply.done(done.to_bytes())
            case DeedInviteGuest() as deed:
                self._invite_guest(deed, command_id, reply)
            case DeedEnd():
                self._command(End(BACKEND), mark, reply, widens=False)
            case DeedInvite() as deed:
                self._invite(deed, mark, reply)
            case DeedCancelInvitation():
                self._command(CancelInvitation(BACKEND), mark, reply, widens=False)
            case DeedAdmit() as deed:
                admit = Admit(BACKEND, deed.participant_id)
                self._command(admit, mark, reply, widens=True)
            case DeedRefuseEntry() as deed:
                refuse = RefuseEntry(BACKEND, deed.participant_id)
                self._command(refuse, mark, reply, widens=False)
            case DeedRevokeGuest() as deed:
                revoke = RevokeGuest(BACKEND, deed.guest_invitation_id)
                self._command(revoke, mark, reply, widens=False)
            case DeedRemove() as deed:
                remove = Remove(BACKEND, deed.participant_id)
                self._command(remove, mark, reply, widens=False)
            case DeedMute() as deed:
                mute = Mute(BACKEND, deed.participant_id, tuple(deed.sources))
                self._command(mute, mark, reply, widens=False)
            case DeedGrant() as deed:
                grant = Grant(BACKEND, deed.participant_id, frozenset(deed.capabilities))
                self._command(grant, mark, reply, widens=True)
            case _:
                assert_never(asked.deed)

    def _invite(self, deed: DeedInvite, mark: str, reply: Answering) -> None:
        invite = SendInvitation(BACKEND, mark, deed.mode)
        done = SessionCommandDone(invitation_id=mark)
        self._command(invite, mark, reply, widens=True, done=done)

    def _invite_guest(self, deed: DeedInviteGuest, command_id: str, reply: Answering) -> None:
        session = self._session
        config = session.config
        link = guests.new_link(
            command_id,
            config.trunk_key,
            BACKEND,
            deed.uses,
            deed.expires_in_s,
            config.public_url,
        )
        done = SessionCommandDone(
            guest_invitation_id=link.command.guest_invitation_id,
            url=link.url,
            expires_in_ms=link.command.expires_in_ms,
        )
        guests.invite(session, link, deed.name, partial(reply.done, done.to_bytes()))

    def _command(
        self,
        command: Command,
        mark: str,
        reply: Answering,
        *,
        widens: bool,
        done: SessionCommandDone | None = None,
    ) -> None:
        answer = partial(reply.done, (done or SessionCommandDone()).to_bytes())
        if self._session.did(mark):
            self._session.after_durable(answer)
        else:
            self._session.do(command, widens=widens, reply=answer, mark=mark)

    def _present(self) -> list[PresentParticipant]:
        session = self._session
        return [
            PresentParticipant.model_validate(entry.model_dump())
            for entry in views.roster(session.durable, session.people, staff=True)
        ]
