"""Outsiders and floods: what an outsider who knows every id gets, and what a flood does."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import pytest

from broker.errors import ErrorCode, Forbidden, TooFast
from broker.messages.cluster.trunk import Principal
from broker.words import Role
from gateway.accounts import ApiKey, hash_key
from gateway.proofs.tokens import Audience
from gateway.settings import Settings
from tests.gateway.conftest import API_KEY, WINDOW, World


async def test_an_outsider_who_knows_every_id_is_not_attached_and_sees_nothing(
    world: World,
) -> None:
    session = await world.session()
    session.refusal = Forbidden(ErrorCode.CONSUMER_CONFLICT, "Another person is invited.")
    world.ledger.live["eng-1"] = session.location
    async with world.http() as client:
        body = {"engagement": {**WINDOW, "visitor_id": "v", "conversation_id": "c"}}
        token = (await client.post("/v1/waiting", json=body)).json()["token"]
    outsider = await world.widget()
    welcome = await outsider.hello(token=token, engagement=WINDOW, claim_secret="o" * 20)
    assert (welcome["type"], welcome["in_session"]) == ("connection.welcome", False)
    for kind in ("invitation.accept", "session.end", "session.start", "guest.invite"):
        fields = {"invitation.accept": {"invitation_id": "i", "mode": "video"}}.get(kind, {})
        if kind == "session.start":
            fields = {"mode": "video"}
        await outsider.say(type=kind, id=kind, **fields)
        answer = await outsider.next()
        assert (answer["code"], answer["reply_to"]) == ("not_in_session", kind)
    assert not world.ledger.opened
    assert {message["type"] for message in outsider.got} == {
        "connection.welcome",
        "request.refused",
    }


async def test_claims_reach_the_actor_as_hashes_that_differ_by_secret(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    for secret in ("a" * 20, "a" * 20, "b" * 20):
        await world.consumer(claim_secret=secret)
    first, same, other = (hello.principal.claim_hash for hello in session.seen)
    assert first == same != other
    assert "a" * 20 not in str(session.seen)


async def test_a_resume_token_passes_for_no_other_kind(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    consumer = await world.consumer()
    resume = (await consumer.until("resume.renewed"))["resume"]
    for token in (resume, resume[:-6] + "AAAAAA"):
        widget = await world.widget()
        await widget.greet(token=token, surface="guest_page")
        assert await widget.closed() == 4401


async def test_a_crowd_at_the_engagement_costs_nobody_their_place_in_a_call(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    consumer = await world.consumer()
    resume = (await consumer.until("resume.renewed"))["resume"]
    await consumer.socket.close()
    world.ledger.faults["presence.put"] = TooFast(ErrorCode.RATE_LIMITED, "Too many wait.")
    back = await world.widget()
    await back.greet(resume=resume, engagement=WINDOW, claim_secret="c" * 20)
    await back.until("resume.renewed")
    await world.ledger.signal.until(lambda: world.ledger.refused["presence.put"])
    await back.say(type="connection.ping")
    await back.until("connection.pong")


async def post(world: World, address: str, body: dict[str, Any]) -> int:
    """Ask for a waiting token straight through ASGI, from an address; returns the status."""
    sent: list[MutableMapping[str, Any]] = []
    content = json.dumps(body).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/v1/waiting",
        "raw_path": b"/v1/waiting",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": (address, 1),
        "server": ("gateway.test", 80),
        "scheme": "http",
        "state": {},
    }
    await world.app(scope, receive, send)
    return int(sent[0]["status"])


async def test_ten_thousand_waiting_look_ups_are_held_back_and_tell_nothing(world: World) -> None:
    """From one address the address is held back; from ten thousand, the engagement."""
    limits = world.settings.limits
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    body = {"engagement": WINDOW}
    one = Counter([await post(world, "192.0.2.1", body) for _ in range(5_000)])
    assert set(one) == {200, 429}
    assert one[200] <= limits.engagement_try_burst + 60
    elsewhere = {"engagement": {**WINDOW, "window_session_id": "eng-2"}}
    many = Counter(
        [
            await post(world, f"198.51.{number // 250}.{number % 250}", elsewhere)
            for number in range(5_000)
        ]
    )
    assert set(many) == {200, 429}
    assert many[200] <= limits.engagement_try_burst + 60
    # Another engagement is not held back by these, and a live one looks like any other.
    other = {"engagement": {**WINDOW, "window_session_id": "eng-3"}}
    assert await post(world, "203.0.113.9", other) == 200


async def test_a_backend_that_asks_too_fast_is_held_back_alone(settings: Settings) -> None:
    # Slow enough that none comes back while they are asked.
    limits = replace(settings.limits, account_request_burst=5, account_requests_per_minute=1.0)
    key = f"swk_k2_{'t' * 40}"
    other = replace(settings.accounts["other"], api_keys=(ApiKey("k2", hash_key(key)),))
    accounts = {**settings.accounts, "other": other}
    world = World(replace(settings, limits=limits, accounts=accounts))
    await world.start()
    try:
        async with world.http() as client:
            answers = [
                await client.get("/v1/account", headers={"Authorization": f"Bearer {API_KEY}"})
                for _ in range(8)
            ]
            neighbour = await client.get("/v1/account", headers={"Authorization": f"Bearer {key}"})
        assert [each.status_code for each in answers] == [200] * 5 + [429] * 3
        assert "retry-after" in answers[-1].headers
        assert neighbour.status_code == 200
    finally:
        await world.stop()


async def test_a_replayed_token_takes_nothing_from_its_owner(world: World) -> None:
    """A stolen waiting token is another claim; a resume token said twice is one participant."""
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    token = world.waiting_token()
    owner = await world.consumer(token=token)
    resume = (await owner.until("resume.renewed"))["resume"]
    session.refusal = Forbidden(ErrorCode.CONSUMER_CONFLICT, "Another person is invited.")
    thief = await world.widget()
    welcome = await thief.hello(token=token, engagement=WINDOW, claim_secret="t" * 20)
    assert (welcome["type"], welcome["in_session"]) == ("connection.welcome", False)
    assert session.seen[-1].principal.claim_hash != session.seen[0].principal.claim_hash
    session.refusal = None
    again = await world.widget()
    await again.greet(resume=resume, claim_secret="t" * 20)
    await again.until("session.snapshot")
    participants = {each.principal.participant_id for each in session.seen if each.principal}
    assert len(participants - {None}) == 1


async def test_one_address_does_not_fill_a_gateway_with_those_who_wait(
    settings: Settings,
) -> None:
    """One token serves for any number of connections: nobody checks who holds a claim."""
    limits = replace(settings.limits, connections_by_claim_from_one=3)
    world = World(replace(settings, limits=limits))
    await world.start()
    try:
        for number in range(3):
            await world.consumer(claim_secret=f"{number}" * 20)
        outsider = await world.widget()
        await outsider.greet(token=world.waiting_token(), engagement=WINDOW)
        assert await outsider.closed() == 4429
        assert [message["code"] for message in outsider.got] == ["rate_limited"]
        # Whoever has a proof comes all the same, and so does the next once another has gone.
        await world.agent()
        proved = Principal(role=Role.CONSUMER, account_id="acc", verified=True)
        await world.consumer(token=world.tokens.mint(Audience.WAITING, proved, 60, keys=("eng-1",)))
        next(
            each
            for each in world.room.connections
            if each.principal is not None and each.principal.claim_hash
        ).close(1001, "")
        await world.consumer()
    finally:
        await world.stop()


@pytest.mark.parametrize("kind", ["invitation.send", "media.view"])
async def test_a_flood_on_one_socket_waits_in_that_socket(settings: Settings, kind: str) -> None:
    limits = replace(settings.limits, messages_per_s=200.0, message_burst=20)
    world = World(replace(settings, limits=limits))
    await world.start()
    try:
        session = await world.session()
        world.ledger.live["eng-1"] = session.location
        flooder = await world.consumer()
        await flooder.until("session.snapshot")
        caller = await session.caller()
        began = asyncio.get_running_loop().time()
        for number in range(100):
            slot = {"index": 0, "width": number, "height": 1}
            fields = {"id": str(number), "mode": "video"} if "send" in kind else {"slots": [slot]}
            await flooder.say(type=kind, **fields)
        neighbour = await world.consumer()
        await neighbour.until("session.snapshot")
        await session.signal.until(lambda: len(caller.messages) == 100)
        took_s = asyncio.get_running_loop().time() - began
        assert took_s >= (100 - 20) / limits.messages_per_s
        told = [
            each["id"] if "id" in each else each["slots"][0]["width"] for each in caller.messages
        ]
        assert [int(each) for each in told] == list(range(100))
    finally:
        await world.stop()
