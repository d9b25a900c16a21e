"""Carry one request of a brand's backend to the session's actor, and its answer back."""

from __future__ import annotations

import asyncio

from broker.errors import ErrorCode, Gone, NotFound, Unavailable
from broker.messages.cluster.base import read
from broker.messages.cluster.deeds import SessionCommand, SessionCommandDone
from broker.messages.cluster.records import RecordGet
from broker.messages.cluster.trunk import Location
from gateway.connections.attachment import attach
from gateway.connections.switchroom import Switchroom
from gateway.links.dial import End
from gateway.links.nobody import dial_as_nobody


async def command_session(
    room: Switchroom, account_id: str | None, asked: SessionCommand
) -> SessionCommandDone:
    """Find the session, ask it, and hang up; without an account (an operator) one of any.

    Raises:
        NotFound: no such session of this account.
        Gone: it has ended.
        Unavailable: the session cannot be reached, or was lost before it answered.
        SwitchboardError: the session's refusal.
    """
    limits = room.settings.limits

    async def try_at(location: Location, last_seq: int | None) -> End:
        return await dial_as_nobody(
            location, room.trunk_key, room.settings.gateway_id, limits.dial_timeout_s
        )

    location = await _locate(room, account_id, asked.session_id)
    end = await attach(try_at, room.directory, limits, location, last_seq=None)
    lost = Unavailable(
        ErrorCode.SESSION_AWAY, "The session did not answer; it may have done what was asked."
    )
    try:
        async with asyncio.timeout(limits.call_timeout_s):
            answer = await end.call(SessionCommand.method, asked.to_bytes())
    except TimeoutError:
        raise lost from None
    except Unavailable as error:
        if end.link.closed:
            raise lost from error
        raise
    finally:
        end.close()
    return read(SessionCommandDone, answer)


async def _locate(room: Switchroom, account_id: str | None, session_id: str) -> Location:
    """Another account's session answers as an unknown one, also when it has ended."""
    try:
        location = await room.directory.locate(session_id, account_id)
    except Gone:
        await room.directory.get_record(
            RecordGet(session_id=session_id, account_id=account_id, limit=1)
        )
        raise
    if account_id not in (None, location.account_id):
        raise NotFound(ErrorCode.UNKNOWN_SESSION, "There is no such session.")
    return location
