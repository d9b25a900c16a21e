"""Operators see live sessions of any account, without a name, and may end one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from broker.errors import Conflict, ErrorCode, Gone
from broker.messages.cluster.deeds import PresentParticipant, SessionCommandDone
from broker.words import Attendance, Mode, Role, SessionPhase
from gateway.proofs.operators import operator_token
from tests.gateway.conftest import API_KEY, KEY, World
from tests.gateway.fake_session import BackendSession
from tests.gateway.records import RECORD

TRANSPORT = {
    "transport_id": "t-1",
    "participant_id": "p-1",
    "state": "connected",
    "srtp_profile": "SRTP_AEAD_AES_128_GCM",
    "estimate": 2_500_000,
    "estimate_loss": 0.0,
    "bitrate_in": 800_000,
    "bitrate_out": 700_000,
    "loss_in": 0.01,
    "loss_out": 0.02,
    "round_trip_ms": 40.0,
    "silence_seconds": 0.01,
    "packets_received": 100,
    "packets_sent": 90,
    "drops": {"malformed": 0},
    "publications": [],
    "subscriptions": [],
}
MEDIA = {
    "transports": [
        TRANSPORT,
        {**TRANSPORT, "transport_id": "t-2", "loss_in": 0.0, "round_trip_ms": None},
    ],
    "participants": {"p-1": {"quality": "fair", "reason": "loss_down"}},
    "drops": {"kernel": 0, "sends_blocked": 2},
}


def present(participant_id: str, role: Role) -> PresentParticipant:
    return PresentParticipant(
        participant_id=participant_id,
        role=role,
        name="Alex Example",
        attendance=Attendance.PRESENT,
        mode=Mode.VIDEO,
        owner=role is Role.AGENT,
        verified=True,
        capabilities=[],
        microphone=True,
        camera=False,
        screen=False,
    )


@pytest.fixture
async def session(world: World) -> BackendSession:
    made = BackendSession(KEY)
    made.account_id = "another"
    people = [present("p-1", Role.AGENT), present("p-2", Role.CONSUMER)]
    made.done = SessionCommandDone(participants=people, media=MEDIA)
    await made.start()
    world.sessions.append(made)
    world.ledger.attach(made)
    return made


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    token = operator_token(world.tokens, "Sam", 600)
    async with world.http() as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


async def test_live_sessions_of_every_account_are_listed_without_names(
    world: World, api: httpx.AsyncClient
) -> None:
    world.ledger.records["s-0"] = RECORD
    world.ledger.records["s-1"] = RECORD.model_copy(
        update={"phase": SessionPhase.OPEN, "ended_ms": None, "end_reason": None}
    )
    answer = await api.get("/v1/operator/sessions")
    (shown,) = answer.json()["sessions"]
    assert shown == {
        "session_id": RECORD.session_id,
        "account_id": RECORD.account_id,
        "mode": str(RECORD.mode),
        "created_ms": RECORD.created_ms,
        "epoch": RECORD.epoch,
    }


async def test_one_session_shows_who_is_there_by_role_and_how_their_media_flow(
    api: httpx.AsyncClient, session: BackendSession
) -> None:
    answer = await api.get("/v1/operator/sessions/s-1")
    assert "Alex" not in answer.text
    assert [each.deed.deed for each in session.asked] == ["media"], "one look at one moment"
    agent, consumer = answer.json()["participants"]
    assert (agent["role"], agent["quality"], agent["reason"]) == ("agent", "fair", "loss_down")
    assert agent["line"] == {
        "connections": 2,
        "bitrate_in": 1_600_000,
        "bitrate_out": 1_400_000,
        "loss_in": 0.01,
        "loss_out": 0.02,
        "round_trip_ms": 40.0,
    }
    assert (consumer["quality"], consumer["line"]["connections"]) == (None, 0)
    assert answer.json()["drops"] == MEDIA["drops"]


async def test_an_operator_ends_one_and_the_log_says_which_token_did(
    api: httpx.AsyncClient, session: BackendSession, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        ended = await api.post("/v1/operator/sessions/s-1/end", headers={"Idempotency-Key": "k"})
    assert ended.status_code == 204
    assert [each.deed.deed for each in session.asked] == ["end"]
    (said,) = [record for record in caplog.records if getattr(record, "deed", "") == "end"]
    assert said.__dict__["token_id"]
    session.fault = Conflict(ErrorCode.STALE_EPOCH, "It has moved.")
    assert (await api.post("/v1/operator/sessions/s-1/end")).status_code == 409


async def test_what_is_not_live_is_refused_and_a_brands_key_opens_nothing(
    world: World, api: httpx.AsyncClient, session: BackendSession
) -> None:
    world.ledger.faults["session.locate"] = Gone(ErrorCode.SESSION_ENDED, "It has ended.")
    world.ledger.records["s-1"] = RECORD
    gone = await api.get("/v1/operator/sessions/s-1")
    assert (gone.status_code, gone.json()["code"]) == (410, "session_ended")
    for method, path in (("GET", ""), ("GET", "/s-1"), ("POST", "/s-1/end")):
        answer = await api.request(
            method, f"/v1/operator/sessions{path}", headers={"Authorization": f"Bearer {API_KEY}"}
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert session.asked == []
