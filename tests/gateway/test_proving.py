"""Consumers who prove who they are while they are in a session; and what proving nothing costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from broker.errors import ErrorCode, Gone
from broker.messages.cluster.trunk import Principal
from broker.words import Role
from gateway.proofs.tokens import Audience
from gateway.settings import Settings
from tests.gateway.conftest import WINDOW, Widget, World

PROVED = Principal(
    role=Role.CONSUMER, account_id="acc", name="Casey", visitor_id="v-1", verified=True
)


async def resume_of(world: World, **fields: Any) -> str:
    """Come into a session without a proof, and go; returns the resume token."""
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    consumer = await world.consumer(**fields)
    resume = str((await consumer.until("resume.renewed"))["resume"])
    await consumer.socket.close()
    return resume


async def come_back(world: World, resume: str, **fields: Any) -> Widget:
    widget = await world.widget()
    hello = {"resume": resume, "engagement": WINDOW, "claim_secret": "c" * 20, **fields}
    await widget.greet(**hello)
    await widget.until("resume.renewed")
    return widget


async def test_what_is_proved_on_coming_back_is_told_the_session_and_kept(world: World) -> None:
    resume = await resume_of(world)
    token = world.tokens.mint(Audience.WAITING, PROVED, 60, keys=("eng-1",))
    widget = await come_back(world, resume, token=token)
    before, now = (hello.principal for hello in world.sessions[0].seen)
    assert not before.verified
    assert (now.name, now.visitor_id, now.verified) == ("Casey", "v-1", True)
    assert now.participant_id == "p-1", "they are who they were"
    assert now.claim_hash == before.claim_hash
    renewed = world.tokens.open(widget.got[-1]["resume"])
    assert renewed.principal.verified
    assert renewed.bound_keys == ("eng-1",)
    assert renewed.token_id == world.tokens.open(resume).token_id, "by which they came in"
    assert renewed.proof_id == world.tokens.read(token, Audience.WAITING).token_id
    # From now on by the resume token alone.
    await come_back(world, widget.got[-1]["resume"], token=None)
    assert world.sessions[0].seen[-1].principal.verified


@pytest.mark.parametrize("taken", ["the one they came in by", "the one that proves it"])
async def test_either_token_taken_back_ends_it_for_who_proved_it_later(
    api: httpx.AsyncClient, world: World, taken: str
) -> None:
    came_in = world.waiting_token()
    resume = await resume_of(world, token=came_in)
    proving = world.tokens.mint(Audience.WAITING, PROVED, 60, keys=("eng-1",))
    first = await come_back(world, resume, token=proving)
    # By the resume token alone: it rests on both.
    second = await come_back(world, first.got[-1]["resume"], token=None)
    renewed = second.got[-1]["resume"]
    token = came_in if taken == "the one they came in by" else proving
    token_id = world.tokens.read(token, Audience.WAITING).token_id
    answer = await api.post("/v1/revocations", json={"token_id": token_id})
    assert answer.json()["connections_closed"] == 2
    for widget in (first, second):
        assert await widget.closed() == 4401
    again = await world.widget()
    await again.greet(resume=renewed)
    assert await again.closed() == 4401


@pytest.mark.parametrize(
    ("who", "keys", "engagement"),
    [
        (PROVED, ("eng-2",), None),
        (PROVED, ("eng-1",), {**WINDOW, "conversation_id": "c-1"}),
        (PROVED.model_copy(update={"account_id": "other"}), ("eng-1",), WINDOW),
        (PROVED.model_copy(update={"verified": False}), ("eng-1",), WINDOW),
        (None, (), WINDOW),
    ],
    ids=[
        "of another engagement",
        "of some of the ids only",
        "of another account",
        "that proves nothing",
        "that does not hold",
    ],
)
async def test_a_token_marks_nobody(
    world: World,
    who: Principal | None,
    keys: tuple[str, ...],
    engagement: dict[str, str] | None,
) -> None:
    """It is not needed, so it keeps nobody out of their session either."""
    resume = await resume_of(world)
    token = "x" if who is None else world.tokens.mint(Audience.WAITING, who, 60, keys=keys)
    widget = await come_back(world, resume, token=token, engagement=engagement)
    assert not world.sessions[0].seen[-1].principal.verified
    assert not world.tokens.open(widget.got[-1]["resume"]).principal.verified


@pytest.fixture
async def strict(settings: Settings) -> Any:
    """A gateway where an address may ask about three engagements, and about one more a minute."""
    limits = replace(settings.limits, request_burst=3, requests_per_minute=0.6)
    world = World(replace(settings, limits=limits))
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


async def stand_at(world: World, widget: Widget, key: str) -> None:
    await widget.say(type="engagement.update", engagement={**WINDOW, "window_session_id": key})
    puts = world.ledger.puts
    await world.ledger.signal.until(lambda: [key] in [put.keys for put in puts.values()])


async def test_one_waiting_token_asks_about_no_more_than_tokens_would(strict: World) -> None:
    consumer = await strict.consumer()
    for key in ("eng-2", "eng-1", "eng-3", "eng-4"):
        await stand_at(strict, consumer, key)
    elsewhere = {**WINDOW, "window_session_id": "eng-5"}
    await consumer.say(type="engagement.update", engagement=elsewhere)
    assert await consumer.closed() == 4429
    assert consumer.got[-1]["code"] == "rate_limited"
    assert all(put.keys != ["eng-5"] for put in strict.ledger.puts.values())
    # Neither does another connection by the same token, and its own engagement costs nothing.
    again = await strict.widget()
    await again.greet(token=strict.waiting_token(), engagement=elsewhere, claim_secret="c" * 20)
    assert await again.closed() == 4429
    await strict.consumer()


async def test_whoever_is_in_a_session_stays_there_whatever_they_ask_about(strict: World) -> None:
    session = await strict.session()
    strict.ledger.live["eng-1"] = session.location
    consumer = await strict.consumer()
    await consumer.until("session.snapshot")
    for key in ("eng-2", "eng-3", "eng-4"):
        await stand_at(strict, consumer, key)
    elsewhere = {**WINDOW, "window_session_id": "eng-5"}
    await consumer.say(type="engagement.update", engagement=elsewhere)
    await session.signal.until(
        lambda: (
            [
                message["engagement"]["window_session_id"]
                for caller in session.callers.values()
                for message in caller.messages
            ][-1:]
            == ["eng-5"]
        )
    )
    await consumer.say(type="connection.ping")
    await consumer.until("connection.pong")
    assert all(put.keys != ["eng-5"] for put in strict.ledger.puts.values())


async def test_a_resume_token_that_leads_nowhere_is_no_proof(settings: Settings) -> None:
    limits = replace(settings.limits, connections_by_claim_from_one=1)
    world = World(replace(settings, limits=limits))
    await world.start()
    try:
        resume = await resume_of(world)
        world.ledger.live.clear()
        world.sessions[0].refusal = Gone(ErrorCode.SESSION_ENDED, "Over.")
        await world.consumer(claim_secret="d" * 20)
        widget = await world.widget()
        token = world.waiting_token()
        await widget.greet(resume=resume, token=token, engagement=WINDOW, claim_secret="c" * 20)
        assert await widget.closed() == 4429
    finally:
        await world.stop()
