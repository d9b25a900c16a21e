"""A ledger that says nothing any more, as a stopped process does, and is back."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from broker.messages.cluster.members import LinkHello
from gateway.links import ledger_client
from gateway.links.ledger_client import LedgerClient
from tests.gateway.conftest import KEY
from tests.gateway.fake_ledger import FakeLedger
from tests.gateway.listening import running
from tests.patience import until


async def test_the_link_that_follows_one_that_was_given_up_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loss of the first is told when the second is on its way already."""
    monkeypatch.setattr(ledger_client, "PING_S", 0.3)
    ledger, dialled = FakeLedger(KEY), 0
    await ledger.start()

    async def resolve() -> tuple[str, int]:
        nonlocal dialled
        dialled += 1
        return "127.0.0.1", ledger.port

    client = LedgerClient(resolve, KEY, LinkHello(kind="gateway", member_id="g", node="n"))
    try:
        async with running(client.run()):
            await client.wait_ready()
            (first,) = ledger.ends
            # What is said on that link stays unread; others are taken.
            cast("asyncio.ReadTransport", first.link._transport).pause_reading()
            await until(lambda: dialled > 1 and client.ready, "the next link")
            (second,) = [end for end in ledger.ends if end is not first]
            heard = second.heard
            await until(lambda: second.heard > heard + 1, "pings of that one")
            assert dialled == 2
    finally:
        await ledger.stop()
