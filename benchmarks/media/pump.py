"""The thread that sends every packet when it is due and looks after what comes in.

Open loop: frames are due on a fixed schedule, whatever the server does. The thread sleeps until
shortly before a frame, waits out the rest, and leaves 20 to 50 µs between a frame's packets. In
between it looks at the sockets every few milliseconds; times of arrival are the kernel's.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from actors.relay.network.mmsg import Received
from actors.relay.network.pylibsrtp_private import Buffer
from benchmarks.histogram import Histogram
from benchmarks.media.peer import Peer
from benchmarks.media.sink import CELLS, Counts, Sink
from benchmarks.media.source import Track, cells, realtime
from benchmarks.scheduling import sleep_exactly, step_forward

LOOK_SECONDS = 0.005
LEAST_FREE = 0.0006
"""A look is begun when no frame is due for so long."""
SPIN_SECONDS = 0.00012
"""A sleep ends late by about this much."""
GAP_SECONDS = (20e-6, 50e-6)
CHECK_SECONDS = 2.5
"""Between two consent checks (RFC 7675 asks for less than five)."""
REPORT_SECONDS = 1.0
SETTLE_SECONDS = 0.4


@dataclass(slots=True)
class Report:
    """What one round of a load did and saw."""

    seconds: float
    sent: int
    counts: Counts
    delays: Histogram
    lateness: Histogram


@dataclass(slots=True)
class _Outgoing:
    """A connection that sends: its tracks share transport-wide numbers."""

    peer: Peer
    tracks: Sequence[Track]
    counter: int = 0
    report_due: float = 0.0


@dataclass(slots=True, order=True)
class _Due:
    at: float
    number: int
    track: Track = field(compare=False)
    outgoing: _Outgoing = field(compare=False)


class Pump:
    """Owns the sockets of connected peers. Started and stopped by the load; `close` ends it."""

    def __init__(self, publishers: Sequence[tuple[Peer, Sequence[Track]]], sinks: Sequence[Sink]):
        """Send each publisher's tracks and look after all sinks; a peer may be in both."""
        self._outgoing = [_Outgoing(peer, tracks) for peer, tracks in publishers]
        self._sinks = list(sinks)
        peers = {sink.peer: None for sink in sinks} | {peer: None for peer, _ in publishers}
        begun, apart = time.monotonic(), CHECK_SECONDS / max(len(peers), 1)
        self._checks_due = {peer: begun + apart * turn for turn, peer in enumerate(peers)}
        """Whose consent is to be kept when, also of who only receives: not of all at once."""
        self._cells = cells()
        self._buffers = [Buffer() for _ in range(CELLS)]
        self._received = Received([buffer.address for buffer in self._buffers])
        self._random = random.Random(7)
        self._lock = threading.Lock()
        self._sending = threading.Event()
        self._quit = threading.Event()
        self._lateness = Histogram()
        self._sent = 0
        self._began = 0.0
        self._look = 0
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self.failure: BaseException | None = None
        self._thread.start()

    def begin(self) -> None:
        """Send media from now on and count from nothing."""
        with self._lock:
            self._count_anew()
            self._sending.set()

    def mark(self) -> None:
        """Count from nothing, while media go on: the end of a warm-up."""
        with self._lock:
            self._count_anew()

    def _count_anew(self) -> None:
        for sink in self._sinks:
            sink.begin()
        self._lateness = Histogram()
        self._sent = 0
        self._began = time.monotonic()

    def end(self) -> Report:
        """Stop sending, wait for what is on its way, and report.

        Raises:
            RuntimeError: the pump's thread has failed.
        """
        seconds = time.monotonic() - self._began
        with self._lock:
            self._sending.clear()
            sent, lateness = self._sent, self._lateness
        time.sleep(SETTLE_SECONDS)
        if self.failure is not None:
            raise RuntimeError("the pump failed") from self.failure
        with self._lock:
            counts, delays = Counts(), Histogram()
            for sink in self._sinks:
                counts.add(sink.finish())
                delays.add(sink.delays)
        return Report(seconds, sent, counts, delays, lateness)

    def close(self) -> None:
        """End the thread; a second close is harmless.

        Raises:
            RuntimeError: it does not end, and would go on taking time from what is measured next.
        """
        self._quit.set()
        self._sending.clear()
        self._thread.join(5)
        if self._thread.is_alive():
            raise RuntimeError("the pump does not end")

    def _run(self) -> None:
        step_forward()
        sleep_exactly()
        try:
            while not self._quit.is_set():
                if self._sending.is_set():
                    self._send_while_wanted()
                else:
                    with self._lock:
                        self._look_around(time.monotonic() + 1.0, all_of_them=True)
                    time.sleep(LOOK_SECONDS)
        except BaseException as failure:
            self.failure = failure
            raise

    def _send_while_wanted(self) -> None:
        now = time.monotonic()
        queue = [
            _Due(now + 0.01 + self._random.random() * track.interval, track.number, track, outgoing)
            for outgoing in self._outgoing
            for track in outgoing.tracks
            if track.sends
        ]
        heapq.heapify(queue)
        while self._sending.is_set():
            due = queue[0]
            free = due.at - time.monotonic()
            if free > LEAST_FREE:
                with self._lock:
                    looked = self._look_around(due.at - LEAST_FREE)
                free = due.at - time.monotonic()
                if free > LEAST_FREE and not looked:
                    time.sleep(min(free - SPIN_SECONDS, LOOK_SECONDS / 2))
                continue
            with self._lock:
                self._send_frame(due)
            due.at += due.track.interval
            heapq.heapreplace(queue, due)

    def _send_frame(self, due: _Due) -> None:
        track, outgoing = due.track, due.outgoing
        packets = track.prepare(self._cells, outgoing.counter, time.monotonic())
        outgoing.counter = outgoing.counter + len(packets) & 0xFFFF
        free = due.at - time.monotonic()
        if free > SPIN_SECONDS:
            time.sleep(free - SPIN_SECONDS)
        clock = time.monotonic
        while clock() < due.at:
            pass
        self._lateness.record(max(0.0, clock() - due.at))
        sent_at, send = track.sent_at, outgoing.peer.socket.send
        following = 0.0
        for cell, (sequence, size) in zip(self._cells, packets, strict=False):
            view = cell.view[:size]
            while clock() < following:
                pass
            sent_at[sequence] = realtime()
            with suppress(OSError):
                send(view)
            following = clock() + self._random.uniform(*GAP_SECONDS)
        self._sent += len(packets)

    def _look_around(self, until: float, *, all_of_them: bool = False) -> bool:
        """Look at sockets whose turn it is; False when there was nothing to do before `until`."""
        looked = False
        for _ in range(len(self._sinks)):
            sink = self._sinks[self._look]
            now = time.monotonic()
            if now >= until:
                return True
            self._look = (self._look + 1) % len(self._sinks)
            if now < sink.next_look and not all_of_them:
                continue
            looked = True
            sink.next_look = now + LOOK_SECONDS
            while sink.look(self._buffers, self._received) == CELLS:
                continue
            if self._sending.is_set():
                self._feed_back(sink, now)
        self._keep_up(time.monotonic())
        return looked

    def _feed_back(self, sink: Sink, now: float) -> None:
        for packet in (*sink.feedback(now), *sink.reports(now)):
            self._send_rtcp(sink.peer, packet)

    def _keep_up(self, now: float) -> None:
        """Send the consent checks and sender reports that are due."""
        for peer, due in self._checks_due.items():
            if now >= due:
                self._checks_due[peer] = now + CHECK_SECONDS
                peer.send_check()
        for outgoing in self._outgoing:
            if self._sending.is_set() and now >= outgoing.report_due:
                outgoing.report_due = now + REPORT_SECONDS
                for track in outgoing.tracks:
                    self._send_rtcp(outgoing.peer, track.report(realtime()))

    def _send_rtcp(self, peer: Peer, packet: bytes) -> None:
        cell = self._cells[-1]
        cell.view[: len(packet)] = packet
        size = peer.outbound.protect_rtcp(cell, len(packet))
        if size:
            peer.send(cell.view[:size])
