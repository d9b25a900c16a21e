"""The server API: sessions that a backend starts, repeated requests, bodies that are none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzzing
from hypothesis import strategies as st

from broker.errors import Conflict, ErrorCode, Unavailable
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.trunk import Location
from broker.words import Mode
from gateway.settings import Settings
from tests.gateway.conftest import API_KEY, ENGAGEMENT, World

OWNER = {"agent_id": "acc.7", "name": "Alex"}


async def test_a_session_is_started_ahead_of_time_and_once_for_a_key(
    api: httpx.AsyncClient, world: World
) -> None:
    session = await world.session()

    async def opened(request: SessionOpen) -> Location:
        if len(world.ledger.opened) > 1:
            raise Conflict(ErrorCode.ALREADY_LIVE, "There is a session already.")
        return session.location

    world.ledger.on_open = opened
    body = {"engagement": ENGAGEMENT, "owner": OWNER}
    headers = {"Idempotency-Key": "one"}
    first = await api.post("/v1/sessions", json=body, headers=headers)
    again = await api.post("/v1/sessions", json=body, headers=headers)
    assert (first.status_code, first.json()) == (201, again.json())
    assert len(world.ledger.opened) == 1
    assert world.ledger.opened[0].owner.agent_id == "acc.7"
    other = await api.post("/v1/sessions", json={**body, "mode": "voice"}, headers=headers)
    assert (other.status_code, "another body" in other.json()["detail"]) == (400, True)
    without = await api.post("/v1/sessions", json=body)
    assert (without.status_code, without.json()["code"]) == (409, "already_live")


async def test_a_session_of_a_backend_has_the_policy_and_the_nodes_of_its_account(
    settings: Settings,
) -> None:
    policy = {"consumer_may_invite": True, "invitation_ms": 20_000}
    account = replace(settings.accounts["acc"], policy=policy, label="eu")
    world = World(replace(settings, accounts={"acc": account}))
    await world.start()
    try:
        session = await world.session()

        async def opened(_: SessionOpen) -> Location:
            return session.location

        world.ledger.on_open = opened
        async with world.http() as client:
            client.headers["Authorization"] = f"Bearer {API_KEY}"
            body = {"engagement": ENGAGEMENT, "owner": OWNER}
            assert (await client.post("/v1/sessions", json=body)).status_code == 201
        [asked] = world.ledger.opened
        assert (asked.policy, asked.label) == (policy, "eu")
    finally:
        await world.stop()


async def test_a_repetition_while_the_first_runs_is_told_to_wait(
    api: httpx.AsyncClient, world: World
) -> None:
    session = await world.session()
    going, may_end = asyncio.Event(), asyncio.Event()

    async def opened(request: SessionOpen) -> Location:
        going.set()
        await may_end.wait()
        return session.location

    world.ledger.on_open = opened
    body = {"engagement": ENGAGEMENT, "owner": OWNER}
    headers = {"Idempotency-Key": "one"}
    first = asyncio.create_task(api.post("/v1/sessions", json=body, headers=headers))
    await going.wait()
    second = await api.post("/v1/sessions", json=body, headers=headers)
    may_end.set()
    assert (second.status_code, (await first).status_code) == (409, 201)
    assert second.json()["retryable"], "said again it has the first one's answer"


async def test_what_took_too_long_is_no_answer_to_whoever_has_its_key_by_then(
    api: httpx.AsyncClient, world: World
) -> None:
    slow, quick = await world.session(), await world.session("s-2")
    going, may_end = asyncio.Event(), asyncio.Event()

    async def opened(request: SessionOpen) -> Location:
        if request.mode is Mode.VOICE:
            return quick.location
        going.set()
        await may_end.wait()
        return slow.location

    world.ledger.on_open = opened
    body, headers = {"engagement": ENGAGEMENT, "owner": OWNER}, {"Idempotency-Key": "one"}
    voice = {**body, "mode": "voice"}
    first = asyncio.create_task(api.post("/v1/sessions", json=body, headers=headers))
    await going.wait()
    world.ledger.lapse()
    second = await api.post("/v1/sessions", json=voice, headers=headers)
    may_end.set()
    assert ((await first).status_code, second.status_code) == (201, 201)
    assert (await first).json() != second.json()
    again = await api.post("/v1/sessions", json=voice, headers=headers)
    assert again.json() == second.json()


async def test_a_session_of_another_account_cannot_be_started(api: httpx.AsyncClient) -> None:
    body = {"engagement": {**ENGAGEMENT, "account_id": "other"}, "owner": OWNER}
    assert (await api.post("/v1/sessions", json=body)).status_code == 400


async def endless() -> AsyncIterator[bytes]:
    for _ in range(100):
        yield b"x" * 1_000


@pytest.mark.parametrize("content", [b"x" * 100_000, endless()], ids=["long", "chunked"])
async def test_the_api_takes_no_endless_body(api: httpx.AsyncClient, content: Any) -> None:
    answer = await api.post("/v1/tokens", content=content)
    assert (answer.status_code, answer.json()["code"]) == (413, "message_too_large")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


async def test_no_body_makes_a_mistake_of_ours(api: httpx.AsyncClient) -> None:
    bodies: list[Any] = []

    # The first draw loads unicode tables, which takes a second on a busy machine.
    @fuzzing(max_examples=60, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(JSON | st.fixed_dictionaries({"kind": JSON, "agent_id": JSON, "engagement": JSON}))
    def collect(body: Any) -> None:
        bodies.append(body)

    collect()
    for body in bodies:
        for path in ("/v1/tokens", "/v1/sessions", "/v1/revocations", "/v1/waiting", "/v1/guest"):
            answer = await api.post(path, content=json.dumps(body).encode())
            assert answer.status_code in (400, 429), answer.text
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_session_is_named_by_the_request_that_starts_it(
    api: httpx.AsyncClient, world: World
) -> None:
    """So that the ledger knows again what a request made of which nobody heard the answer."""

    async def lost(request: SessionOpen) -> Location:
        raise Unavailable(ErrorCode.LEDGER_AWAY, "It may have been opened.")

    world.ledger.on_open = lost
    body = {"engagement": ENGAGEMENT, "owner": OWNER}
    for key in ("one", "one", "two"):
        answer = await api.post("/v1/sessions", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 503
    await api.post("/v1/sessions", json=body)
    one, again, two, unnamed = (asked.session_id for asked in world.ledger.opened)
    assert one == again
    assert len({one, two, unnamed}) == 3
    assert unnamed is None
