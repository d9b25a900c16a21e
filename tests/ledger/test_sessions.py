"""Opening, finding and ending sessions over real links."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from actors.ledger.sharing import KEPT_MS
from broker.errors import (
    Conflict,
    ErrorCode,
    Gone,
    Internal,
    NotFound,
    SwitchboardError,
    TooFast,
    Unavailable,
)
from broker.messages.cluster.base import Done
from broker.messages.cluster.records import RecordGet, RecordPage, RecordQuery, SessionRecord
from broker.messages.cluster.sessions import (
    GuestLocate,
    GuestLocated,
    SessionAttach,
    SessionLocate,
    SessionOpen,
    SessionQueued,
)
from broker.messages.cluster.tenure import JournalAppend, Subject
from broker.messages.cluster.trunk import Location
from broker.words import EndReason, SessionPhase
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, BRIEF, POLICY, FakeActor, FakeGateway, entry, opening
from tests.patience import PATIENCE, until


async def test_an_opening_makes_a_session_on_a_standby(town: Town) -> None:
    actor, gateway = await town.actor(), await town.gateway()
    location = await gateway.open()
    assert (location.host, location.port, location.epoch) == ("127.0.0.1", actor.port, 1)
    assert location.session_id == actor.session_id
    await until(lambda: len(actor.committed) == 1, "the commit's notice")
    record = await gateway.record(location.session_id)
    assert record.phase is SessionPhase.OPEN
    assert [event.type for event in record.events] == ["session.started"]
    assert [subject.body for subject in record.subjects] == [{"name": "Ann"}]
    assert record.ids.rt_session_id == "eng-1"


async def test_the_consumers_widget_adds_its_ids_to_the_sessions(town: Town) -> None:
    actor, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id

    async def tell(participant_id: str, role: str, **ids: str) -> None:
        body = {"role": role, "engagement": {"account_id": ACCOUNT, **ids}}
        subject = Subject(participant_id=participant_id, body=body)
        await actor.link.call(
            JournalAppend(session_id=session_id, epoch=1, entries=[], subjects=[subject]),
            Done,
        )

    await tell("g", "guest", window_session_id="of nobody")
    await tell("c", "consumer", window_session_id="w-1", conversation_id="c-1")
    # What is known stays: a second surface may say less, or something else.
    await tell("c", "consumer", window_session_id="w-2", participant_visitor_id="v-1")
    ids = (await gateway.record(session_id)).ids
    assert (ids.window_session_id, ids.conversation_id) == ("w-1", "c-1")
    assert ids.participant_visitor_id == "v-1"


async def test_an_engagement_has_one_live_session(town: Town) -> None:
    await town.actor()
    await town.actor()
    gateway, other = await town.gateway(), await town.gateway()
    outcomes = await asyncio.gather(gateway.open(), other.open(), return_exceptions=True)
    errors = [one for one in outcomes if isinstance(one, SwitchboardError)]
    assert [error.code for error in errors] == [ErrorCode.ALREADY_LIVE]
    with pytest.raises(Conflict):
        await gateway.open()


async def test_an_account_has_so_many_live_sessions_and_no_other_is_held_back(
    bare_town: Town,
) -> None:
    await bare_town.new_ledger(replace(POLICY, live_per_account=2))
    actors = [await bare_town.actor() for _ in range(4)]
    gateway = await bare_town.gateway()
    first = await gateway.open("eng-1")
    await gateway.open("eng-2")
    with pytest.raises(TooFast) as refused:
        await gateway.open("eng-3")
    assert (refused.value.code, refused.value.retryable) == (ErrorCode.RATE_LIMITED, True)
    await gateway.open("eng-3", "another")
    holder = next(each for each in actors if each.session_id == first.session_id)
    await holder.append(entry(2, "session.ended", reason="ended_by_agent"))
    await gateway.open("eng-3")


async def test_a_ledger_that_is_about_to_end_opens_no_session_until_that_lapses(
    town: Town,
) -> None:
    """Whoever ends a deployment looks for calls first: none may begin behind that look."""
    gateway, ledger = await town.gateway(), town.ledger
    opening = asyncio.create_task(gateway.open("eng-1"))
    await until(lambda: ledger.level().queued == 1, "one that waits for a standby")
    assert ledger.pause_openings(60.0) == 1
    with pytest.raises(Unavailable) as refused:
        await gateway.open("eng-2")
    assert (refused.value.code, refused.value.retryable) == (ErrorCode.SHUTTING_DOWN, True)
    actors = [await town.actor() for _ in range(3)]
    place = await opening
    assert place.port in {each.port for each in actors}, "what had begun goes on"
    town.clock.ms += 60_000
    await gateway.open("eng-2")
    assert (ledger.pause_openings(60.0), ledger.pause_openings(0.0)) == (2, 2)
    await gateway.open("eng-3")


async def test_a_standby_is_given_away_once(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(BRIEF)
    gateway = await town.gateway()
    actors = [await town.actor() for _ in range(3)]
    outcomes = await asyncio.gather(
        *(gateway.open(f"eng-{number}") for number in range(10)), return_exceptions=True
    )
    places = [one.port for one in outcomes if isinstance(one, Location)]
    assert sorted(places) == sorted(actor.port for actor in actors)
    refused = [one for one in outcomes if isinstance(one, Unavailable)]
    assert {error.code for error in refused} == {ErrorCode.NO_CAPACITY}
    assert len(refused) == 7


async def test_an_opening_waits_for_a_standby(town: Town) -> None:
    gateway = await town.gateway()
    opening = asyncio.ensure_future(gateway.open())
    await until(lambda: town.ledger.level().queued == 1, "the opening")
    await town.actor()
    assert (await opening).epoch == 1
    await town.actor()
    await gateway.open("eng-2")
    assert town.ledger.level().waited == 1, "the second found one"


async def test_a_session_knows_which_connection_asked_for_it(town: Town) -> None:
    gateway, actor = await town.gateway(), await town.actor()
    ask = opening("eng-1", ACCOUNT).model_copy(update={"connection_id": "c1"})
    await gateway.link.call(ask, Location)
    assert actor.opened_by == "c1"


async def test_an_opening_whose_standby_fails_waits_no_longer_in_all(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, capacity_wait_s=1.0 * PATIENCE))

    async def fail() -> None:
        raise Unavailable(ErrorCode.SHUTTING_DOWN, "It fails.")

    gateway = await town.gateway()
    ask = opening("eng-1", ACCOUNT).model_copy(update={"connection_id": "c1"})
    asked = asyncio.ensure_future(gateway.link.call(ask, Location))
    await until(lambda: len(gateway.told("session.queued", SessionQueued)) == 1, "the wait")
    bad = FakeActor(town.home)
    bad.assigning = fail
    town.stack.push_async_callback(bad.die)
    await bad.start()
    with pytest.raises(Unavailable) as refusal:
        await asked
    assert refusal.value.code is ErrorCode.NO_CAPACITY
    waits = [each.within_ms for each in gateway.told("session.queued", SessionQueued)]
    assert waits[1:], "it comes back, and fails again"
    assert all(later < earlier for earlier, later in pairwise(waits)), waits


async def test_no_standby_is_asked_when_the_time_of_an_opening_is_over(bare_town: Town) -> None:
    """Its gateway has told that it failed; what rang then would be nobody's."""
    town = bare_town
    await town.new_ledger(replace(POLICY, capacity_wait_s=0.1, assign_s=0.2))
    asked = 0

    async def hang() -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    for _ in range(3):
        (await town.actor()).assigning = hang
    with pytest.raises(Unavailable) as refusal:
        await (await town.gateway()).open()
    assert refusal.value.code is ErrorCode.NO_CAPACITY
    assert asked in (1, 2)


