"""What the ledger has of a session, and what waits until it has more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from broker.events import AnyEvent
from broker.evolve import evolve
from broker.state import SessionState

Step = Callable[[], None]


class Durable:
    """The state that everything anybody is told is drawn from; it follows what is decided.

    Each event is told, by `tell`, with the state before it and the state it made. What replies to a
    request goes before what is told of the event it waits for, what follows from it behind. `run`
    runs each of these steps by itself: what goes wrong in one must not cost the others.
    """

    def __init__(
        self,
        state: SessionState,
        tell: Callable[[AnyEvent, SessionState, SessionState], None],
        run: Callable[[Step], None],
    ) -> None:
        self.state = state
        self._tell = tell
        self._run = run
        self._events: deque[AnyEvent] = deque()
        """Those that were decided and are not durable."""
        self._replies: deque[tuple[int, Step]] = deque()
        self._after: deque[tuple[int, Step]] = deque()

    def expect(self, events: Iterable[AnyEvent]) -> None:
        """Take in what was decided."""
        self._events.extend(events)

    def reply(self, seq: int, step: Step) -> None:
        """Have a reply wait for the event of this number."""
        self._replies.append((seq, step))

    def after(self, seq: int, step: Step) -> None:
        """Have what follows wait for the event of this number."""
        self._after.append((seq, step))

    def reach(self, seq: int) -> None:
        """The ledger has the events up to this number: tell them, in order."""
        while self._events and self.state.event_count < seq:
            event = self._events.popleft()
            before = self.state
            self.state = evolve(before, event)
            self._run_due(self._replies)
            self._run(partial(self._tell, event, before, self.state))
            self._run_due(self._after)

    def run_due(self) -> None:
        """Run what waits for nothing any more: what made no event waits for those before it."""
        self._run_due(self._replies)
        self._run_due(self._after)

    def _run_due(self, steps: deque[tuple[int, Step]]) -> None:
        while steps and steps[0][0] <= self.state.event_count:
            self._run(steps.popleft()[1])
