"""Dead letters and erasures over REST and by command: the caller's account, and one person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from broker.errors import ErrorCode, NotFound
from broker.messages import upkeep
from broker.messages.cluster.base import ClusterMessage, read
from gateway.proofs.oidc import SUBJECT_CHARACTERS
from tests.gateway.conftest import World
from tests.gateway.records import LETTER


def answering(world: World, model: type[Any], reply: ClusterMessage) -> list[Any]:
    """Have the ledger answer one call; returns what it will have been asked."""
    asked: list[Any] = []

    def answer(payload: bytes) -> ClusterMessage:
        asked.append(read(model, payload))
        return reply

    handler: Callable[[bytes], ClusterMessage] = answer
    world.ledger.others[model.method] = handler
    return asked


async def test_dead_letters_are_the_callers_own(api: httpx.AsyncClient, world: World) -> None:
    asked = answering(world, upkeep.DeadLetters, upkeep.DeadLetterPage(letters=[LETTER]))
    answer = await api.get("/v1/webhooks/dead-letters", params={"endpoint_id": "crm"})
    assert answer.json()["dead_letters"] == [
        {**LETTER.model_dump(exclude={"account_id"}), "again": False}
    ]
    assert (asked[0].account_id, asked[0].endpoint_id) == ("acc", "crm")


async def test_a_letter_is_sent_again_once_for_a_key(api: httpx.AsyncClient, world: World) -> None:
    asked = answering(world, upkeep.Redeliver, upkeep.Redelivered(count=1))
    body = {"endpoint_id": "crm", "session_id": "s-1", "seq": 3}
    for _ in range(2):
        answer = await api.post(
            "/v1/webhooks/redeliveries", json=body, headers={"Idempotency-Key": "one"}
        )
        assert (answer.status_code, answer.json()) == (201, {"count": 1})
    assert [one.account_id for one in asked] == ["acc"]
    for seq in (0, 2**31):
        beyond = await api.post("/v1/webhooks/redeliveries", json=body | {"seq": seq})
        assert (beyond.status_code, beyond.json()["code"]) == (400, "malformed")
    world.ledger.faults["outbox.redeliver"] = NotFound(ErrorCode.UNKNOWN_ENTRY, "None.")
    answer = await api.post("/v1/webhooks/redeliveries", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_entry")


async def test_one_person_is_forgotten(api: httpx.AsyncClient, world: World) -> None:
    gone = upkeep.Erasure(session_id="s-1", participant_id="p-2", erased_ms=5)
    asked = answering(world, upkeep.PersonErase, upkeep.Erasures(erased=[gone]))
    answer = await api.post("/v1/erasures", json={"visitor_id": " v "})
    assert answer.json()["erased"] == [gone.model_dump()]
    assert (asked[0].account_id, asked[0].visitor_id) == ("acc", "v")
    page = upkeep.Erasures(erased=[gone], cursor="there")
    listing = answering(world, upkeep.ErasureList, page)
    answer = await api.get("/v1/erasures", params={"since_ms": 4, "cursor": "here", "limit": 2})
    assert answer.json() == {"erased": [gone.model_dump()], "cursor": "there"}
    [said] = listing
    assert (said.account_id, said.since_ms, said.cursor, said.limit) == ("acc", 4, "here", 2)


async def test_whoever_a_brands_login_names_can_be_forgotten(
    api: httpx.AsyncClient, world: World
) -> None:
    """OpenID Connect gives a subject 255 characters."""
    asked = answering(world, upkeep.PersonErase, upkeep.Erasures(erased=[]))
    for length, status in ((SUBJECT_CHARACTERS, 201), (SUBJECT_CHARACTERS + 1, 400)):
        answer = await api.post("/v1/erasures", json={"visitor_id": "v" * length})
        assert answer.status_code == status
    assert [len(each.visitor_id) for each in asked] == [SUBJECT_CHARACTERS]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"session_id": "s-1"},
        {"participant_id": "p"},
        {"visitor_id": "v", "agent_id": "7"},
        {"visitor_id": "v", "session_id": "s-1", "participant_id": "p"},
        {"visitor_id": "v", "everybody": True},
    ],
)
async def test_who_is_to_be_forgotten_must_be_clear(
    api: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    answer = await api.post("/v1/erasures", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
