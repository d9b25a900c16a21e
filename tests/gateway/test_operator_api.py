"""Operators: a token of their own audience, and views that name nobody who takes part."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.messages import upkeep
from broker.messages.cluster.base import ClusterMessage, Done, read
from broker.messages.cluster.nodes import NodeDrain, NodeList, NodeState, NodeUndrain
from broker.messages.sharing import Revocation
from gateway.commands.command import app
from gateway.proofs.operators import LONGEST_S, operator_token
from gateway.proofs.revocations import agent_hash, operator_hash
from gateway.proofs.tokens import LEEWAY_S, Audience, Tokens
from tests.gateway.answering import serving
from tests.gateway.conftest import API_KEY, World
from tests.gateway.records import LETTER, RECORD

PLACES = ("accounts", "ends", "dead-letters", "nodes")


@pytest.mark.parametrize("place", PLACES)
async def test_nothing_but_an_operators_token_opens_it(world: World, place: str) -> None:
    async with world.http() as client:
        for token in (API_KEY, world.agent_token(), world.waiting_token(), "x"):
            answer = await client.get(
                f"/v1/operator/{place}", headers={"Authorization": f"Bearer {token}"}
            )
            assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
        answer = await client.get(f"/v1/operator/{place}")
    assert (answer.status_code, answer.json()["code"]) == (401, "token_missing")


async def test_an_operators_token_opens_nothing_else(world: World) -> None:
    token = operator_token(world.tokens, "Sam", 600)
    async with world.http() as client:
        answer = await client.get("/v1/sessions", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    widget = await world.widget()
    await widget.greet(token=token, surface="agent_frame")
    assert await widget.closed() == 4401


async def test_an_operator_sees_what_goes_wrong_and_nobody(world: World) -> None:
    world.ledger.records["s-1"] = RECORD
    world.ledger.others["outbox.dead"] = lambda payload: upkeep.DeadLetterPage(letters=[LETTER])
    world.ledger.others["outbox.redeliver"] = lambda payload: upkeep.Redelivered(count=1)
    head = {"Authorization": f"Bearer {operator_token(world.tokens, 'Sam', 600)}"}
    async with world.http() as client:
        ends = await client.get("/v1/operator/ends", headers=head)
        letters = await client.get("/v1/operator/dead-letters", headers=head)
        sent = await client.post(
            "/v1/operator/redeliveries", json={"endpoint_id": "crm"}, headers=head
        )
        accounts = await client.get("/v1/operator/accounts", headers=head)
    assert ends.json()["ends"][0]["end_reason"] == RECORD.end_reason
    assert "Alex" not in ends.text
    assert letters.json()["dead_letters"][0]["account_id"] == "acc"
    assert (sent.status_code, sent.json()) == (201, {"count": 1})
    assert [each["account_id"] for each in accounts.json()["accounts"]] == ["acc", "other"]
    assert "hash" not in accounts.text


@pytest.mark.parametrize("by", ["name", "token_id"])
async def test_an_operators_tokens_can_be_revoked_at_every_gateway(world: World, by: str) -> None:
    # As spaces go where a revocation is asked for.
    theirs = operator_token(world.tokens, " Sam ", 600)
    proof = world.tokens.read(theirs, Audience.OPERATOR)
    mine = {"Authorization": f"Bearer {operator_token(world.tokens, 'Alex', 600)}"}
    body = {"name": "Sam"} if by == "name" else {"token_id": proof.token_id}
    async with world.http() as client:
        done = await client.post("/v1/operator/revocations", json=body, headers=mine)
        assert (done.status_code, done.json()) == (201, {"everywhere": True})
        head = {"Authorization": f"Bearer {theirs}"}
        answer = await client.get("/v1/operator/ends", headers=head)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
        assert (await client.get("/v1/operator/ends", headers=mine)).status_code == 200
        for wrong in ({}, {"name": "Sam", "token_id": "t"}):
            refused = await client.post("/v1/operator/revocations", json=wrong, headers=mine)
            assert refused.status_code == 400
    [said] = world.ledger.revocations
    assert said.account_id == ""
    assert said.until_s >= proof.expires_at + LEEWAY_S
    assert said.until_s - said.at_s == LONGEST_S + LEEWAY_S


@pytest.mark.parametrize("name", ["", "  ", "x" * 81])
def test_a_token_that_no_name_would_revoke_is_not_minted(world: World, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 80 characters"):
        operator_token(world.tokens, name, 600)


async def test_another_gateways_word_revokes_an_operator_and_an_accounts_does_not(
    world: World,
) -> None:
    token = operator_token(world.tokens, "Sam", 600)
    proof = world.tokens.read(token, Audience.OPERATOR)
    theirs = {"Authorization": f"Bearer {token}"}
    async with world.http() as client:
        for body in ({"agent_id": "Sam"}, {"token_id": proof.token_id}):
            head = {"Authorization": f"Bearer {API_KEY}"}
            await client.post("/v1/revocations", json=body, headers=head)
        assert (await client.get("/v1/operator/ends", headers=theirs)).status_code == 200
    agent = await world.agent()
    for account_id, named in (("", operator_hash("Sam")), ("acc", agent_hash("7"))):
        now = time.time()
        said = Revocation(account_id=account_id, subject_hash=named, at_s=now, until_s=now + 60)
        world.ledger.notify("revocation.added", said)
    # What was said before that has arrived, too.
    assert await agent.closed() == 4401
    async with world.http() as client:
        assert (await client.get("/v1/operator/ends", headers=theirs)).status_code == 401


async def test_an_operator_drains_a_node_and_takes_it_back(world: World) -> None:
    asked: list[ClusterMessage] = []

    def drain(payload: bytes) -> ClusterMessage:
        asked.append(read(NodeDrain, payload))
        return NodeState(node="n-1", drain="moving")

    def undrain(payload: bytes) -> ClusterMessage:
        asked.append(read(NodeUndrain, payload))
        return Done()

    nodes = NodeList(nodes=[NodeState(node="n-1", standbys=2, live=3), NodeState(node="n-2")])
    world.ledger.others |= {
        "node.list": lambda payload: nodes,
        "node.drain": drain,
        "node.undrain": undrain,
    }
    head = {"Authorization": f"Bearer {operator_token(world.tokens, 'Sam', 600)}"}
    async with world.http() as client:
        listed = (await client.get("/v1/operator/nodes", headers=head)).json()
        place = "/v1/operator/nodes/n-1"
        drained = await client.post(f"{place}/drain", json={"deadline_s": 60}, headers=head)
        back = await client.post(f"{place}/undrain", headers=head)
    assert (listed["standbys"], listed["live"], len(listed["nodes"])) == (2, 3, 2)
    assert (drained.status_code, drained.json()["drain"], back.status_code) == (200, "moving", 204)
    assert asked == [NodeDrain(node="n-1", deadline_s=60), NodeUndrain(node="n-1")]


async def test_a_backend_sees_its_own_account_without_hashes(world: World) -> None:
    async with world.http() as client:
        answer = await client.get("/v1/account", headers={"Authorization": f"Bearer {API_KEY}"})
    assert (answer.json()["account_id"], answer.json()["api_key_ids"]) == ("acc", ["k1"])
    assert "hash" not in answer.text


def test_whoever_can_read_the_secret_can_revoke_one(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("0" * 64)
    path.chmod(0o600)
    arguments = ["operator-revoke", "--secret-file", str(path), "--name", "Sam"]
    with serving("/v1/operator/revocations", {"everywhere": True}) as gateway:
        done = CliRunner().invoke(app, [*arguments, "--gateway", gateway])
    assert done.exit_code == 0, done.output
    with serving("/v1/operator/revocations", {"everywhere": False}) as gateway:
        done = CliRunner().invoke(app, [*arguments, "--gateway", gateway])
    assert "ledger is away" in done.output


def test_whoever_can_read_the_secret_can_mint_one(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("0" * 64)
    arguments = ["operator-token", "--secret-file", str(path), "--name", "Sam", "--hours", "1"]
    path.chmod(0o644)
    refused = CliRunner().invoke(app, arguments)
    assert (refused.exit_code, "chmod 600" in refused.output) == (2, True)
    path.chmod(0o600)
    minted = CliRunner().invoke(app, arguments)
    token = minted.stdout.strip()
    tokens = Tokens(b"0" * 64, time.time, secrets.token_bytes, resume_s=1)
    proof = tokens.read(token, Audience.OPERATOR)
    assert proof.principal.name == "Sam"
    # By it the log says who did something, and a revocation can name it.
    assert proof.token_id in minted.stderr
    assert proof.expires_at - time.time() <= 3_600
