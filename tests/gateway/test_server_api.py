"""The server API: tokens, sessions, records, revocation, repeated requests."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzzing
from hypothesis import strategies as st
from pydantic import ValidationError

from broker.errors import Conflict, ErrorCode
from broker.messages.cluster.base import Done, read
from broker.messages.cluster.records import RecordPage, RecordQuery, SessionRecord
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.tenure import JournalEntry, Subject
from broker.messages.cluster.trunk import Location
from broker.messages.parts import EngagementIds
from broker.messages.upkeep import SessionAnnotate
from broker.words import EndReason, Mode, SessionPhase
from gateway.accounts import ConsumerProof
from gateway.call_record import summarise, write_csv
from gateway.settings import Settings
from gateway.token_api import RevocationRequest
from gateway.tokens import Audience
from tests.gateway.conftest import API_KEY, ENGAGEMENT, WINDOW, World

OWNER = {"agent_id": "acc.7", "name": "Alex"}


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.http() as client:
        client.headers["Authorization"] = f"Bearer {API_KEY}"
        yield client


def entry(seq: int, kind: str, **body: Any) -> JournalEntry:
    return JournalEntry(seq=seq, at_ms=1_000 * seq, type=kind, version=1, body=body)


RECORD = SessionRecord(
    session_id="s-1",
    account_id="acc",
    engagement_key="eng-1",
    ids=EngagementIds(account_id="acc", rt_session_id="eng-1", window_session_id="win-1"),
    epoch=2,
    phase=SessionPhase.ENDED,
    mode=Mode.VIDEO,
    created_ms=1_000,
    ended_ms=9_000,
    end_reason=EndReason.ENDED_BY_AGENT,
    events=[
        entry(1, "session.started", owner_id="p1"),
        entry(2, "participant.joined", participant_id="p1", role="agent"),
        entry(3, "invitation.sent", invitation_id="i1", by="p1"),
        entry(4, "invitation.ringing", invitation_id="i1", participant_id="p2", claim_hash="h"),
        entry(6, "invitation.accepted", invitation_id="i1", participant_id="p2"),
        entry(7, "participant.joined", participant_id="p2", role="consumer"),
        entry(8, "participant.left", participant_id="p2", reason="left"),
        entry(9, "session.ended", reason="ended_by_agent"),
    ],
    subjects=[
        Subject(participant_id="p1", body={"role": "agent", "name": "=Alex", "agent_id": "7"}),
        Subject(participant_id="p2", body={}),
    ],
)


async def test_a_backend_mints_an_agent_token_that_connects(
    api: httpx.AsyncClient, world: World
) -> None:
    answer = await api.post("/v1/tokens", json={"kind": "agent", **OWNER, "expires_in_s": 999_999})
    assert (answer.status_code, answer.json()["expires_in_s"]) == (201, 3_600)
    widget = await world.widget()
    welcome = await widget.hello(
        token=answer.json()["token"], surface="agent_frame", engagement=ENGAGEMENT
    )
    assert welcome["role"] == "agent"


async def test_an_identified_consumer_stands_at_its_own_engagement_only(
    api: httpx.AsyncClient, world: World
) -> None:
    answer = await api.post("/v1/tokens", json={"kind": "consumer", "engagement": WINDOW})
    token = answer.json()["token"]
    assert world.tokens.read(token, Audience.WAITING).principal.verified
    elsewhere = {**WINDOW, "window_session_id": "eng-2"}
    intruder = await world.widget()
    await intruder.greet(token=token, engagement=elsewhere)
    assert await intruder.closed() == 4403
    widget = await world.widget()
    await widget.hello(token=token, engagement=WINDOW)
    await widget.say(type="engagement.update", engagement=elsewhere)
    assert (await widget.next())["code"] == "not_permitted"
    session = await world.session()
    world.ledger.attach(session)
    resume = (await widget.until("resume.renewed"))["resume"]
    await widget.until("session.snapshot")
    for engagement in (elsewhere, {**WINDOW, "account_id": "other"}):
        await widget.say(type="engagement.update", engagement=engagement)
        assert (await widget.until("request.refused"))["code"] == "not_permitted"
    within = {**WINDOW, "visitor_name": "Kim"}
    await widget.say(type="engagement.update", engagement=within)
    caller = await session.caller()
    await session.signal.until(lambda: caller.messages)
    assert caller.messages == [{"type": "engagement.update", "engagement": within}]
    again = await world.widget()
    await again.greet(resume=resume, engagement=elsewhere)
    assert await again.closed() == 4403


async def test_where_the_brand_proves_consumers_nobody_mints_their_own(
    settings: Settings,
) -> None:
    account = replace(settings.accounts["acc"], consumer_proof=ConsumerProof.TOKEN)
    world = World(replace(settings, accounts={"acc": account}))
    await world.start()
    try:
        async with world.http() as client:
            answer = await client.post("/v1/waiting", json={"engagement": WINDOW})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    finally:
        await world.stop()


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "operator", **OWNER},
        {"kind": "agent", "agent_id": "7"},
        {"kind": "agent", **OWNER, "role": "supervisor"},
        {"kind": "agent", **OWNER, "picture": "http://insecure.example/a.png"},
        {"kind": "agent", "agent_id": "7", "name": "x" * 81},
        {"kind": "consumer", "engagement": {"account_id": "other", "window_session_id": "e"}},
        {"kind": "consumer", "engagement": {"account_id": "acc"}},
    ],
)
async def test_a_token_that_must_not_be_is_refused(
    api: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    answer = await api.post("/v1/tokens", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


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


async def test_a_session_of_another_account_cannot_be_started(api: httpx.AsyncClient) -> None:
    body = {"engagement": {**ENGAGEMENT, "account_id": "other"}, "owner": OWNER}
    assert (await api.post("/v1/sessions", json=body)).status_code == 400


async def test_a_session_is_shown_without_hashes(api: httpx.AsyncClient, world: World) -> None:
    world.ledger.records["s-1"] = RECORD
    answer = await api.get("/v1/sessions/s-1")
    assert "hash" not in answer.text
    shown = answer.json()
    assert [event["type"] for event in shown["events"]][:2] == [
        "session.started",
        "participant.joined",
    ]
    assert shown["participants"][0]["name"] == "=Alex"
    assert shown["participants"][1]["name"] is None


async def test_a_brand_keeps_its_own_words_with_a_session(
    api: httpx.AsyncClient, world: World
) -> None:
    asked: list[SessionAnnotate] = []

    def annotate(payload: bytes) -> Done:
        asked.append(read(SessionAnnotate, payload))
        return Done()

    world.ledger.others["session.annotate"] = annotate
    place = "/v1/sessions/s-1/annotation"
    body = {"reference": "case-4711", "metadata": {"queue": "loans"}}
    assert (await api.put(place, json=body)).status_code == 204
    assert (asked[0].account_id, asked[0].reference) == ("acc", "case-4711")
    for metadata in (
        {"a": "x" * 4_000, "b": "x" * 4_000, "c": "x" * 300},
        {"a": "x" * 4_097},
        {str(number): "" for number in range(65)},
        {"a": 1},
    ):
        refused = await api.put(place, json={"metadata": metadata})
        assert (refused.status_code, refused.json()["code"]) == (400, "malformed")
    fits = {"metadata": {"a": "é" * 2_000, "b": "é" * 2_000}}
    assert (await api.put(place, json=fits)).status_code == 204


async def test_events_come_in_pages(api: httpx.AsyncClient, world: World) -> None:
    world.ledger.records["s-1"] = RECORD
    seen: list[int] = []
    after: str | None = "0"
    while after is not None:
        page = (await api.get(f"/v1/sessions/s-1/events?after={after}&limit=3")).json()
        seen += [event["seq"] for event in page["events"]]
        after = page["cursor"]
    assert seen == [event.seq for event in RECORD.events]


def test_a_call_record_adds_up() -> None:
    record = summarise(RECORD)
    assert (record.ringing_ms, record.in_call_ms, record.invitations) == (
        2_000,
        3_000,
        ["accepted"],
    )
    assert record.agent_id == "7"
    assert [(each.role, each.left_ms, each.left_reason) for each in record.attended] == [
        ("agent", 9_000, None),
        ("consumer", 8_000, "left"),
    ]


async def test_quality_stands_with_each_person_in_session_and_record(
    api: httpx.AsyncClient, world: World
) -> None:
    def measured(seq: int, **spent: object) -> JournalEntry:
        return entry(seq, "participant.quality", participant_id="p2", **spent)

    quality = [
        measured(10, good_ms=600, fair_ms=0, poor_ms=300, loss_up_ms=300),
        measured(11, good_ms=100, fair_ms=50, poor_ms=0, delay_ms=50, of_a_later_release="x"),
    ]
    world.ledger.records["s-1"] = RECORD.model_copy(update={"events": [*RECORD.events, *quality]})
    spent = {
        "good_ms": 700,
        "fair_ms": 50,
        "poor_ms": 300,
        "loss_down_ms": 0,
        "loss_up_ms": 300,
        "delay_ms": 50,
        "silent_ms": 0,
    }
    detail = (await api.get("/v1/sessions/s-1")).json()
    assert [each["quality"] for each in detail["participants"]] == [None, spent]
    assert detail["events"][-1]["body"]["fair_ms"] == 50
    [record] = (await api.get("/v1/records")).json()["records"]
    assert [each["quality"] for each in record["attended"]] == [None, spent]
    (row,) = csv.DictReader(io.StringIO((await api.get("/v1/records?format=csv")).text))
    assert (row["poor_ms"], record["poor_ms"], list(row)[-1]) == ("300", 300, "poor_ms")


@pytest.mark.parametrize(("said_at", "good_ms"), [(None, 900), (11, 900 + 100), (12, 100)])
def test_what_was_kept_beside_the_journal_counts_until_an_event_says_it(
    said_at: int | None, good_ms: int
) -> None:
    said = [] if said_at is None else [said_at]
    events = [
        entry(seq, "participant.quality", participant_id="p2", good_ms=100, fair_ms=0, poor_ms=0)
        for seq in said
    ]
    kept = {"at_seq": 11, "good_ms": 900}
    subjects = [
        each.model_copy(update={"body": {**each.body, "measured": kept}})
        if each.participant_id == "p2"
        else each
        for each in RECORD.subjects
    ]
    record = RECORD.model_copy(update={"events": [*RECORD.events, *events], "subjects": subjects})
    [_, consumer] = summarise(record).attended
    assert consumer.quality is not None
    assert consumer.quality.good_ms == good_ms


def test_a_spreadsheet_runs_no_formula() -> None:
    record = summarise(RECORD).model_copy(update={"visitor_id": "=HYPERLINK(1)"})
    (row,) = csv.DictReader(io.StringIO(write_csv([record])))
    assert row["visitor_id"] == "'=HYPERLINK(1)"


async def test_records_are_exported(api: httpx.AsyncClient, world: World) -> None:
    world.ledger.records["s-1"] = RECORD
    as_json = await api.get("/v1/records")
    assert as_json.json()["records"][0]["ringing_ms"] == 2_000
    as_csv = await api.get("/v1/records", params={"format": "csv"})
    assert as_csv.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(as_csv.text))
    assert (row["window_session_id"], row["invitations"]) == ("win-1", "accepted")
    lines = (await api.get("/v1/records", params={"format": "jsonl"})).text.splitlines()
    assert json.loads(lines[0])["session_id"] == "s-1"


async def test_a_record_deleted_between_list_and_read_spoils_no_page(
    api: httpx.AsyncClient, world: World
) -> None:
    world.ledger.records["s-1"] = RECORD
    # Listed, and not found by its id.
    world.ledger.records["deleted"] = RECORD.model_copy(update={"session_id": "s-2"})
    page = (await api.get("/v1/records")).raise_for_status().json()
    assert [each["session_id"] for each in page["records"]] == ["s-1"]


@pytest.mark.parametrize(("form", "media_type"), [("csv", "text/csv"), ("jsonl", "jsonl")])
async def test_a_list_is_what_was_asked_for_on_every_page(
    api: httpx.AsyncClient,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    media_type: str,
) -> None:
    world.ledger.records["s-1"] = RECORD
    queries: list[RecordQuery] = []

    async def listed(query: RecordQuery) -> RecordPage:
        queries.append(query)
        return RecordPage(records=[RECORD], cursor="a+b/c=")

    monkeypatch.setattr(world.directory, "list_records", listed)
    wanted = {"engagement_key": "e", "reference": "r", "cursor": "c"}
    await api.get("/v1/sessions", params={**wanted, "phase": "ended", "limit": 7})
    asked = {**wanted, "account_id": "acc", "phase": SessionPhase.ENDED, "limit": 7}
    assert queries == [RecordQuery.model_validate(asked)]
    mine: dict[str, Any] = {"reference": "case 1&2", "limit": 1}
    first = await api.get("/v1/records", params={**mine, "format": form})
    second = await api.get(first.links["next"]["url"])
    assert queries[1:] == [
        RecordQuery.model_validate({**mine, "account_id": "acc", "cursor": cursor})
        for cursor in (None, "a+b/c=")
    ]
    assert media_type in second.headers["content-type"]


async def test_revoking_an_agent_closes_and_refuses_what_was_given_before(
    api: httpx.AsyncClient, world: World
) -> None:
    agent = await world.agent()
    other = await world.agent(token=world.agent_token("8"))
    answer = await api.post("/v1/revocations", json={"agent_id": "acc:7"})
    assert (answer.status_code, answer.json()) == (
        201,
        {"connections_closed": 1, "everywhere": True},
    )
    assert await agent.closed() == 4401
    again = await world.widget()
    await again.greet(token=world.agent_token(), surface="agent_frame")
    assert await again.closed() == 4401
    await other.say(type="connection.ping")
    await other.until("connection.pong")


async def test_revoking_a_token_ends_what_it_began(api: httpx.AsyncClient, world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    token = world.waiting_token()
    consumer = await world.consumer(token=token)
    resume = (await consumer.until("resume.renewed"))["resume"]
    token_id = world.tokens.read(token, Audience.WAITING).token_id
    answer = await api.post("/v1/revocations", json={"token_id": token_id})
    assert answer.json() == {"connections_closed": 1, "everywhere": True}
    assert await consumer.closed() == 4401
    for proof in ({"token": token}, {"resume": resume}):
        again = await world.widget()
        await again.greet(**proof)
        assert await again.closed() == 4401
    neighbour = await world.consumer()
    await neighbour.until("session.snapshot")


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


def test_a_revocation_has_no_room_for_more() -> None:
    with pytest.raises(ValidationError):
        RevocationRequest.model_validate({"agent_id": "7", "everybody": True})
