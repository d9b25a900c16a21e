"""A gateway's end of one trunk, and the heartbeat of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from broker.errors import ErrorCode, Unavailable
from broker.link import LinkEnd
from broker.messages.cluster.base import read
from broker.messages.cluster.tenure import SessionUnsaved
from broker.messages.cluster.trunk import Location, TrunkClose, TrunkHello, TrunkReady
from broker.tracing import CONTEXT, Traces
from broker.trunk import Frame
from gateway.links.dial import End, dial
from gateway.tracing import traced

AnyEnd = LinkEnd["asyncio.Future[bytes]"]


class Trunk:
    """One widget connection's link to a session actor.

    Its connection opens, closes and replaces it. `on_lost` is told once, and never after
    `close()`. What arrives before `open()` is kept, so that the connection can greet first.
    """

    def __init__(
        self,
        location: Location,
        *,
        on_message: Callable[[bytes], None],
        on_close: Callable[[Trunk, TrunkClose], None],
        on_lost: Callable[[Trunk], None],
        on_unsaved: Callable[[SessionUnsaved], None],
        traces: Traces | None = None,
    ) -> None:
        self.location = location
        self.told = 0
        """Messages passed on so far."""
        self._traces = traces
        self._tells_traces = False
        self._on_message = on_message
        self._on_close = on_close
        self._on_lost = on_lost
        self._on_unsaved = on_unsaved
        self._end: End | None = None
        self._early: list[tuple[Frame, bytes]] | None = []
        self._closed = False
        self._drained = asyncio.Event()
        self._last_ping = 0
        self._answered = asyncio.Event()

    async def dial(self, key: bytes, hello: TrunkHello, timeout_s: float) -> TrunkReady:
        """Connect and be accepted by the actor.

        Raises:
            Unavailable: nobody there (`session_away`).
            SwitchboardError: the actor's refusal.
        """
        with traced(self._traces, "trunk.hello", "client") as trace:
            if trace is not None:
                hello = hello.model_copy(update={"trace": trace})
            end, answer = await dial(
                self.location.host,
                self.location.port,
                key,
                hello.to_bytes(),
                timeout_s=timeout_s,
                prepare=self._prepare,
            )
            if end.link.closed:
                raise Unavailable(ErrorCode.SESSION_AWAY, "The session closed the trunk at once.")
        self._end = end
        ready = read(TrunkReady, answer)
        self._tells_traces = self._traces is not None and ready.traces
        return ready

    def open(self) -> None:
        """Hand over what came early, and from now on everything as it comes."""
        early, self._early = self._early or [], None
        for kind, body in early:
            self._deliver(kind, body)
        if self._end is not None and self._end.link.closed:
            self._on_end_lost(self._end)

    @property
    def heard(self) -> int:
        """Frames received so far."""
        return 0 if self._end is None else self._end.heard

    @property
    def writable(self) -> bool:
        """False while the actor is slower than the widget."""
        return self._end is not None and self._end.link.writable

    def send(self, data: bytes) -> bool:
        """Pass a widget's message on; False when the trunk is gone."""
        self.told += 1
        if self._tells_traces:
            return self._send_traced(data)
        return self._end is not None and self._end.link.send(Frame.MESSAGE, data)

    def _send_traced(self, data: bytes) -> bool:
        """Pass a message on behind the trace that begins with it, where that one is kept."""
        end, traces = self._end, self._traces
        if end is None or traces is None:
            return False
        span = traces.begin("widget.message", "server")
        if span.context is not None:
            end.notify(CONTEXT, span.context.encode())
        sent = end.link.send(Frame.MESSAGE, data)
        span.end(None if sent else str(ErrorCode.SESSION_AWAY))
        return sent

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._end is not None:
            self._end.ping()

    async def drained(self) -> None:
        """Wait until the actor keeps up again, or the trunk is gone."""
        while self._end is not None and not self._end.link.writable and not self._end.link.closed:
            self._drained.clear()
            await self._drained.wait()

    def ask_last(self) -> None:
        """Say nothing more than this; `answered` waits for what it still answers at once.

        No more is open in a session that moves: its actor froze, and what it had decided was
        durable and answered, before the ledger gave the session to the next.
        """
        if self._end is not None:
            self._end.ping()
            self._last_ping = self._end.pings

    async def answered(self, timeout_s: float) -> bool:
        """Wait for the actor's answers to what it got before `ask_last`; False: not in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._answered.wait()
        except TimeoutError:
            return False
        end = self._end
        return end is not None and end.pongs >= self._last_ping

    def suspect(self) -> None:
        """Give the trunk up because it is silent; `on_lost` is told."""
        if self._end is not None:
            self._end.link.abort()

    def close(self) -> None:
        """End the trunk; `on_lost` is not told. Harmless when closed."""
        self._closed = True
        self._drained.set()
        self._answered.set()
        if self._end is not None:
            self._end.close()

    def _prepare(self, end: End) -> None:
        end.on_frame = self._on_frame
        end.on_lost = self._on_end_lost
        end.on_drained = self._on_drained
        end.on_notice = self._on_notice
        end.on_pong = self._on_pong

    def _on_frame(self, end: AnyEnd, kind: Frame, body: bytes) -> None:
        if self._early is not None:
            self._early.append((kind, body))
        elif kind is Frame.MESSAGE and not self._closed:
            # As `_deliver` has it: nearly all that comes is this, and each call counts.
            self._on_message(body)
        else:
            self._deliver(kind, body)

    def _on_notice(self, end: AnyEnd, method: str, payload: bytes) -> None:
        """Have kept what is not saved; what else an actor may have to say is a later release's."""
        if method == SessionUnsaved.method:
            self._on_unsaved(read(SessionUnsaved, payload))

    def _deliver(self, kind: Frame, body: bytes) -> None:
        if self._closed:
            return
        if kind is Frame.MESSAGE:
            self._on_message(body)
        else:
            self._on_close(self, read(TrunkClose, body))

    def _on_drained(self, end: AnyEnd) -> None:
        self._drained.set()

    def _on_pong(self, end: AnyEnd) -> None:
        if self._last_ping and end.pongs >= self._last_ping:
            self._answered.set()

    def _on_end_lost(self, end: AnyEnd) -> None:
        self._drained.set()
        self._answered.set()
        if not self._closed and self._early is None:
            self._closed = True
            self._on_lost(self)


