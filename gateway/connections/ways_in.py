"""How the agent of an idle widget could come into a session, as their widget was told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from broker.messages.colleagues import ColleagueCalled
from broker.messages.facts import WaysChanged
from broker.words import Way

SHOWN_S = 120.0
"""How long a widget shows that somebody asks, as long as the asking session believes it does."""
NONE = WaysChanged(ways=[])


class WaysIn:
    """The ways into the live session of the widget's engagement, or into that of who asks.

    A colleague who asks goes first, one at a time: whoever asks second is not shown, and asks again
    later. `tell` tells the widget and says whether it may be told now. Closed by its connection.
    """

    def __init__(self, tell: Callable[[WaysChanged], bool]) -> None:
        self._tell = tell
        self._own: list[Way] = []
        self._told = NONE
        self._timer: asyncio.TimerHandle | None = None
        self.called: ColleagueCalled | None = None
        """By whom the agent is asked now."""

    def offer(self, ways: list[Way]) -> None:
        """Those into the session of the widget's own engagement; none without one."""
        self._own = ways
        self._show()

    def call(self, called: ColleagueCalled) -> None:
        """Show that a colleague asks; asked again by the same session, anew."""
        current = self.called
        if current is None or current.location.session_id == called.location.session_id:
            self._forget()
            self.called = called
            self._timer = asyncio.get_running_loop().call_later(SHOWN_S, self.settle)
            self._show()

    def settle(self, session_id: str | None = None) -> None:
        """That session's call (whichever, when none is named) was answered, or nobody answers."""
        current = self.called
        if current is not None and session_id in (None, current.location.session_id):
            self._forget()
            self._show()

    def close(self) -> None:
        """The widget is in a session or gone: there are none; harmless when closed."""
        self._own, self._told = [], NONE
        self._forget()

    def _forget(self) -> None:
        self.called = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _show(self) -> None:
        called = self.called
        if called is None:
            ways = WaysChanged(ways=self._own)
        else:
            ways = WaysChanged(ways=[Way.CONSULT], asked_by=called.asked_by, about=called.about)
        if ways != self._told and self._tell(ways):
            self._told = ways
