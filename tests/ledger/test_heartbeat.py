"""Whom a ledger asks for a sign of life, and who is lost."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from actors.ledger_link import LedgerLink
from broker.messages.cluster.members import LinkHello
from tests import databases
from tests.ledger.conftest import Town
from tests.ledger.fakes import KEY, POLICY, TIMING
from tests.patience import until

BEAT_S = 0.02
ASKED = 12


async def test_who_says_nothing_is_asked_and_who_does_not_answer_is_lost(tmp_path: Path) -> None:
    """A question each second to everybody would wake each standby for nothing."""
    async with AsyncExitStack() as stack:
        town = Town(databases.sqlite(tmp_path / "ledger.db"), stack)
        ledger = await town.new_ledger(replace(POLICY, heartbeat_s=BEAT_S))

        async def member(name: str, heartbeat_s: float) -> LedgerLink:
            hello = LinkHello(kind="gateway", member_id=name, node="n")
            timing = replace(TIMING, heartbeat_s=heartbeat_s)
            link = LedgerLink(town.home, KEY, hello, timing=timing)
            stack.push_async_callback(link.close)
            await link.start()
            await link.wait_up(5.0)
            return link

        await member("talks", BEAT_S / 5)
        quiet = await member("quiet", 3_600.0)
        ends = {each.hello.member_id: each.end for each in ledger._members.values()}
        await until(lambda: ends["quiet"].pings >= ASKED, "questions to the quiet one")
        assert ends["talks"].pings < ASKED / 3
        assert not any(end.link.closed for end in ends.values())
        # It reads nothing more, as a stopped process does.
        assert quiet._end is not None
        transport = quiet._end.link._transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        await until(lambda: ends["quiet"].link.closed, "the loss of who does not answer")
        assert not ends["talks"].link.closed
