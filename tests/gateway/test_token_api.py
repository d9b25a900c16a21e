"""Tokens that a backend mints, what they open and what not, and their end by revocation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from gateway.accounts import ConsumerProof
from gateway.api.token_api import RevocationRequest
from gateway.proofs.tokens import Audience
from gateway.settings import Settings
from tests.gateway.conftest import ENGAGEMENT, WINDOW, World

OWNER = {"agent_id": "acc.7", "name": "Alex"}


async def test_a_backend_mints_an_agent_token_that_connects(
    api: httpx.AsyncClient, world: World
) -> None:
    answer = await api.post("/v1/tokens", json={"kind": "agent", **OWNER, "expires_in_s": 999_999})
    assert (answer.status_code, answer.json()["expires_in_s"]) == (201, 3_600)
    widget = await world.widget()
    welcome = await widget.hello(
        token=answer.json()["token"], surface="agent_frame", engagement=ENGAGEMENT
    )
    assert welcome["role"] == "agent"


async def test_an_identified_consumer_stands_at_its_own_engagement_only(
    api: httpx.AsyncClient, world: World
) -> None:
    answer = await api.post("/v1/tokens", json={"kind": "consumer", "engagement": WINDOW})
    token = answer.json()["token"]
    assert world.tokens.read(token, Audience.WAITING).principal.verified
    elsewhere = {**WINDOW, "window_session_id": "eng-2"}
    intruder = await world.widget()
    await intruder.greet(token=token, engagement=elsewhere)
    assert await intruder.closed() == 4403
    widget = await world.widget()
    await widget.hello(token=token, engagement=WINDOW)
    await widget.say(type="engagement.update", engagement=elsewhere)
    assert (await widget.next())["code"] == "not_permitted"
    session = await world.session()
    world.ledger.attach(session)
    resume = (await widget.until("resume.renewed"))["resume"]
    await widget.until("session.snapshot")
    for engagement in (elsewhere, {**WINDOW, "account_id": "other"}):
        await widget.say(type="engagement.update", engagement=engagement)
        assert (await widget.until("request.refused"))["code"] == "not_permitted"
    within = {**WINDOW, "visitor_name": "Kim"}
    await widget.say(type="engagement.update", engagement=within)
    caller = await session.caller()
    await session.signal.until(lambda: caller.messages)
    assert caller.messages == [{"type": "engagement.update", "engagement": within}]
    again = await world.widget()
    await again.greet(resume=resume, engagement=elsewhere)
    assert await again.closed() == 4403


async def test_where_the_brand_proves_consumers_nobody_mints_their_own(
    settings: Settings,
) -> None:
    account = replace(settings.accounts["acc"], consumer_proof=ConsumerProof.TOKEN)
    world = World(replace(settings, accounts={"acc": account}))
    await world.start()
    try:
        async with world.http() as client:
            answer = await client.post("/v1/waiting", json={"engagement": WINDOW})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    finally:
        await world.stop()


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "operator", **OWNER},
        {"kind": "agent", "agent_id": "7"},
        {"kind": "agent", **OWNER, "role": "supervisor"},
        {"kind": "agent", **OWNER, "picture": "http://insecure.example/a.png"},
        {"kind": "agent", "agent_id": "7", "name": "x" * 81},
        {"kind": "consumer", "engagement": {"account_id": "other", "window_session_id": "e"}},
        {"kind": "consumer", "engagement": {"account_id": "acc"}},
    ],
)
async def test_a_token_that_must_not_be_is_refused(
    api: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    answer = await api.post("/v1/tokens", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_revoking_an_agent_closes_and_refuses_what_was_given_before(
    api: httpx.AsyncClient, world: World
) -> None:
    agent = await world.agent()
    other = await world.agent(token=world.agent_token("8"))
    answer = await api.post("/v1/revocations", json={"agent_id": "acc:7"})
    assert (answer.status_code, answer.json()) == (
        201,
        {"connections_closed": 1, "everywhere": True},
    )
    assert await agent.closed() == 4401
    again = await world.widget()
    await again.greet(token=world.agent_token(), surface="agent_frame")
    assert await again.closed() == 4401
    await other.say(type="connection.ping")
    await other.until("connection.pong")


async def test_revoking_a_token_ends_what_it_began(api: httpx.AsyncClient, world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    token = world.waiting_token()
    consumer = await world.consumer(token=token)
    resume = (await consumer.until("resume.renewed"))["resume"]
    token_id = world.tokens.read(token, Audience.WAITING).token_id
    answer = await api.post("/v1/revocations", json={"token_id": token_id})
    assert answer.json() == {"connections_closed": 1, "everywhere": True}
    assert await consumer.closed() == 4401
    for proof in ({"token": token}, {"resume": resume}):
        again = await world.widget()
        await again.greet(**proof)
        assert await again.closed() == 4401
    neighbour = await world.consumer()
    await neighbour.until("session.snapshot")


def test_a_revocation_has_no_room_for_more() -> None:
    with pytest.raises(ValidationError):
        RevocationRequest.model_validate({"agent_id": "7", "everybody": True})


async def test_proofs_do_not_outlive_the_account_they_are_for(
    world: World, settings: Settings
) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    consumer = await world.consumer()
    resume = (await consumer.until("resume.renewed"))["resume"]
    without = World(replace(settings, accounts={"other": settings.accounts["other"]}))
    await without.start()
    try:
        for proof in ({"token": world.agent_token()}, {"resume": resume}):
            widget = await without.widget()
            await widget.greet(**proof, surface="agent_frame")
            assert (await widget.next())["code"] == "unknown_account"
            assert await widget.closed() == 4404
    finally:
        await without.stop()