async def test_an_ended_session_frees_its_engagement_and_stays_in_the_record(town: Town) -> None:
    actor, gateway = await town.actor(), await town.gateway()
    first = await gateway.open()
    await actor.append(entry(2, "session.ended", reason="ended_by_agent"))
    record = await gateway.record(first.session_id)
    assert (record.phase, record.end_reason, record.ended_ms) == (
        SessionPhase.ENDED,
        EndReason.ENDED_BY_AGENT,
        1_002,
    )
    locate = SessionLocate(session_id=first.session_id)
    with pytest.raises(Gone):
        await gateway.link.call(locate, Location)
    with pytest.raises(Gone):
        await actor.append(entry(3))
    await town.actor()
    assert (await gateway.open()).session_id != first.session_id


async def test_a_request_that_is_said_again_is_answered_with_the_session_it_made(
    town: Town,
) -> None:
    gateway = await town.gateway()
    ask = opening("eng-1", ACCOUNT).model_copy(update={"session_id": "n" * 24})
    first = asyncio.ensure_future(gateway.link.call(ask, Location))
    await until(lambda: town.ledger.level().queued == 1, "the opening")
    with pytest.raises(Unavailable) as refusal:
        await gateway.link.call(ask, Location)
    assert refusal.value.code is ErrorCode.SESSION_AWAY
    actor = await town.actor()
    made = await first
    assert made.session_id == "n" * 24
    assert await gateway.link.call(ask, Location) == made
    with pytest.raises(Conflict):
        await gateway.open()
    with pytest.raises(Conflict):
        await gateway.link.call(ask.model_copy(update={"session_id": "o" * 24}), Location)
    await actor.append(entry(2, "session.ended", reason="ended_by_agent"))
    again = await gateway.link.call(ask, Location)
    assert again.session_id == made.session_id, "it rings nobody a second time"
    await town.actor()
    other = await gateway.open()
    assert (await gateway.link.call(ask, Location)).session_id == made.session_id
    town.clock.ms += KEPT_MS
    with pytest.raises(Conflict):
        await gateway.link.call(ask, Location)
    assert other.session_id != made.session_id


