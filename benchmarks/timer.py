"""A timer that fires when it was asked to.

Event loops round their timers up to whole milliseconds, which is ten times what is measured here.
On Linux the kernel's timerfd wakes the loop within some tens of microseconds; elsewhere the loop's
own timer is used and its lateness shows in the report.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = 0o4000
_TFD_ABSTIME = 1


class Timer:
    """Calls back once for each `set`, at a time of `time.monotonic`. Its owner closes it."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK)
            if self._fd < 0:
                raise OSError(ctypes.get_errno(), "timerfd_create")
            self._loop.add_reader(self._fd, self._on_readable)

    def set(self, at: float) -> None:
        """Fire at this time, or at once when it has passed; replaces an earlier `set`."""
        if self._fd < 0:
            if self._handle is not None:
                self._handle.cancel()
            self._handle = self._loop.call_later(at - self._loop.time(), self._callback)
            return
        nanoseconds = max(1, int(at * 1e9))
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        value = struct.pack("@qqqq", 0, 0, seconds, rest)
        if self._libc.timerfd_settime(self._fd, _TFD_ABSTIME, value, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Fire no more; a second close is harmless."""
        if self._handle is not None:
            self._handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _on_readable(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._callback()
