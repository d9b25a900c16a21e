"""Links over real sockets: handshake, calls and their deadlines."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import cast

import pytest

from actors.link import DialledEnd, End, call, dial, promise
from actors.listener import Listener
from broker.errors import Conflict, ErrorCode, Internal, SwitchboardError, Unavailable
from broker.messages.cluster.base import ClusterMessage, Done
from broker.trunk import NONCE_BYTES, Frame, FrameDecoder, encode_frame, sealed_hello
from tests.ledger.fakes import HOST, KEY
from tests.ledger.far import ASK, HELLO, Far, listen
from tests.patience import PATIENCE
from tests.relay.virtual_time import VirtualTimeLoop, run_in_virtual_time


async def test_a_call_comes_back_with_its_reply_or_its_error(
    far: Far, stack: AsyncExitStack
) -> None:
    _, port = await listen(far, stack)
    end, ready = await dial(HOST, port, KEY, HELLO.to_bytes())
    assert json.loads(ready) == {"term": 7}
    assert await call(end, ASK, Done, timeout_s=2 * PATIENCE) == Done()

    def refuse(_: str) -> ClusterMessage:
        raise Conflict(ErrorCode.ALREADY_LIVE, "Live.")

    far.reply = refuse
    with pytest.raises(Conflict) as refused:
        await call(end, ASK, Done, timeout_s=2 * PATIENCE)
    assert refused.value.code is ErrorCode.ALREADY_LIVE

    def crash(_: str) -> ClusterMessage:
        raise ZeroDivisionError("a secret")

    far.reply = crash
    with pytest.raises(Internal) as crashed:
        await call(end, ASK, Done, timeout_s=2 * PATIENCE)
    assert "secret" not in crashed.value.message
    end.close()


async def test_who_was_held_up_until_its_deadline_takes_the_reply_that_came_meanwhile(
    far: Far, stack: AsyncExitStack
) -> None:
    _, port = await listen(far, stack)
    end, _ = await dial(HOST, port, KEY, HELLO.to_bytes())

    def hold_up(_: str) -> ClusterMessage:
        time.sleep(0.4)  # Both ends are on this loop.
        return Done()

    far.reply = hold_up
    assert await call(end, ASK, Done, timeout_s=0.3) == Done()

    def say_nothing(_: str) -> ClusterMessage:
        raise asyncio.CancelledError

    far.reply = say_nothing
    with pytest.raises(Unavailable) as refused:
        await call(end, ASK, Done, timeout_s=0.05)
    assert refused.value.code is ErrorCode.LEDGER_AWAY
    end.close()


async def held_up(seconds: float, answers_after: float) -> float:
    """Call for at most 2 s and stand still after one; the far end answers so long after waking.

    Returns how long the call took from waking on.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    replied = promise()
    woken = list[float]()

    def stand_still() -> None:
        loop.stand_still(seconds)
        woken.append(loop.time())
        loop.call_later(answers_after, replied.set_result, b"{}")

    loop.call_later(1.0, stand_still)
    end = cast(End, SimpleNamespace(call=lambda method, payload: replied))
    try:
        await call(end, ASK, Done, timeout_s=2.0)
    finally:
        took = loop.time() - woken[0]
    return took


def test_a_far_end_that_was_held_up_too_has_as_long_again_and_no_longer() -> None:
    assert run_in_virtual_time(held_up(2.5, answers_after=1.4)) < 1.5
    with pytest.raises(Unavailable):
        run_in_virtual_time(held_up(2.5, answers_after=1.6))
    assert run_in_virtual_time(held_up(3600, answers_after=1.9)) < 2.0
    with pytest.raises(Unavailable):
        run_in_virtual_time(held_up(3600, answers_after=2.1))


async def test_a_wrong_key_is_refused(far: Far, stack: AsyncExitStack) -> None:
    _, port = await listen(far, stack)
    with pytest.raises(SwitchboardError):
        await dial(HOST, port, b"x" * 32, HELLO.to_bytes())
    assert far.ends == []


async def test_a_hello_that_was_recorded_opens_no_other_link(
    far: Far, stack: AsyncExitStack
) -> None:
    _, port = await listen(far, stack)
    recorded = b""
    for said in (Frame.READY, Frame.REFUSED):
        reader, writer = await asyncio.open_connection(HOST, port)
        decoder = FrameDecoder()
        ((kind, nonce),) = decoder.feed(await reader.read(1_000))
        assert (kind, len(nonce)) == (Frame.CHALLENGE, NONCE_BYTES)
        recorded = recorded or sealed_hello(KEY, nonce, HELLO.to_bytes())
        writer.write(encode_frame(Frame.HELLO, recorded))
        assert decoder.feed(await reader.read(1_000))[0][0] is said
        writer.close()
        await writer.wait_closed()
    assert len(far.ends) == 1


async def test_nobody_there_is_an_os_error() -> None:
    listener = Listener(KEY, lambda end, hello: None)
    port = await listener.start(HOST, 0)
    await listener.close()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await dial(HOST, port, KEY, HELLO.to_bytes())


async def test_a_silent_listener_does_not_hold_the_dialler() -> None:
    closed = asyncio.Event()

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        closed.set()

    server = await asyncio.start_server(ignore, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unavailable):
        await dial(HOST, port, KEY, HELLO.to_bytes(), timeout_s=0.05)
    await asyncio.wait_for(closed.wait(), 10 * PATIENCE)
    server.close()
    await server.wait_closed()


def test_ends_are_told_apart() -> None:
    loop = asyncio.new_event_loop()
    one, two = (DialledEnd(KEY, b"", loop.create_future) for _ in range(2))
    assert len({one, two}) == 2
    loop.close()