async def test_an_unknown_session_is_unknown(town: Town) -> None:
    gateway = await town.gateway()
    with pytest.raises(NotFound):
        await gateway.takeover("none", 1)
    with pytest.raises(NotFound):
        await gateway.record("none")


async def test_a_standby_that_hangs_is_stopped_and_the_next_one_asked(
    bare_town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, assign_s=0.5 * PATIENCE))
    gateway, bad = await town.gateway(), await town.actor()
    bad.assigning = asyncio.Event().wait  # type: ignore[assignment]  # the result is not used
    good = await town.actor()
    location = await gateway.link.call(
        SessionOpen.model_validate(
            {
                "account_id": ACCOUNT,
                "engagement_key": "e",
                "ids": {"account_id": ACCOUNT},
                "mode": "video",
                "owner": {"role": "agent", "account_id": ACCOUNT},
            }
        ),
        Location,
    )
    assert location.port == good.port
    await until(lambda: bad.stopped, "the stop")
    (told,) = [each for each in caplog.records if "did not take" in each.message]
    assert "No reply came in time" in told.__dict__["why"]


async def test_waiting_connections_are_attached_claim_first(town: Town) -> None:
    await town.actor()
    gateway, other = await town.gateway(), await town.gateway()
    await gateway.put("c1", claim="mine")
    await gateway.put("c2", claim="theirs")
    await gateway.put("c3", claim="mine")
    await gateway.put("elsewhere", key="eng-2")
    await other.put("c4", claim="mine")
    location = await gateway.open()

    def told_to(each: FakeGateway) -> list[SessionAttach]:
        return each.told("session.attach", SessionAttach)

    await until(lambda: len(told_to(gateway)) == 3 and len(told_to(other)) == 1, "attachments")
    told = told_to(gateway)
    assert [one.connection_id for one in told] == ["c1", "c3", "c2"]
    assert told[0].location == location
    # One that comes later learns it from the reply.
    assert (await other.put("c5")).live == location


