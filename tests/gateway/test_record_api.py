"""What is shown and exported of sessions and their records, and what a brand adds to them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import Any

import httpx
import pytest

from broker.messages.cluster.base import Done, read
from broker.messages.cluster.records import RecordGet, RecordPage, RecordQuery, SessionRecord
from broker.messages.cluster.tenure import JournalEntry, Subject
from broker.messages.upkeep import SessionAnnotate
from broker.words import SessionPhase
from gateway.api import record_parts
from gateway.api.call_record import summarise, write_csv
from gateway.api.this_gateway import RECORDS_AT_ONCE
from tests.gateway.conftest import World
from tests.gateway.records import RECORD, entry


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


@pytest.mark.parametrize(("after", "status"), [(2**31 - 1, 200), (2**31, 400), (2**63, 400)])
async def test_a_seq_that_no_journal_reaches_is_refused(
    api: httpx.AsyncClient, world: World, after: int, status: int
) -> None:
    """The database would refuse it, which looks like a failed one to who watches."""
    world.ledger.records["s-1"] = RECORD
    answer = await api.get(f"/v1/sessions/s-1/events?after={after}")
    assert answer.status_code == status


async def test_events_come_in_pages(api: httpx.AsyncClient, world: World) -> None:
    world.ledger.records["s-1"] = RECORD
    seen: list[int] = []
    after: str | None = "0"
    while after is not None:
        page = (await api.get(f"/v1/sessions/s-1/events?after={after}&limit=3")).json()
        seen += [event["seq"] for event in page["events"]]
        after = page["cursor"]
    assert seen == [event.seq for event in RECORD.events]


async def test_a_long_session_is_shown_in_parts_and_added_up_whole(
    api: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a ledger's answer holds at a time is far less than a session may have."""
    monkeypatch.setattr(record_parts, "PART", 2)
    world.ledger.records["s-1"] = RECORD.model_copy(
        update={"subjects": [*RECORD.subjects, Subject(participant_id="p3", body={"name": "Eve"})]}
    )
    detail = (await api.get("/v1/sessions/s-1")).json()
    assert [event["seq"] for event in detail["events"]] == [1, 2]
    assert [each["participant_id"] for each in detail["participants"]] == ["p1", "p2", "p3"]
    rest = (await api.get(f"/v1/sessions/s-1/events?after={detail['cursor']}")).json()
    assert [event["seq"] for event in rest["events"]] == [3, 4, 6, 7, 8, 9]
    [record] = (await api.get("/v1/records")).json()["records"]
    assert (record["ringing_ms"], record["in_call_ms"]) == (2_000, 3_000)
    assert [each["left_ms"] for each in record["attended"]] == [9_000, 8_000]
    monkeypatch.setattr(record_parts, "PART", 1_000)
    whole = (await api.get("/v1/sessions/s-1")).json()
    assert whole["cursor"] is None
    assert whole["events"] == [*detail["events"], *rest["events"]]
    assert whole["participants"] == detail["participants"]


async def test_a_ledger_of_the_release_before_says_all_at_once(
    api: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def whole(query: RecordGet) -> SessionRecord:
        return RECORD

    monkeypatch.setattr(world.directory, "get_record", whole)
    page = (await api.get("/v1/sessions/s-1/events?after=3&limit=2")).json()
    assert ([event["seq"] for event in page["events"]], page["cursor"]) == ([4, 6], "6")
    assert (await api.get("/v1/sessions/s-1")).json()["cursor"] is None


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
        "bandwidth_ms": 0,
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


async def test_an_export_has_few_records_read_at_once(
    api: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger has four connections that read, and finds sessions by the same ones."""
    for number in range(30):
        named = RECORD.model_copy(update={"session_id": f"s-{number}"})
        world.ledger.records[named.session_id] = named
    get, at_once, most = world.directory.get_record, 0, 0

    async def counted(query: RecordGet) -> SessionRecord:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await get(query)
        finally:
            at_once -= 1

    monkeypatch.setattr(world.directory, "get_record", counted)
    pages = await asyncio.gather(*(api.get("/v1/records") for _ in range(2)))
    assert [len(page.json()["records"]) for page in pages] == [30, 30]
    assert most == RECORDS_AT_ONCE


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
