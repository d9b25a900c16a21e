"""An actor whose process stood still asks whether the session is its own before media go on."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from actors.session import tenure
from actors.session.trunks import Trunks
from broker.errors import Conflict, ErrorCode
from broker.words import PublishSource, Surface
from tests.actors.house import House, house
from tests.actors.stage import Trunk
from tests.patience import until
from tests.relay.client import CraftedClient

STALL_S = 0.3
"""So long the process may stand still."""


@asynccontextmanager
async def talking() -> AsyncIterator[tuple[House, CraftedClient, CraftedClient]]:
    """A session actor through which one person is heard by another."""
    async with house(stall_s=STALL_S) as made:
        await made.ledger.assign()
        await until(lambda: made.actor.media_port, "its port is bound")
        session = made.actor._session
        assert session is not None
        clients = [
            CraftedClient(session.media._relay, name, publish=[PublishSource.MICROPHONE], seats=1)
            for name in ("ada", "ben")
        ]
        for client in clients:
            await client.connect()
            client.stop_checking()
        ada, ben = clients
        ada.send_audio(b"before")
        await until(lambda: len(ben.heard) == 1, "ben hears")
        try:
            yield made, ada, ben
        finally:
            for client in clients:
                client.vanish()


def stand_still(ada: CraftedClient) -> None:
    """Stop the process, and with it the actor, while somebody's packets arrive."""
    for number in range(20):
        ada.send_audio(b"%d" % number)
    time.sleep(STALL_S)


def tapped(*clients: CraftedClient) -> list[bytes]:
    """Return what is sent to them from now on; they get none of it.

    What was sent before lies in their sockets, as the loop has not turned, and is read here.
    """
    sent: list[bytes] = []

    def take(data: bytes) -> bool:
        sent.append(data)
        return True

    for client in clients:
        client.raw_received = take
        with socket.socket(fileno=os.dup(client.fileno)) as own, suppress(BlockingIOError):
            while True:
                own.recv(2048, socket.MSG_DONTWAIT)
    return sent


async def test_the_ledger_confirms_it_and_nothing_is_missed() -> None:
    async with talking() as (made, ada, ben):
        stand_still(ada)
        await until(lambda: len(ben.heard) == 21, "what waited was forwarded")
        assert [heard.content for heard in ben.heard[1:]] == [b"%d" % n for n in range(20)]
        assert made.ledger.appended.is_set(), "it asked first"


async def test_an_actor_whose_session_is_anothers_says_no_goodbye() -> None:
    async with talking() as (made, ada, ben):
        sent = tapped(ada, ben)
        await made.ledger.stop_session()
        await until(made.over.is_set, "the actor is over")
        assert [data for data in sent if is_dtls(data)] == []


def is_dtls(data: bytes) -> bool:
    return 19 < data[0] < 64


@pytest.mark.parametrize("by", ["the epoch", "the word to stop"])
async def test_another_has_the_session_and_not_a_packet_leaves(by: str) -> None:
    async with talking() as (made, ada, ben):
        if by == "the epoch":
            made.ledger.refusal = Conflict(ErrorCode.STALE_EPOCH, "Epoch 2 holds the session.")
        else:
            # It lies in the actor's socket; what is asked after it would be confirmed.
            made.ledger.say_stop()
        stand_still(ada)
        sent = tapped(ada, ben)
        await until(made.over.is_set, "the actor is over")
        assert sent == []


async def test_what_the_ledger_said_before_it_stood_still_again_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tenure, "ASK_S", STALL_S)
    async with talking() as (made, ada, ben):

        def confirm_and_stop() -> None:
            made.ledger.refusal = Conflict(ErrorCode.STALE_EPOCH, "Epoch 2 holds the session.")
            time.sleep(STALL_S)

        made.ledger.on_appended = confirm_and_stop
        stand_still(ada)
        sent = tapped(ada, ben)
        await until(made.over.is_set, "the actor is over")
        assert made.ledger.appended.is_set()
        assert sent == []


async def test_without_a_ledger_the_word_of_a_gateway_counts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tenure, "ASK_S", 0.05)
    monkeypatch.setattr(tenure, "ANSWER_S", 0.05)
    caplog.set_level("INFO", "actors.session.tenure")
    async with talking() as (made, ada, ben):
        silent = await made.trunk()
        assert isinstance(silent.link._transport, asyncio.ReadTransport)
        silent.link._transport.pause_reading()
        await made.ledger.stop()
        stand_still(ada)
        await until(lambda: caplog.messages.count("tenure not confirmed") > 2, "it asks in vain")
        assert len(ben.heard) == 1
        await made.trunk("c2", "g2")
        await until(lambda: len(ben.heard) == 21, "what waited was forwarded")
        # Nor does it go on by what it was told before.
        stand_still(ada)
        await made.ledger.start()
        await until(lambda: len(ben.heard) == 41, "the ledger is back, and confirms it")
        silent.link.abort()


async def test_a_gateway_answers_by_what_it_is_asked_now_on_any_trunk_that_is_left() -> None:
    trunks = Trunks(10)
    quick, slow = Trunk(Surface.WINDOW).end, Trunk(Surface.WINDOW).end
    trunks.add(quick, "g1")
    trunks.add(slow, "g2")
    assert not await trunks.answer(0.05)
    assert (quick.pings, slow.pings) == (1, 1)
    quick.pongs = 1  # Late, and so of no worth.
    assert not await trunks.answer(0.05)
    quick.pongs = 2
    asking = asyncio.create_task(trunks.answer(0.05))
    await asyncio.sleep(0)
    trunks.discard(slow)
    slow.pongs = slow.pings
    assert not await asking
    asking = asyncio.create_task(trunks.answer(5.0))
    await asyncio.sleep(0)
    quick.pongs = quick.pings
    assert await asking
