"""That a colleague asks the agent of an idle widget into their session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from broker.messages.colleagues import ColleagueCalled

SHOWN_S = 120.0
"""How long a widget shows it, as long as the asking session believes that it does."""


class Called:
    """At most one at a time: whoever asks second is not shown, and asks again later.

    Its connection closes it. `on_change` is called when what is shown has changed.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._timer: asyncio.TimerHandle | None = None
        self.current: ColleagueCalled | None = None

    def take(self, called: ColleagueCalled) -> None:
        """Show it, unless another session asks already; asked again by the same, anew."""
        current = self.current
        if current is None or current.location.session_id == called.location.session_id:
            self.close()
            self.current = called
            self._timer = asyncio.get_running_loop().call_later(SHOWN_S, self.settle)
            self._on_change()

    def settle(self, session_id: str | None = None) -> None:
        """It was answered (by whichever session, when none is named), or nobody answers."""
        current = self.current
        if current is not None and session_id in (None, current.location.session_id):
            self.close()
            self._on_change()

    def close(self) -> None:
        """Forget it without a word; harmless when there is none."""
        self.current = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
