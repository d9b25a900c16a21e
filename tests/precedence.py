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
    Where there are none, or who runs this may not, nothing changes.
    """
    before: dict[str, tuple[Path, str]] = {}
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        path = Path(f"/proc/{process.pid}/autogroup")
        with suppress(OSError):
            session, _, nice = path.read_text().rpartition(" nice ")
            if session and session not in before:
                path.write_text(str(NICE))
                before[session] = path, nice.strip()
    try:
        yield
    finally:
        for path, nice in before.values():
            with suppress(OSError):
                path.write_text(nice)
