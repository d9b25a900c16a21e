"""What holds for every operation of the REST surface, whichever is added later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import httpx
import pytest

from broker.messages.cluster.base import ClusterMessage
from gateway.accounts import AgentLogin, ApiKey, hash_key
from gateway.commands.openapi import describe
from gateway.proofs.operators import operator_token
from gateway.proofs.tokens import Audience
from gateway.settings import Settings
from tests.gateway.conftest import API_KEY, ENGAGEMENT, KEY, WINDOW, World
from tests.gateway.fake_session import BackendSession
from tests.gateway.test_api_fuzz import furnish

OF_WIDGETS = {
    "createWaitingToken",
    "createConsumerLink",
    "createGuestToken",
    "rateSession",
    "enrolDevice",
    "challengeDevice",
    "createDeviceToken",
    "continueLogin",
    "getLogin",
    "getWidgetConfig",
}
"""They prove themselves in the body or by a cookie, or say nothing that is not public."""
OTHER_KEY = "swk_k2_" + "t" * 40
OWNER = {"agent_id": "7", "name": "Alex"}
BODIES: dict[str, Any] = {
    "createEnrolment": OWNER,
    "createToken": {"kind": "agent", **OWNER},
    "revoke": {"agent_id": "7"},
    "startSession": {"engagement": ENGAGEMENT, "owner": OWNER},
    "sendInvitation": {},
    "inviteGuest": {},
    "muteParticipant": {"sources": ["camera"]},
    "redeliver": {"endpoint_id": "crm"},
    "erasePerson": {"visitor_id": "v"},
    "redeliverAny": {"endpoint_id": "crm"},
    "revokeOperator": {"name": "Sue"},
    "drainNode": {"deadline_s": 60},
}
OTHERS: dict[str, Any] = {
    "createEnrolment": {**OWNER, "agent_id": "8"},
    "createToken": {"kind": "agent", **OWNER, "agent_id": "8"},
    "revoke": {"agent_id": "8"},
    "startSession": {"engagement": {**ENGAGEMENT, "rt_session_id": "eng-2"}, "owner": OWNER},
    "sendInvitation": {"mode": "voice"},
    "inviteGuest": {"uses": 2},
    "muteParticipant": {"sources": ["screen"]},
    "redeliver": {"endpoint_id": "erp"},
    "erasePerson": {"visitor_id": "w"},
    "redeliverAny": {"endpoint_id": "erp"},
    "revokeOperator": {"name": "Sid"},
    "drainNode": {"deadline_s": 61},
}


described = cache(describe)
"""What the API's description says, made once: each time it costs an app."""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation: its method, its path with ids filled in, what the description says."""
    for path, found in described()["paths"].items():
        place = path.format_map({name: "s-1" if name == "session_id" else "x" for name in IDS})
        for method, operation in found.items():
            yield method, place, operation


IDS = ("session_id", "participant_id", "guest_invitation_id", "device_id", "node")


