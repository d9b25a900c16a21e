"""Links over real sockets: handshake, bounds, heartbeat, reconnecting, order of calls."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import NoReturn, cast

import psutil
import pytest

from actors.chores import Chores
from actors.ledger_link import LedgerLink, LinkTiming
from actors.link import DialledEnd, End, ListenedEnd, answer, call, dial, promise
from actors.listener import Listener
from broker.errors import Conflict, ErrorCode, Internal, SwitchboardError, Unavailable
from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.nodes import PoolLevel
from broker.messages.cluster.sessions import SessionLocate
from broker.trunk import NONCE_BYTES, Frame, FrameDecoder, encode_frame, sealed_hello
from tests.ledger.fakes import HOST, KEY, TIMING, Home
from tests.patience import PATIENCE, until
from tests.relay.virtual_time import VirtualTimeLoop, run_in_virtual_time

HELLO = LinkHello(kind="gateway", member_id="m", node="n")
ASK = SessionLocate(session_id="s")


class Far:
    """The listening side of a test: counts links, answers calls as told."""

    def __init__(self) -> None:
        self.ends: list[ListenedEnd] = []
        self.asked: list[str] = []
        self.chores = Chores()
        self.reply: Callable[[str], ClusterMessage] = lambda _: Done()

    def greet(self, end: ListenedEnd, hello: bytes) -> None:
        self.ends.append(end)

        async def handle(method: str, payload: bytes) -> ClusterMessage:
            self.asked.append(json.loads(payload)["session_id"])
            return self.reply(method)

        end.on_call = lambda _, method, payload, reply: self.start(
            answer(reply, method, payload, handle)
        )
        end.accept(b'{"term": 7}')

    def start(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self.chores.start(work)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def far(stack: AsyncExitStack) -> Far:
    far = Far()
    stack.push_async_callback(far.chores.close)
    return far


async def listen(far: Far, stack: AsyncExitStack, **bounds: float) -> tuple[Listener, int]:
    listener = Listener(KEY, far.greet, **bounds)  # type: ignore[arg-type]  # numbers all
    port = await listener.start(HOST, 0)
    stack.push_async_callback(listener.close)
    return listener, port


def reconnecting(
    home: Home, stack: AsyncExitStack, timing: LinkTiming = TIMING, **hooks: object
) -> LedgerLink:
    link = LedgerLink(home, KEY, HELLO, timing=timing, **hooks)  # type: ignore[arg-type]
    stack.push_async_callback(link.close)
    return link


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
    await asyncio.wait_for(closed.wait(), 5)
    server.close()
    await server.wait_closed()


async def test_strangers_are_dropped_after_the_deadline_and_above_the_bound(
    far: Far, stack: AsyncExitStack
) -> None:
    _, port = await listen(far, stack, handshake_s=0.2, max_unproven=2)
    strangers = [await asyncio.open_connection(HOST, port) for _ in range(2)]
    for reader, _ in strangers:
        await reader.readexactly(5)  # the challenge's head: the bound is reached
    reader, writer = await asyncio.open_connection(HOST, port)
    assert await refused(reader)
    writer.close()
    for reader, writer in strangers:
        await reader.read()  # to the end: dropped at the deadline
        writer.close()
    end, _ = await dial(HOST, port, KEY, HELLO.to_bytes())
    end.close()


async def refused(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_link_comes_back_by_itself_and_enlists_again(
    far: Far, stack: AsyncExitStack
) -> None:
    home, enlisted, downs = Home(), list[int](), list[int]()

    async def enlist(link: LedgerLink) -> None:
        await link.call(ASK, Done)
        enlisted.append(link.term)

    link = reconnecting(home, stack, enlist=enlist, on_down=lambda: downs.append(1))
    await link.start()
    waiting = asyncio.ensure_future(link.call(ASK, Done, timeout=5 * PATIENCE))
    with pytest.raises(Unavailable):
        await link.call(ASK, Done, timeout=0.02)
    listener, home.port = await listen(far, stack)
    assert await waiting == Done()
    await listener.close()
    await until(lambda: not link.is_up, "the loss")
    _, home.port = await listen(far, stack)
    await link.wait_up(5)
    assert (enlisted, downs) == ([7, 7], [1])


async def test_a_refused_enlisting_is_tried_again(far: Far, stack: AsyncExitStack) -> None:
    home, tries = Home(), list[int]()
    _, home.port = await listen(far, stack)

    async def enlist(link: LedgerLink) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise Unavailable(ErrorCode.SESSION_AWAY, "Not now.")

    link = reconnecting(home, stack, enlist=enlist)
    await link.start()
    await link.wait_up(5)
    assert len(tries) == 3


async def test_a_silent_ledger_is_lost(far: Far, stack: AsyncExitStack) -> None:
    home = Home()
    _, home.port = await listen(far, stack)
    timing = replace(TIMING, heartbeat_s=0.02)
    link = reconnecting(home, stack, timing)
    await link.start()
    await link.wait_up(5)
    # The far side reads nothing more, as a stopped process does.
    transport = far.ends[0].link._transport
    assert isinstance(transport, asyncio.ReadTransport)
    transport.pause_reading()
    await until(lambda: not link.is_up, "the loss")
    await until(lambda: len(far.ends) == 2 and link.is_up, "another link")


async def test_calls_arrive_in_order(far: Far, stack: AsyncExitStack) -> None:
    home = Home()
    _, home.port = await listen(far, stack)
    link = reconnecting(home, stack)
    await link.start()
    await link.wait_up(5)
    asks = [SessionLocate(session_id=str(number)) for number in range(200)]
    await asyncio.gather(*(link.call(ask, Done) for ask in asks))
    assert far.asked == [ask.session_id for ask in asks]


async def test_a_lost_link_fails_its_calls_and_they_are_not_repeated(
    far: Far, stack: AsyncExitStack
) -> None:
    home = Home()
    _, home.port = await listen(far, stack)
    link = reconnecting(home, stack)
    await link.start()
    await link.wait_up(5)
    far.ends[0].on_call = lambda *_: link.drop()
    with pytest.raises(Unavailable):
        await link.call(ASK, Done)
    await until(lambda: len(far.ends) == 2, "another link")
    assert far.asked == []


async def test_the_ledger_may_call_and_notify_a_member(far: Far, stack: AsyncExitStack) -> None:
    home, heard = Home(), list[bytes]()
    _, home.port = await listen(far, stack)

    async def handle(method: str, payload: bytes) -> ClusterMessage:
        return PoolLevel(standbys=len(payload), live=0, queued=0)

    link = reconnecting(
        home, stack, on_call=handle, on_notice=lambda method, payload: heard.append(payload)
    )
    await link.start()
    await link.wait_up(5)
    reply = await call(far.ends[0], ASK, PoolLevel, timeout_s=2 * PATIENCE)
    assert reply.standbys == len(ASK.to_bytes())
    far.ends[0].notify("x", b"1")
    far.ends[0].notify("x", b"2")
    await until(lambda: heard == [b"1", b"2"], "two notices")


async def test_chores_end_with_their_owner() -> None:
    chores, ended = Chores(limit=1), list[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    assert chores.start(work()) is not None
    assert chores.start(work()) is None
    await asyncio.sleep(0)
    await chores.close()
    assert ended == ["ended"]
    assert chores.start(work()) is None
    assert len(chores) == 0


def test_ends_are_told_apart() -> None:
    loop = asyncio.new_event_loop()
    one, two = (DialledEnd(KEY, b"", loop.create_future) for _ in range(2))
    assert len({one, two}) == 2
    loop.close()


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