async def test_guest_links_follow_the_journal(town: Town) -> None:
    actor, gateway = await town.actor(), await town.gateway()
    location = await gateway.open()

    async def find(code_hash: str) -> GuestLocated:
        return await gateway.link.call(GuestLocate(code_hash=code_hash), GuestLocated)

    invited = {"guest_invitation_id": "g1", "code_hash": "h1", "uses": 2}
    await actor.append(entry(2, "guest.invited", **invited))
    assert (await find("h1")).location == location
    assert (await find("h1")).guest_invitation_id == "g1"
    joined = {"participant_id": "p2", "guest_invitation_id": "g1"}
    await actor.append(entry(3, "participant.joined", **joined))
    assert (await find("h1")).location == location
    await actor.append(entry(4, "participant.joined", **joined))
    with pytest.raises(Gone) as used:
        await find("h1")
    assert used.value.code is ErrorCode.LINK_USED
    await actor.append(
        entry(5, "guest.invited", guest_invitation_id="g2", code_hash="h2", uses=1),
        entry(6, "guest.revoked", guest_invitation_id="g2"),
    )
    with pytest.raises(Gone):
        await find("h2")
    await actor.append(
        entry(7, "guest.invited", guest_invitation_id="g4", code_hash="h4", uses=1),
        entry(8, "guest.expired", guest_invitation_id="g4"),
    )
    with pytest.raises(Gone) as expired:
        await find("h4")
    assert expired.value.code is ErrorCode.LINK_USED
    with pytest.raises(NotFound):
        await find("h3")


async def test_a_record_longer_than_a_frame_is_read_in_parts(town: Town) -> None:
    actor, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    people = [Subject(participant_id=f"p{each}", body={"name": "n" * 900_000}) for each in range(3)]
    for seq in range(2, 7):
        await actor.append(entry(seq, word="x" * 900_000))
    for each in people:
        asked = JournalAppend(session_id=session_id, epoch=1, entries=[], subjects=[each])
        await actor.link.call(asked, Done)
    with pytest.raises(Internal):
        await gateway.record(session_id)

    ask = RecordGet(session_id=session_id, limit=1_000)
    seqs, names, parts, more = list[int](), list[str](), 0, True
    while more:
        part = await gateway.link.call(ask, SessionRecord)
        seqs += [each.seq for each in part.events]
        names += [each.participant_id for each in part.subjects]
        ask = ask.model_copy(update={"after": seqs[-1], "after_person": names[-1]})
        parts, more = parts + 1, part.more or part.more_people
    assert (seqs, names, parts) == ([1, 2, 3, 4, 5, 6], ["p0", "p1", "p2"], 5)
    ask = ask.model_copy(update={"after": 2, "limit": 1})
    part = await gateway.link.call(ask, SessionRecord)
    assert ([each.seq for each in part.events], part.more, part.more_people) == ([3], True, False)
    ask = ask.model_copy(update={"after": 5})
    assert (await gateway.link.call(ask, SessionRecord)).more is False


async def test_records_come_in_pages_newest_first(town: Town) -> None:
    gateway = await town.gateway()
    made = []
    for number in range(5):
        await town.actor()
        town.clock.ms += number % 2  # some share their time
        made.append((await gateway.open(f"eng-{number}")).session_id)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await gateway.link.call(
            RecordQuery(account_id=ACCOUNT, limit=2, cursor=cursor), RecordPage
        )
        seen += [record.session_id for record in page.records]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5
    other = await gateway.link.call(RecordQuery(account_id="other"), RecordPage)
    assert other.records == []

    async def found(**wanted: Any) -> list[str]:
        query = RecordQuery(account_id=ACCOUNT, **wanted)
        page = await gateway.link.call(query, RecordPage)
        return [record.session_id for record in page.records]

    assert await found(engagement_key="eng-3") == [made[3]]
    assert await found(engagement_key="eng-30") == []
    assert sorted(await found(phase=SessionPhase.OPEN)) == sorted(made)
    assert await found(phase=SessionPhase.ENDED) == []
    # Neither what is no cursor, nor one that no database can compare with.
    for written in ("1", "x:s", f"{2**63}:s", "-1:s", "1:\x00"):
        cursor = base64.urlsafe_b64encode(written.encode()).decode().rstrip("=")
        with pytest.raises(SwitchboardError) as refused:
            await gateway.link.call(RecordQuery(cursor=cursor), RecordPage)
        assert refused.value.code is ErrorCode.MALFORMED, written
    with pytest.raises(SwitchboardError) as refused:
        await gateway.link.call(RecordQuery(cursor="%%%"), RecordPage)
    assert refused.value.code is ErrorCode.MALFORMED


async def test_a_ledger_that_has_too_much_to_do_says_so(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, chores_limit=0))
    gateway = await town.gateway()
    for _ in range(2):
        with pytest.raises(TooFast) as refused:
            await gateway.nodes()
        assert refused.value.code is ErrorCode.RATE_LIMITED
