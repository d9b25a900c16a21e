"""What a load asks of the scheduler: one that waits for a processor measures itself."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from contextlib import suppress

PRIORITY = -15
SLICE_NS = 100_000
"""The shortest that Linux gives."""
SETATTR = {"x86_64": 314, "aarch64": 274}
"""The number of sched_setattr(2), which the C library may have no function for."""
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
_SET_TIMERSLACK = 29
"""Of prctl(2)."""


def step_forward() -> None:
    """Run this thread before others on its processor where that is allowed.

    Alike for every side. Threads that it starts have its priority.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)


def sleep_exactly() -> None:
    """Let this thread's sleeps end when they should; by default Linux adds 50 µs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_TIMERSLACK, 1, 0, 0, 0)


def run_at_once() -> bool:
    """Let this thread run as soon as it wakes, also where another load is at work.

    From Linux 6.12 on a short slice is a wish for that: who has asked for one takes the processor
    from who has not. Otherwise the other goes on until it waits, or until the next tick, of which
    there may be 250 a second. Nobody gets more of the processor by it. Returns whether the system
    knows of such a thing; earlier ones take the wish and do nothing.
    """
    number = SETATTR.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wish = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, 0, nice, 0, SLICE_NS, 0, 0)
    failed: int = ctypes.CDLL(None).syscall(number, 0, ctypes.create_string_buffer(wish), 0)
    return not failed
