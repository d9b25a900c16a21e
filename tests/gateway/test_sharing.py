"""What a gateway does with what the others know: closes, refuses, answers again."""

from __future__ import annotations

import asyncio
import secrets
import time

import pytest

from broker.errors import ErrorCode, Internal, TooFast, Unavailable
from broker.messages import sharing
from broker.messages.cluster.base import ClusterMessage
from broker.messages.sharing import MOST_REVOCATIONS, Revocation
from broker.words import Role
from gateway.links import ledger_client
from gateway.proofs.revocations import RevocationList, agent_hash
from gateway.proofs.tokens import Tokens
from tests.gateway.conftest import API_KEY, SECRET, World

HEAD = {"Authorization": f"Bearer {API_KEY}"}


def revoked(agent_id: str = "7", *, account_id: str = "acc") -> Revocation:
    now = time.time()
    return Revocation(
        account_id=account_id, subject_hash=agent_hash(agent_id), at_s=now, until_s=now + 60
    )


async def test_a_revocation_said_to_another_gateway_closes_here_too(world: World) -> None:
    agent, other = await world.agent(), await world.agent(token=world.agent_token("8"))
    world.ledger.notify("revocation.added", revoked("acc.7", account_id="elsewhere"))
    world.ledger.notify("revocation.added", revoked("acc.7"))
    assert await agent.closed() == 4401
    await other.say(type="connection.ping")
    await other.until("connection.pong")
    again = await world.widget()
    await again.greet(token=world.agent_token(), surface="agent_frame")
    assert await again.closed() == 4401


async def test_a_gateway_that_starts_later_refuses_too(world: World) -> None:
    old = world.agent_token()
    world.ledger.revocations.append(revoked())
    port = world.ledger.port
    await world.ledger.stop()
    await world.ledger.start(port)
    await world.ledger.signal.until(lambda: world.ledger.listed)
    widget = await world.widget()
    await widget.greet(token=old, surface="agent_frame")
    assert await widget.closed() == 4401


async def test_a_revocation_while_the_ledger_is_away_acts_and_is_said_later(world: World) -> None:
    agent = await world.agent()
    world.ledger.faults["revocation.add"] = Unavailable(ErrorCode.LEDGER_AWAY, "Away.")
    async with world.http() as client:
        answer = await client.post("/v1/revocations", json={"agent_id": "7"}, headers=HEAD)
    assert answer.json() == {"connections_closed": 1, "everywhere": False}
    assert await agent.closed() == 4401
    world.ledger.faults.clear()
    port = world.ledger.port
    await world.ledger.stop()
    await world.ledger.start(port)
    await world.ledger.signal.until(lambda: world.ledger.revocations)
    assert world.ledger.revocations[0].subject_hash == agent_hash("7")


async def test_a_later_revocation_waits_though_an_earlier_one_of_the_same_agent_is_said(
    world: World,
) -> None:
    holding, heard = asyncio.Event(), asyncio.Event()
    add = world.ledger._handle

    async def slow(method: str, payload: bytes) -> ClusterMessage:
        if method == "revocation.add" and not heard.is_set():
            heard.set()
            await holding.wait()
        return await add(method, payload)

    def revoked_at(at_s: float) -> Revocation:
        return Revocation(account_id="acc", subject_hash="h", at_s=at_s, until_s=at_s + 1e9)

    async def come_back() -> None:
        port = world.ledger.port
        world.ledger.faults.clear()
        await world.ledger.stop()
        await world.ledger.start(port)

    world.ledger.faults["revocation.add"] = Unavailable(ErrorCode.LEDGER_AWAY, "Away.")
    assert not await world.directory.revoke(revoked_at(1.0))
    world.ledger._handle = slow  # type: ignore[method-assign]
    await come_back()
    await heard.wait()
    world.ledger.faults["revocation.add"] = Unavailable(ErrorCode.LEDGER_AWAY, "Away.")
    assert not await world.directory.revoke(revoked_at(2.0))
    holding.set()
    await world.ledger.signal.until(lambda: world.ledger.revocations)
    # By the answer to this, that to the first is here.
    await world.directory.ask(sharing.RevocationList(), sharing.Revocations)
    await come_back()
    await world.ledger.signal.until(lambda: len(world.ledger.revocations) > 1)
    assert [each.at_s for each in world.ledger.revocations] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/v1/revocations", {"token_id": "t"}, 201), ("/v1/tokens", {"kind": "agent"}, 503)],
)
async def test_what_is_harmless_twice_does_not_wait_for_the_ledger(
    world: World, path: str, body: dict[str, str], status: int
) -> None:
    world.ledger.faults["answer.claim"] = Unavailable(ErrorCode.LEDGER_AWAY, "Away.")
    if status == 503:
        body = {**body, "agent_id": "7", "name": "Alex"}
    async with world.http() as client:
        answer = await client.post(path, json=body, headers={**HEAD, "Idempotency-Key": "k"})
    assert answer.status_code == status


