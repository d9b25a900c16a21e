"""How `up` and `demo` begin: ledgers, pool and keeper are started, unless Ctrl-C comes first."""

from __future__ import annotations

import asyncio
import signal

from rich.console import Console

from gateway.compose import entry as compose


def hear_signals() -> asyncio.Event:
    """Return what Ctrl-C and SIGTERM set from now on."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def start(
    settings: compose.ClusterSettings, stop: asyncio.Event, console: Console
) -> compose.Cluster | None:
    """Start or adopt the deployment's actors; `None`: the word to stop came first.

    What has begun by then goes on or ends with the Ray it is on.

    Raises:
        BadSettings, TimeoutError: as `start_cluster`.
    """
    with console.status("Starting ledger, pool and standbys …"):
        starting = asyncio.create_task(compose.start_cluster(settings))
        told = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({starting, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            starting.cancel()
        await asyncio.wait({starting})
    return None if starting.cancelled() else starting.result()