def bodies_of(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schemas of what an operation may be sent."""
    if "requestBody" not in operation:
        return
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    for each in schema.get("oneOf") or schema.get("anyOf") or [schema]:
        if "$ref" in each:
            yield described()["components"]["schemas"][each["$ref"].rpartition("/")[2]]


def test_only_of_what_widgets_send_is_passed_over_what_is_not_known() -> None:
    """A page of the next release may meet a gateway of this one; a backend's mistake is told."""
    open_to_more = {
        operation["operationId"]: "additionalProperties" not in schema
        for _, _, operation in operations()
        for schema in bodies_of(operation)
    }
    assert len(open_to_more) > 15
    assert {name for name, is_open in open_to_more.items() if is_open} == OF_WIDGETS & set(
        open_to_more
    )


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert set(said) == {"type", "title", "status", "detail", "code", "retryable"}
    assert (said["status"], said["type"]) == (status, f"urn:switchboard:problem:{said['code']}")


async def test_nobody_else_passes_for_a_backend_or_an_operator(world: World) -> None:
    session = BackendSession(KEY)
    await session.start()
    world.sessions.append(session)
    world.ledger.attach(session)
    principal = world.tokens.read(world.agent_token(), Audience.AGENT).principal
    guest = world.tokens.mint(Audience.GUEST, principal, 600, session_id="s-1")
    outsiders = [world.agent_token(), world.waiting_token(), guest, "swk_k1_" + "x" * 40, "x"]
    operator = operator_token(world.tokens, "Sam", 600)
    opened = set()
    async with world.http() as client:
        for method, place, operation in operations():
            if "security" not in operation:
                opened.add(operation["operationId"])
                continue
            [needed] = operation["security"][0]
            others = [*outsiders, operator if needed == "apiKey" else API_KEY]
            assert_problem(await client.request(method, place), 401)
            assert_problem(await client.request(method, f"{place}?api_key={API_KEY}"), 401)
            for token in others:
                head = {"Authorization": f"Bearer {token}"}
                assert_problem(await client.request(method, place, headers=head), 401)
    assert opened == OF_WIDGETS
    assert session.asked == []


@pytest.fixture
def settings(settings: Settings) -> Settings:
    account = replace(settings.accounts["acc"], agent_login=AgentLogin.ENROLMENT)
    other = replace(settings.accounts["other"], api_keys=(ApiKey("k2", hash_key(OTHER_KEY)),))
    return replace(settings, accounts={"acc": account, "other": other})


async def test_every_post_takes_effect_once_for_a_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(world)
    session = BackendSession(KEY)
    session.done = session.done.model_copy(update={"invitation_id": "i"})
    await session.start()
    world.sessions.append(session)
    world.ledger.attach(session)
    calls: Counter[str] = Counter()
    handle = world.ledger._handle

    async def counted(method: str, payload: bytes) -> ClusterMessage:
        calls[method] += not method.startswith(("answer.", "session.locate", "record."))
        return await handle(method, payload)

    monkeypatch.setattr(world.ledger, "_handle", counted)
    operator = operator_token(world.tokens, "Sam", 600)
    async with world.http() as client:
        for method, place, operation in operations():
            if method != "post" or "security" not in operation:
                continue
            name = operation["operationId"]
            token = operator if "/operator" in place else API_KEY
            head = {"Authorization": f"Bearer {token}", "Idempotency-Key": "one"}
            body = BODIES.get(name)
            first = await client.post(place, json=body, headers=head)
            assert first.is_success, (name, first.text)
            done = +calls, len(session.asked)
            again = await client.post(place, json=body, headers=head)
            assert (again.status_code, again.text) == (first.status_code, first.text), name
            assert (+calls, len(session.asked)) == done, name
            assert ("requestBody" in operation) == (name in OTHERS)
            if name in OTHERS:
                assert_problem(await client.post(place, json=OTHERS[name], headers=head), 400)
                assert (+calls, len(session.asked)) == done, name
            # Without a key it is done anew: what was counted is what is done.
            if name != "createToken":
                await client.post(place, json=body, headers={"Authorization": f"Bearer {token}"})
                assert (+calls, len(session.asked)) != done, name
        # Neither another operation nor another account is answered by what stands under the key.
        tokens = [
            (await client.post("/v1/tokens", json=BODIES["createToken"], headers=head)).json()
            for key in (API_KEY, OTHER_KEY)
            for head in ({"Authorization": f"Bearer {key}", "Idempotency-Key": "one"},)
        ]
    owners = [world.tokens.read(each["token"], Audience.AGENT).principal for each in tokens]
    assert [each.account_id for each in owners] == ["acc", "other"]


async def test_whatever_goes_wrong_is_a_problem(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("words of ours that nobody else is to read")

    monkeypatch.setattr(world.directory, "list_records", broken)
    transport = httpx.ASGITransport(world.app, raise_app_exceptions=False)
    head = {"Authorization": f"Bearer {API_KEY}"}
    async with httpx.AsyncClient(transport=transport, base_url=world.origin) as client:
        assert_problem(await client.get("/v1/nothing"), 404)
        assert_problem(await client.get("/nothing"), 404)
        assert_problem(await client.get("/v1/connect"), 404)
        assert_problem(await client.delete("/v1/sessions"), 405)
        assert_problem(await client.post("/v1/waiting", content=b"{"), 400)
        assert_problem(await client.post("/v1/waiting", content=b"\xff\xfe"), 400)
        assert_problem(await client.get("/v1/sessions?limit=0", headers=head), 400)
        assert_problem(await client.get("/v1/sessions/none", headers=head), 404)
        mistake = await client.get("/v1/sessions", headers=head)
        assert_problem(mistake, 500)
        assert "ours that" not in mistake.text
        body = {"engagement": {**WINDOW, "account_id": "nobody"}}
        assert_problem(await client.post("/v1/waiting", json=body), 404)