async def test_what_is_kept_of_an_answer_is_sealed(world: World) -> None:
    body = {"kind": "agent", "agent_id": "7", "name": "Alex"}
    async with world.http() as client:
        head = {**HEAD, "Idempotency-Key": "k"}
        first = await client.post("/v1/tokens", json=body, headers=head)
        again = await client.post("/v1/tokens", json=body, headers=head)
    assert first.json() == again.json()
    ((_, sealed),) = world.ledger.answers.values()
    assert sealed is not None
    assert first.json()["token"] not in sealed
    assert "Alex" not in sealed


async def test_a_failure_is_not_remembered(world: World) -> None:
    body = {"kind": "consumer", "engagement": {"account_id": "acc"}}
    async with world.http() as client:
        head = {**HEAD, "Idempotency-Key": "k"}
        for _ in range(2):
            answer = await client.post("/v1/tokens", json=body, headers=head)
            assert answer.status_code == 400
    assert world.ledger.answers == {}


async def test_a_gateway_is_not_ready_until_it_has_learned_all_revocations(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_client, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(ledger_client, "REVOCATIONS_AT_ONCE", 1)
    old = world.agent_token()
    world.ledger.revocations += [revoked("6"), revoked("7"), revoked("8")]
    world.ledger.faults["revocation.list"] = Internal(ErrorCode.INTERNAL, "Broken.")
    port = world.ledger.port
    await world.ledger.stop()
    await world.ledger.start(port)
    async with world.http() as client:
        await world.ledger.signal.until(lambda: world.ledger.refused["revocation.list"] > 1)
        assert (await client.get("/readyz")).status_code == 503
        world.ledger.faults.clear()
        await world.directory.wait_ready()
        assert (await client.get("/readyz")).status_code == 200
    widget = await world.widget()
    await widget.greet(token=old, surface="agent_frame")
    assert await widget.closed() == 4401


async def test_a_pass_renewed_after_a_revocation_does_not_outlive_it(world: World) -> None:
    """Where it was renewed nobody had heard of the revocation, or the clock is ahead."""
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    consumer = await world.consumer()
    first = world.tokens.open((await consumer.until("resume.renewed"))["resume"])
    assert first.proved_at is not None
    old = first.model_copy(update={"proved_at": first.proved_at - 100})
    back = await world.widget()
    await back.greet(resume=world.tokens.seal(old))
    renewed = world.tokens.open((await back.until("resume.renewed"))["resume"])
    assert renewed.proved_at == old.proved_at

    agent = renewed.principal.model_copy(update={"role": Role.AGENT, "agent_id": "7"})
    gone = revoked("acc.7")
    world.ledger.notify("revocation.added", gone)
    late = Tokens(SECRET, lambda: gone.at_s + 30, secrets.token_bytes, resume_s=3_600)
    widget = await world.widget()
    await widget.greet(resume=late.seal(renewed.model_copy(update={"principal": agent})))
    assert await widget.closed() == 4401


def test_the_list_says_what_is_new_and_is_bounded_by_account() -> None:
    now = 1_000.0
    held = RevocationList(lambda: now, 60)
    first, other = held.make("acc", "s"), held.make("other", "s")
    assert held.add(first)
    assert not held.add(first)
    assert held.add(other)
    for number in range(1, MOST_REVOCATIONS):
        held.add(held.make("acc", str(number)))
    with pytest.raises(TooFast):
        held.make("acc", "one more")
    # Another gateway may take one more at the same time; it costs the account's own oldest.
    assert held.add(first.model_copy(update={"subject_hash": "elsewhere"}))
    assert held.add(first)
    assert not held.add(other)
    now += 61
    assert held.make("acc", "one more")
