"""Accepting links: whom a listener drops, and what it leaves when it is cancelled or closed."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import AsyncExitStack, suppress
from typing import NoReturn

import psutil
import pytest

from actors.link import dial
from actors.listener import Listener
from tests.ledger.fakes import HOST, KEY
from tests.ledger.far import HELLO, Far, listen
from tests.patience import PATIENCE, until


@pytest.mark.parametrize("rounds", range(6))
async def test_who_is_being_accepted_when_a_listener_closes_is_dropped(rounds: int) -> None:
    """Each round of the loop is another step of accepting; none may leave a socket open."""
    listener = Listener(KEY, lambda end, hello: None)
    port = await listener.start(HOST, 0)
    with socket.create_connection((HOST, port)) as stranger:
        for _ in range(rounds):
            await asyncio.sleep(0)
        await listener.close()
        stranger.settimeout(1.0 * PATIENCE)
        with suppress(ConnectionResetError):
            while stranger.recv(64):
                pass  # the challenge, perhaps; then the end


async def test_strangers_are_dropped_after_the_deadline(far: Far, stack: AsyncExitStack) -> None:
    _, port = await listen(far, stack, handshake_s=0.05)
    reader, writer = await asyncio.open_connection(HOST, port)
    async with asyncio.timeout(10.0 * PATIENCE):
        await reader.read()  # the challenge, then the end
    writer.close()


async def test_strangers_above_the_bound_are_refused_until_one_goes(
    far: Far, stack: AsyncExitStack
) -> None:
    listener, port = await listen(far, stack, handshake_s=60.0 * PATIENCE, max_unproven=2)
    strangers = [await asyncio.open_connection(HOST, port) for _ in range(2)]
    for reader, _ in strangers:
        await reader.readexactly(5)  # the challenge's head: the bound is reached
    reader, writer = await asyncio.open_connection(HOST, port)
    assert await refused(reader)
    writer.close()
    strangers.pop()[1].close()
    await until(lambda: len(listener._unproven) == 1, "the listener forgets who went")
    end, _ = await dial(HOST, port, KEY, HELLO.to_bytes())
    end.close()
    strangers.pop()[1].close()


async def refused(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_start_that_is_cancelled_leaves_no_port_open() -> None:
    def ports() -> int:
        return len(psutil.Process().net_connections("tcp"))

    before = ports()
    for steps in range(8):
        listener = Listener(KEY, lambda end, hello: None)
        starting = asyncio.create_task(listener.start(HOST, 0))
        for _ in range(steps):
            await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await listener.close()
        assert ports() == before, f"cancelled after {steps} steps of the loop"


async def test_a_close_that_is_cancelled_has_closed_the_port() -> None:
    for steps in range(4):
        listener = Listener(KEY, lambda end, hello: None)
        port = await listener.start(HOST, 0)
        closing = asyncio.create_task(listener.close())
        for _ in range(steps):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await listener.close()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await dial(HOST, port, KEY, HELLO.to_bytes())


async def test_a_start_that_is_cancelled_and_cannot_bind_is_cancelled() -> None:
    loop, binding, may_fail = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    async def fail(*args: object, **options: object) -> NoReturn:
        binding.set()
        await may_fail.wait()
        raise OSError(errno.EADDRINUSE, "in use")

    listener = Listener(KEY, lambda end, hello: None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(loop), "create_server", fail)
        starting = asyncio.create_task(listener.start(HOST, 0))
        await binding.wait()
        starting.cancel()
        await asyncio.sleep(0)
        may_fail.set()
        await asyncio.wait([starting])
    assert starting.cancelled()
