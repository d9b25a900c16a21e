"""An agent's start of a session, from its request until its widget has followed it there."""

from __future__ import annotations

import asyncio
from typing import Protocol

from broker.errors import ErrorCode, Gone, SwitchboardError
from broker.messages import encode
from broker.messages.client import SessionEnd, SessionStart
from broker.messages.cluster.base import Done
from broker.messages.cluster.sessions import SessionWithdraw
from broker.messages.cluster.trunk import Location
from broker.messages.facts import RequestDone, SessionWaiting
from gateway.connections.standing import Standing
from gateway.links.directory import Directory
from gateway.refusals import refused
from gateway.settings import Settings


class Client(Protocol):
    """The connection of the widget that starts."""

    @property
    def standing(self) -> Standing | None: ...
    def put(self, data: bytes) -> None: ...


class Start:
    """Asks the ledger for a session, one start at a time, and takes back what was asked for.

    A start is `ask`ed for, then `open`ed by the steward when its turn comes, and may be taken back
    until `settle`. The steward closes it.
    """

    def __init__(self, client: Client, directory: Directory, settings: Settings) -> None:
        self._client = client
        self._directory = directory
        self._settings = settings
        self._asked: SessionStart | None = None
        self._withdrawal: SessionWithdraw | None = None
        """Takes back what the ledger was asked for; until it is refused, or was followed."""
        self._unsaid: asyncio.Timeout | None = None
        """Ends the wait for the ledger, until the ledger has been asked."""
        self._withdrawing: set[asyncio.Task[None]] = set()

    @property
    def is_asked(self) -> bool:
        """Whether the ledger has not answered yet, or has not been asked."""
        return self._asked is not None

    @property
    def is_revocable(self) -> bool:
        """Whether there is something that could be taken back."""
        return self._asked is not None or self._withdrawal is not None

    def ask(self, message: SessionStart) -> bool:
        """Take what a widget asks for; False when a session is being opened."""
        if self._asked is not None:
            return False
        self._asked = message
        return True

    def on_queued(self, within_ms: int) -> None:
        """Say that the session being opened waits for a standby; zero: that it does no more.

        It may have been asked for by a page of this agent in whose place this one came.
        """
        standing = self._client.standing
        if self._asked is None and standing is not None:
            self._withdrawal = standing.withdrawal() if within_ms else None
        self._client.put(encode(SessionWaiting(within_ms=within_ms)))

    async def open(self) -> Location | None:
        """Have the ledger give the engagement a session, and answer the widget.

        `None`: it was refused, or nothing is asked for.
        """
        standing, message = self._client.standing, self._asked
        if standing is None or message is None:
            return None
        try:
            opening = standing.opening(
                message.mode,
                policy=self._settings.policy_of(standing.principal.account_id),
                label=self._settings.label_of(standing.principal.account_id),
            )
            self._withdrawal = standing.withdrawal()
            async with asyncio.timeout(None) as self._unsaid:
                location = await self._directory.open_session(opening, holds=self._say)
        except (SwitchboardError, TimeoutError) as error:
            self._withdrawal = None
            refusal = error if isinstance(error, SwitchboardError) else _withdrawn()
            self._client.put(refused(refusal, message.id))
            return None
        finally:
            self._asked = self._unsaid = None
        self._client.put(encode(RequestDone(reply_to=message.id)))
        return location

    def settle(self) -> None:
        """The widget is in its session, or has been turned away: the start is over."""
        self._withdrawal = None

    def withdraw(self, message: SessionEnd) -> None:
        """Take back what `is_revocable`; returns at once, and outlives the connection."""
        unsaid, self._unsaid = self._unsaid, None
        if unsaid is not None:
            unsaid.reschedule(asyncio.get_running_loop().time())
            self._client.put(encode(RequestDone(reply_to=message.id)))
        elif self._withdrawal is not None:
            task = asyncio.get_running_loop().create_task(self._withdraw(message, self._withdrawal))
            self._withdrawing.add(task)
            task.add_done_callback(self._withdrawing.discard)
        elif self._asked is not None:
            # Another errand has kept it from being asked for.
            start, self._asked = self._asked, None
            self._client.put(refused(_withdrawn(), start.id))
            self._client.put(encode(RequestDone(reply_to=message.id)))

    async def close(self) -> None:
        """Wait for what is being taken back: a gateway that stops cuts its link next."""
        if self._withdrawing:
            await asyncio.wait(self._withdrawing)

    def _say(self) -> bool:
        """Whether the ledger is to be asked; from now on it is for it to take that back."""
        unsaid, self._unsaid = self._unsaid, None
        return unsaid is not None

    async def _withdraw(self, message: SessionEnd, withdrawal: SessionWithdraw) -> None:
        try:
            await self._directory.ask(withdrawal, Done)
        except SwitchboardError as error:
            self._client.put(refused(error, message.id))
        else:
            self._client.put(encode(RequestDone(reply_to=message.id)))


def _withdrawn() -> Gone:
    return Gone(ErrorCode.WITHDRAWN, "The start was taken back.")
