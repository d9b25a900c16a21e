"""How a consumer is proved; and what an outsider who knows every id gets on each surface."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from broker.errors import ErrorCode, Unavailable
from gateway.accounts import ConsumerProof
from gateway.proofs.tokens import Audience, hash_secret
from gateway.settings import Settings
from tests.gateway.conftest import ENGAGEMENT, WINDOW, World

EVERY_ID = {
    **WINDOW,
    "conversation_id": "eng-1",
    "visitor_id": "v",
    "participant_visitor_id": "v",
}


@pytest.fixture(params=[ConsumerProof.LINK, ConsumerProof.TOKEN])
async def world(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[World]:
    account = replace(settings.accounts["acc"], consumer_proof=request.param)
    world = World(replace(settings, accounts={**settings.accounts, "acc": account}))
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.http() as client:
        yield client


async def link_code(world: World, http: httpx.AsyncClient, key: str = "eng-1") -> str:
    body = {"token": world.agent_token(), "engagement_key": key}
    answer = await http.post("/v1/consumer-links", json=body)
    url = urlsplit(answer.raise_for_status().json()["url"])
    assert parse_qs(url.query) == {"accountId": ["acc"], "sessionId": [key]}
    return str(url.fragment)


async def use(
    http: httpx.AsyncClient, code: str, claim: str | None = None, **ids: str
) -> httpx.Response:
    body = {"engagement": {**WINDOW, **ids}, "code": code, "claim_secret": claim}
    return await http.post("/v1/waiting", json=body)


async def test_the_agents_link_proves_the_consumer_once(
    world: World, http: httpx.AsyncClient
) -> None:
    code = await link_code(world, http)
    first = await use(http, code)
    proof = world.tokens.read(first.json()["token"], Audience.WAITING)
    assert (proof.principal.verified, proof.keys) == (True, ("eng-1",))
    again = await use(http, code)
    assert (again.status_code, again.json()["code"]) == (403, "not_permitted")
    session = await world.session()
    world.ledger.attach(session)
    widget = await world.widget()
    welcome = await widget.hello(
        token=first.json()["token"], engagement=WINDOW, claim_secret="c" * 20
    )
    assert welcome["role"] == "consumer"
    await widget.until("session.snapshot")
    assert session.seen[-1].principal.verified
    elsewhere = await world.widget()
    await elsewhere.greet(
        token=first.json()["token"], engagement={**WINDOW, "window_session_id": "eng-2"}
    )
    assert await elsewhere.closed() == 4403


async def test_who_did_not_hear_the_answer_may_use_their_link_again(
    world: World, http: httpx.AsyncClient
) -> None:
    code = await link_code(world, http)
    # The ledger has the claim, and goes before it hears what became of it.
    world.ledger.faults["answer.settle"] = Unavailable(ErrorCode.LEDGER_AWAY, "Away.")
    first = await use(http, code, "c" * 20)
    assert (first.status_code, first.json()["retryable"]) == (503, True)
    world.ledger.faults.clear()
    for _ in range(2):
        again = await use(http, code, "c" * 20)
        proof = world.tokens.read(again.json()["token"], Audience.WAITING)
        assert (proof.principal.verified, proof.keys) == (True, ("eng-1",))
    for claim in ("d" * 20, None):
        assert (await use(http, code, claim)).status_code == 403
    # What the ledger keeps names nobody: a claim is known elsewhere by its hash.
    kept = json.dumps(world.ledger.answers)
    assert "c" * 20 not in kept
    assert hash_secret("c" * 20) not in kept


async def test_a_link_of_another_conversation_or_made_up_proves_nothing(
    world: World, http: httpx.AsyncClient
) -> None:
    other = await link_code(world, http, "eng-2")
    real = await link_code(world, http)
    refused = [
        await use(http, other),
        await use(http, real, account_id="other"),
        await use(http, real[:-8] + "AAAAAAA="),
        await use(http, "x"),
        await use(http, "é"),
    ]
    assert {(each.status_code, each.json()["detail"]) for each in refused} == {
        (403, "This link does not hold (any more); ask for a new one.")
    }
    assert (await use(http, real)).status_code == 200


async def test_guessing_a_link_is_held_back(world: World, http: httpx.AsyncClient) -> None:
    await link_code(world, http)
    statuses = [(await use(http, f"guess {number}")).status_code for number in range(14)]
    assert (statuses[:10], 429 in statuses[10:]) == ([403] * 10, True)


async def test_only_an_agent_makes_links(world: World, http: httpx.AsyncClient) -> None:
    for token in (world.waiting_token(), "x"):
        body = {"token": token, "engagement_key": "eng-1"}
        answer = await http.post("/v1/consumer-links", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


SURFACES = ("launcher", "window", "pop_out", "guest_page", "agent_frame")


@pytest.mark.parametrize("surface", SURFACES)
async def test_an_outsider_who_knows_every_id_gets_nothing_on_any_surface(
    world: World, http: httpx.AsyncClient, surface: str
) -> None:
    session = await world.session()
    world.ledger.attach(session)
    world.ledger.live["eng-1"] = session.location
    answer = await http.post("/v1/waiting", json={"engagement": EVERY_ID})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    ids: dict[str, Any] = EVERY_ID if surface != "agent_frame" else {**ENGAGEMENT, "agent_id": "7"}
    tried: list[dict[str, Any]] = [{}, {"token": "x"}, {"resume": "x"}, {"token": "x" * 8_000}]
    for proof in tried:
        outsider = await world.widget()
        await outsider.greet(surface=surface, engagement=ids, claim_secret="o" * 20, **proof)
        assert await outsider.closed() == 4401
        assert {message["type"] for message in outsider.got} == {"request.refused"}
    guessed = await http.post("/v1/guest", json={"code": "eng-1-eng-1", "name": "Eve"})
    assert guessed.status_code == 404
    for place in ("sessions/s-1", "sessions/s-1/participants", "sessions/s-1/events", "records"):
        assert (await http.get(f"/v1/{place}")).status_code == 401
    assert session.seen == []
    assert world.ledger.puts == {}
