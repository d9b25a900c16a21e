"""What Ray reads from the environment when it is imported: hence apart, and before it."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PREFIX = "switchboard-"
OWNER = "owner"
"""Names the process that made a folder."""
LOG_BYTES = 8 * 1024 * 1024
LOG_BACKUPS = 1
"""A log of a Ray process or worker is at most so long, and has so many before it."""


def sweep() -> None:
    """Remove the folders of commands that were killed and could not remove them themselves."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            owner = int((folder / OWNER).read_text())
        except (OSError, ValueError):
            continue
        if not psutil.pid_exists(owner):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make the folder of a private Ray, with token authentication on and usage reports off.

    Enter it before anything imports Ray. The token stands in a file only its owner can read, and
    processes that Ray starts inherit its path. The folder is removed at the end; its name is
    short, because Ray puts sockets below it and a socket's path may have 107 bytes only.
    """
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        (folder / OWNER).write_text(str(os.getpid()))
        token = folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        # Ray runs workers at niceness 15 by default: on a busy machine calls would starve.
        os.environ["RAY_worker_niceness"] = "0"
        # A session actor that has ended stays in Ray's tables, a hundred thousand by default.
        os.environ["RAY_maximum_gcs_destroyed_actor_cached_count"] = "1000"
        # Without it what a worker writes goes into one file that grows for ever.
        os.environ["RAY_ROTATION_MAX_BYTES"] = str(LOG_BYTES)
        os.environ["RAY_ROTATION_BACKUP_COUNT"] = str(LOG_BACKUPS)
        # A process that ends tells of its tasks for so long, five seconds by default, to a GCS that
        # has ended before it: with it the end of everything takes one second instead of six.
        os.environ["RAY_task_events_shutdown_flush_timeout_ms"] = "100"
        # Ray turns a given loopback address into a reachable one unless told that this machine
        # takes part in no cluster; only then do its ports stay on loopback.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
