"""The run file: what `up` leaves in its data folder so that `down` and `status` find it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from gateway.settings import BadSettings

NAME = "run.json"


@dataclass(frozen=True, slots=True)
class RunFile:
    """One running `up`. Holds no secret."""

    pid: int
    started_s: float
    """When the process began, in seconds since 1970: a reused process id has another."""
    gateway: str
    """Where the gateway listens."""
    origin: str
    address: str | None
    """The Ray it joined; `None`: a private one, which ends with it."""

    @property
    def alive(self) -> bool:
        """Whether that process still runs."""
        return self.process() is not None

    def process(self) -> psutil.Process | None:
        """The process that wrote this, if it is still that one."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_s) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


def write(data: Path, *, gateway: str, origin: str, address: str | None) -> RunFile:
    """Say that this process runs here."""
    me = psutil.Process()
    run = RunFile(me.pid, me.create_time(), gateway, origin, address)
    temporary = data / f"{NAME}.{me.pid}"
    temporary.write_text(json.dumps(asdict(run)))
    os.replace(temporary, data / NAME)
    return run


def read(data: Path) -> RunFile | None:
    """Read what the last `up` in this folder said; `None` when there is nothing readable."""
    try:
        return RunFile(**json.loads((data / NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def remove(data: Path) -> None:
    """Take it away; harmless when it is gone."""
    with suppress(OSError):
        (data / NAME).unlink()


def prepare(data: Path) -> None:
    """Make the data folder, and refuse one that another `up` uses.

    Raises:
        BadSettings: in use, or not to be written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadSettings(f"{data} cannot be written ({error.strerror}).") from error
    run = read(data)
    if run is not None and run.alive:
        raise BadSettings(
            f"A deployment already runs here at {run.gateway}; `switchboard down` ends it, or "
            "give another --data-dir."
        )
