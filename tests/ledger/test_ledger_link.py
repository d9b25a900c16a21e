"""A member's link to the ledger: enlisting, heartbeat, coming back, order of calls."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from actors.ledger_link import LedgerLink, LinkTiming
from actors.link import call
from broker.errors import ErrorCode, Unavailable
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.nodes import PoolLevel
from broker.messages.cluster.sessions import SessionLocate
from tests.ledger.fakes import KEY, TIMING, Home
from tests.ledger.far import ASK, HELLO, Far, listen
from tests.patience import PATIENCE, until


def reconnecting(
    home: Home, stack: AsyncExitStack, timing: LinkTiming = TIMING, **hooks: object
) -> LedgerLink:
    link = LedgerLink(home, KEY, HELLO, timing=timing, **hooks)  # type: ignore[arg-type]
    stack.push_async_callback(link.close)
    return link


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


async def test_a_notice_that_a_member_cannot_read_costs_it_no_link(
    far: Far, stack: AsyncExitStack
) -> None:
    home, heard = Home(), list[PoolLevel]()
    _, home.port = await listen(far, stack)
    link = reconnecting(
        home, stack, on_notice=lambda _, payload: heard.append(read(PoolLevel, payload))
    )
    await link.start()
    await link.wait_up(5)
    level = PoolLevel(standbys=1, live=0, queued=0)
    far.ends[0].notify("pool.level", b"{}")
    far.ends[0].notify("pool.level", level.to_bytes())
    await until(lambda: heard == [level], "what comes behind it")
    assert (len(far.ends), link.is_up) == (1, True)
