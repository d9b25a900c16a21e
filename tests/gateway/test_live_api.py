"""The server API on live sessions: found, asked once, and refused as the actor refuses."""

from __future__ import annotations

import httpx
import pytest

from broker.errors import ErrorCode, Forbidden, Gone
from tests.gateway.conftest import KEY, World
from tests.gateway.fake_session import BackendSession


@pytest.fixture
async def session(world: World) -> BackendSession:
    made = BackendSession(KEY)
    await made.start()
    world.sessions.append(made)
    world.ledger.attach(made)
    return made


async def test_a_deed_is_done_once_for_a_key_and_the_trunk_is_closed(
    api: httpx.AsyncClient, session: BackendSession
) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await api.post("/v1/sessions/s-1/guests", json={}, headers=headers)
    again = await api.post("/v1/sessions/s-1/guests", json={}, headers=headers)
    assert (first.status_code, first.json()) == (201, again.json())
    assert len(session.asked) == 1
    other = await api.post("/v1/sessions/s-2/guests", json={}, headers=headers)
    assert other.status_code == 400
    await session.signal.until(lambda: not session.ends)


@pytest.mark.parametrize(
    ("method", "path", "body", "deed"),
    [
        ("POST", "end", None, "end"),
        ("POST", "invitations/cancel", None, "cancel_invitation"),
        ("POST", "guests/g/revoke", None, "revoke_guest"),
        ("POST", "participants/p/admit", None, "admit"),
        ("POST", "participants/p/refuse", None, "refuse_entry"),
        ("POST", "participants/p/mute", {"sources": ["camera"]}, "mute"),
        ("POST", "participants/p/remove", None, "remove"),
        ("PUT", "participants/p/capabilities", {"capabilities": []}, "grant"),
    ],
)
async def test_each_deed_and_its_refusal(
    api: httpx.AsyncClient,
    session: BackendSession,
    method: str,
    path: str,
    body: dict[str, list[str]] | None,
    deed: str,
) -> None:
    place = f"/v1/sessions/s-1/{path}"
    assert (await api.request(method, place, json=body)).status_code == 204
    assert session.asked[-1].deed.deed == deed
    session.fault = Forbidden(ErrorCode.NOT_PERMITTED, "No.")
    refused = await api.request(method, place, json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    assert refused.headers["content-type"] == "application/problem+json"


async def test_another_accounts_session_is_unknown(
    api: httpx.AsyncClient, world: World, session: BackendSession
) -> None:
    session.account_id = "other"
    world.ledger.attach(session)
    answers = [await api.post(f"/v1/sessions/{each}/end") for each in ("s-1", "s-none")]
    world.ledger.faults["session.locate"] = Gone(ErrorCode.SESSION_ENDED, "It has ended.")
    answers.append(await api.post("/v1/sessions/s-1/end"))
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["code"] == "unknown_session"
    assert session.asked == []


async def test_a_session_lost_before_it_answers_is_away(
    api: httpx.AsyncClient, session: BackendSession
) -> None:
    session.silent = True
    answer = await api.post("/v1/sessions/s-1/end")
    assert (answer.status_code, answer.json()["code"]) == (503, "session_away")
    assert len(session.asked) == 1


async def test_a_request_whose_outcome_nobody_knows_is_the_same_command_when_it_is_repeated(
    api: httpx.AsyncClient, session: BackendSession
) -> None:
    """What it did the actor knows by that, so a second guest link is not made."""

    async def ask(key: str | None, **body: int) -> str | None:
        headers = {} if key is None else {"Idempotency-Key": key}
        await api.post("/v1/sessions/s-1/guests", json=body, headers=headers)
        return session.asked[-1].command_id

    session.silent = True
    first = await ask("one")
    assert await ask("two") != first
    assert await ask("one", uses=2) != first, "another body is another request"
    assert await ask(None) is None
    session.silent = False
    asked = len(session.asked)
    assert await ask("one") == first
    assert await ask("one") == first
    assert len(session.asked) == asked + 1, "its answer is remembered now"
