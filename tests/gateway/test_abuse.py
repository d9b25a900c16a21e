"""Outsiders and floods: what an outsider who knows every id gets, and what a flood does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from broker.errors import ErrorCode, Forbidden
from gateway.settings import Settings
from tests.gateway.conftest import WINDOW, World


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


async def test_a_flood_on_one_socket_waits_in_that_socket(settings: Settings) -> None:
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
            await flooder.say(type="invitation.send", id=str(number), mode="video")
        neighbour = await world.consumer()
        await neighbour.until("session.snapshot")
        await session.signal.until(lambda: len(caller.messages) == 100)
        took_s = asyncio.get_running_loop().time() - began
        assert took_s >= (100 - 20) / limits.messages_per_s
        assert [message["id"] for message in caller.messages] == [str(n) for n in range(100)]
    finally:
        await world.stop()
