"""The operations console before a gateway: what it shows is what the API answers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Locator, expect

from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.messages.cluster.deeds import SessionCommandDone
from broker.messages.cluster.nodes import NodeList, NodeState
from broker.words import Role, SessionPhase
from gateway.accounts import Account, AgentLogin
from gateway.proofs.operators import operator_token
from gateway.settings import Settings
from tests.browser.operators_double import log_in
from tests.gateway.conftest import KEY, SECRET, World
from tests.gateway.fake_session import BackendSession
from tests.gateway.records import LETTER, RECORD
from tests.gateway.test_operator_sessions import MEDIA, present


@asynccontextmanager
async def gateway() -> AsyncIterator[World]:
    """A gateway whose ledger has two nodes, one live session, one that ended and a dead letter."""
    account = Account("acc", agent_login=AgentLogin.DEMO)
    world = World(Settings(origin="http://127.0.0.1:1", secret=SECRET, accounts={"acc": account}))
    letter = LETTER.model_copy(update={"session_id": "s-0"})
    nodes = [
        NodeState(node="n-1", label="eu-1", standbys=2, live=1, members=3),
        NodeState(node="n-2", drain="drained", moved=4),
    ]
    world.ledger.records["s-0"] = RECORD.model_copy(update={"session_id": "s-0"})
    world.ledger.records["s-1"] = RECORD.model_copy(
        update={"phase": SessionPhase.OPEN, "ended_ms": None, "end_reason": None}
    )
    world.ledger.others |= {
        "node.list": lambda payload: NodeList(nodes=nodes),
        "node.drain": lambda payload: NodeState(node="n-1", drain="moving"),
        "node.undrain": lambda payload: Done(),
        "outbox.dead": lambda payload: upkeep.DeadLetterPage(letters=[letter]),
    }
    await world.start()
    session = BackendSession(KEY)
    people = [present("p-1", Role.AGENT), present("p-2", Role.CONSUMER)]
    session.done = SessionCommandDone(participants=people, media=MEDIA)
    await session.start()
    world.sessions.append(session)
    world.ledger.attach(session)
    try:
        yield world
    finally:
        await world.stop()


async def test_it_shows_what_a_gateway_answers_and_does_what_one_offers(browser: Browser) -> None:
    async with gateway() as world:
        page = await browser.new_page()
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(request.url))
        await page.goto(f"{world.origin}/console")
        await log_in(page, operator_token(world.tokens, "Sam", 600))

        def row(section: str, number: int = 1) -> Locator:
            return page.get_by_role("region", name=section).get_by_role("row").nth(number)

        for section, number, words in (
            ("Nodes", 1, "n-1 (eu-1)in use1230"),
            ("Nodes", 2, "n-2drained0004"),
            ("Live sessions", 1, re.compile(r"^s-1acc\d.*video1")),
            ("Recent ends", 1, re.compile(r"^s-0acc\d.*0 min 8 sended by agent1")),
            ("Dead letters", 1, re.compile(r"^acccrmsession\.endeds-0\d.*status 500")),
            ("Accounts", 1, "accdemo"),
        ):
            await expect(row(section, number)).to_contain_text(words)
        await page.get_by_role("button", name="Look").click()
        await expect(row("Session s-1")).to_contain_text(
            "agent, in chargepresentvoicefair: loss down1600 kbit/s1400 kbit/s1.0 %, 2.0 %40 ms"
        )
        await expect(page.get_by_text("2 people, 2 packets lost in the relay")).to_be_visible()
        for first, certain, place in (
            ("Drain", "Drain within 5 minutes?", "nodes/n-1/drain"),
            ("Use again", "Let sessions come again?", "nodes/n-2/undrain"),
            ("End", "End it for everybody?", "sessions/s-1/end"),
        ):
            await page.get_by_role("button", name=first, exact=True).click()
            async with page.expect_response(f"**/v1/operator/{place}") as answered:
                await page.get_by_role("button", name=certain).click()
            assert (await answered.value).ok, place
        # Nothing that belongs to people's sessions, and nothing of anybody else.
        own = re.compile(rf"{world.origin}/(console$|assets/|v1/operator/)|data:")
        assert [url for url in asked if not own.match(url)] == []
        await page.close()
