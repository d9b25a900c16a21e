"""Precedence over others' processes, for a test of what is done where there is time to do it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

NICE = -15


@contextmanager
def precedence() -> Iterator[None]:
    """Let this process, and all that it has started by now, run before others meanwhile.

    Linux shares processors out by session first (autogroup in sched(7)), and a browser has one of
    its own: a niceness within it says nothing beside other sessions, so the sessions get theirs.
    This thread, which has the loop, gets one within its session, beside the other tests. Where
    there are no such groups, or who runs this may not, nothing changes.
    """
    me = psutil.Process()
    nice = me.nice()
    before: dict[str, tuple[Path, str]] = {}
    for process in (me, *me.children(recursive=True)):
        path = Path(f"/proc/{process.pid}/autogroup")
        with suppress(OSError):
            session, _, former = path.read_text().rpartition(" nice ")
            if session and session not in before:
                path.write_text(str(NICE))
                before[session] = path, former.strip()
    with suppress(psutil.AccessDenied):
        me.nice(NICE)
    try:
        yield
    finally:
        with suppress(psutil.AccessDenied):
            me.nice(nice)
        for path, former in before.values():
            with suppress(OSError):
                path.write_text(former)