class Watched(Protocol):
    """What a heartbeat needs of a trunk."""

    @property
    def location(self) -> Location: ...
    @property
    def heard(self) -> int: ...
    @property
    def told(self) -> int: ...
    def ping(self) -> None: ...
    def suspect(self) -> None: ...


class Pulse:
    """The heartbeat of a gateway's trunks: one ping for each actor, not for each trunk.

    None where something was said both ways since the tick before: to either end that is a sign of
    life, and a ping would wake the actor's process for nothing. An actor is heard when any of its
    trunks is; after `silent_s` of nothing each of its trunks is given up. A tick that came late
    (this process stalled) proves nothing and counts nothing.
    """

    def __init__(self, ping_s: float, silent_s: float) -> None:
        self._ping_s = ping_s
        self._allowed = max(1, round(silent_s / ping_s))
        self._groups: dict[tuple[str, int], set[Watched]] = {}
        self._before: dict[tuple[str, int], tuple[int, int, int]] = {}
        """Of each actor at the tick before: frames heard, messages told, ticks of silence."""
        self._ticked_at: float | None = None

    def watch(self, trunk: Watched) -> None:
        """Begin to watch an open trunk."""
        self._groups.setdefault((trunk.location.host, trunk.location.port), set()).add(trunk)

    def drop(self, trunk: Watched) -> None:
        """Watch it no longer; harmless when not watched."""
        place = (trunk.location.host, trunk.location.port)
        group = self._groups.get(place)
        if group is not None:
            group.discard(trunk)
            if not group:
                del self._groups[place]
                self._before.pop(place, None)

    def tick(self, now: float) -> None:
        """Look once at every actor; due every `ping_s` seconds."""
        late = self._ticked_at is not None and now - self._ticked_at > 2 * self._ping_s
        self._ticked_at = now
        for place, group in list(self._groups.items()):
            heard = sum(trunk.heard for trunk in group)
            told = sum(trunk.told for trunk in group)
            heard_before, told_before, silent = self._before.get(place, (-1, told, 0))
            is_silent = heard == heard_before
            silent = silent + 1 if is_silent and not late else 0
            self._before[place] = (heard, told, silent)
            if silent > self._allowed:
                for trunk in list(group):
                    trunk.suspect()
            elif is_silent or told == told_before:
                next(iter(group)).ping()
