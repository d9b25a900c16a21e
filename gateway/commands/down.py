"""`switchboard down`: end a deployment, whichever way it was started and however it died."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.commands import running
from gateway.settings import BadSettings

STOP_S = 30.0
PAUSE_S = 2 * STOP_S
"""How long no session is opened, should this command die before the ledgers do."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What `down` ended."""

    gateway: bool
    """Whether a gateway of this machine was still there."""
    actors: int
    """Actors of an existing Ray; those of a private one end with their gateway."""
    address: str | None = None
    """Of that Ray, which may have gateways elsewhere; `None`: it was a private one."""


def run_down(data: Path, address: str | None, *, drop_live: bool) -> Ended:
    """End the gateway that runs in `data`, and the actors on its Ray.

    `address` is needed where the run file is gone, or for a Ray that another machine's `up` uses.

    Raises:
        BadSettings: there is nothing to end, or calls are live and may not be dropped.
        TimeoutError: something did not end in time.
    """
    run = running.read(data)
    if run is not None and not run.alive and run.address is None and address is None:
        running.remove(data)
        run = None
    address = address or (run.address if run is not None else None)
    if run is None and address is None:
        raise BadSettings(
            f"Nothing runs in {data}; give --data-dir, or --address of the Ray it runs on."
        )
    if address is None:
        if run is not None and not drop_live:
            refuse_live(count_live(run.gateway))
        return Ended(stop_gateway(run), 0)
    from gateway.compose import entry as compose

    with compose.joined_ray(address):
        if not drop_live:
            asyncio.run(begin_no_more())
        gateway = stop_gateway(run)
        actors = asyncio.run(compose.end_cluster())
    running.remove(data)
    return Ended(gateway, actors, address)


def stop_gateway(run: running.RunFile | None) -> bool:
    """Stop the `up` that wrote this as Ctrl-C would; whether there was one.

    Raises:
        TimeoutError: it did not end.
    """
    process = None if run is None else run.process()
    if run is None or process is None:
        return False
    process.terminate()
    # Not `process.wait`: a parent that does not reap would keep it for ever.
    deadline = time.monotonic() + STOP_S
    while run.alive:
        if time.monotonic() > deadline:
            raise TimeoutError(f"The gateway with process id {process.pid} did not end.")
        time.sleep(0.05)
    return True


async def begin_no_more() -> None:
    """Have no session begin on the Ray that was joined, unless that cuts people off unasked.

    Raises:
        BadSettings: somebody is talking, or may be; sessions may begin as before.
    """
    from gateway.compose import entry as compose

    # Paused first: one that began behind a look would be cut off.
    live = await compose.pause_openings(PAUSE_S)
    if live != 0:
        await compose.pause_openings(0.0)
    refuse_live(live)


def count_live(gateway: str) -> int | None:
    """How many sessions were live some two seconds ago, as a gateway of this machine shows.

    `None`: it does not say; its ledger is away, or it does not answer.
    """
    from gateway.commands.top import look_at_all

    return look_at_all([gateway])[0].sessions


def refuse_live(live: int | None) -> None:
    """Raise BadSettings where so many live sessions would be cut off; `None`: nobody knows."""
    if live is None:
        raise BadSettings(
            "A ledger does not say whether sessions are live; try again in a moment, or give "
            "--drop-live."
        )
    if live:
        raise BadSettings(f"{live} sessions are live; end them first, or give --drop-live.")
