"""Erasing a person: gone from every table and file, with the time line kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from actors.ledger import keeping
from actors.ledger.database import Database
from actors.ledger.schema import metadata
from actors.ledger_link import LedgerLink
from broker.errors import SwitchboardError
from broker.messages import upkeep
from broker.messages.cluster.base import Done
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.records import RecordPage, RecordQuery
from broker.messages.cluster.sessions import SessionOpen
from broker.messages.cluster.tenure import JournalAppend, Subject
from broker.messages.cluster.trunk import Location, Principal
from broker.messages.parts import EngagementIds
from broker.words import Mode, Role
from tests.ledger.conftest import Town
from tests.ledger.fakes import ACCOUNT, KEY, TIMING, FakeActor, FakeGateway, entry
from tests.patience import PATIENCE

NAME, VISITOR, AGENT = "Wilhelmine Löwenherz", "visitor-4711", "agent-0815"


async def a_record(
    town: Town, *, ended: bool, visitors_side: bool = True
) -> tuple[FakeActor, FakeGateway, LedgerLink]:
    """Return the actor of a session in which the person took part, with ids on every side."""
    actor, gateway = await town.actor(), await town.gateway()
    await gateway.link.call(
        SessionOpen(
            account_id=ACCOUNT,
            engagement_key="eng-1",
            ids=EngagementIds(
                account_id=ACCOUNT,
                rt_session_id="eng-1",
                visitor_id=VISITOR,
                visitor_name=NAME,
                agent_id=AGENT,
            ),
            mode=Mode.VIDEO,
            owner=Principal(role=Role.AGENT, account_id=ACCOUNT, agent_id=AGENT),
        ),
        Location,
    )
    assert actor.session_id is not None
    engagement = {"account_id": ACCOUNT, "visitor_id": VISITOR, "visitor_name": NAME}
    await actor.link.call(
        JournalAppend(
            session_id=actor.session_id,
            epoch=1,
            entries=[entry(2)],
            subjects=[
                Subject(
                    participant_id="consumer",
                    body={"role": "consumer", "name": NAME, "engagement": engagement},
                ),
                Subject(
                    participant_id="agent",
                    body={"role": "agent", "agent_id": AGENT, "engagement": engagement},
                ),
            ][0 if visitors_side else 1 :],
        ),
        Done,
    )
    if ended:
        await actor.append(entry(3, "session.ended", reason="ended_by_agent"))
    link = LedgerLink(
        town.home,
        KEY,
        LinkHello(kind="keeper", member_id="keeper", node="n"),
        timing=TIMING,
    )
    town.stack.push_async_callback(link.close)
    await link.start()
    return actor, gateway, link


async def everything(town: Town) -> str:
    """Return every value of every table."""
    database = Database(town.url)
    found = []
    for table in metadata.sorted_tables:
        found += [repr(tuple(row)) for row in await database.rows(sa.select(table))]
    await database.close()
    return "\n".join(found)


def files(town: Town) -> bytes:
    """Return what stands in the database's files, its write-ahead log included."""
    if not town.url.startswith("sqlite"):
        return b""
    path = Path(town.url.removeprefix("sqlite:///"))
    return b"".join(file.read_bytes() for file in path.parent.glob(path.name + "*"))


async def test_an_erased_consumer_is_in_no_table_and_no_file(town: Town) -> None:
    actor, gateway, link = await a_record(town, ended=True)
    assert NAME in await everything(town)
    if town.url.startswith("sqlite"):
        assert NAME.encode() in files(town)
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    erased = await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    assert [one.participant_id for one in erased.erased] == ["consumer"]
    left = await everything(town)
    assert NAME not in left
    assert VISITOR not in left
    assert AGENT in left
    raw = files(town)
    assert NAME.encode() not in raw
    assert VISITOR.encode() not in raw
    assert actor.session_id is not None
    record = await gateway.record(actor.session_id)
    assert [one.type for one in record.events] == [
        "session.started",
        "test.noted",
        "session.ended",
        "subject.erased",
    ]
    assert record.events[-1].body == {"participant_id": "consumer"}
    assert {one.participant_id: one.body for one in record.subjects}["consumer"] == {}
    # Once more changes nothing: there is nobody by that id any more.
    again = await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    assert again.erased == []


async def test_a_brands_metadata_go_with_the_person_and_its_reference_stays(town: Town) -> None:
    actor, gateway, link = await a_record(town, ended=True)
    assert actor.session_id is not None
    note = upkeep.SessionAnnotate(
        session_id=actor.session_id,
        account_id=ACCOUNT,
        reference="case-4711",
        metadata={"caller": NAME},
    )
    await link.call(note, Done)
    with pytest.raises(SwitchboardError, match="no such session"):
        await link.call(note.model_copy(update={"account_id": "other"}), Done)
    query = RecordQuery(account_id=ACCOUNT, reference="case-4711")
    found = await gateway.link.call(query, RecordPage)
    assert [each.metadata for each in found.records] == [{"caller": NAME}]
    none = RecordQuery(account_id=ACCOUNT, reference="case-1")
    assert (await gateway.link.call(none, RecordPage)).records == []
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    record = await gateway.record(actor.session_id)
    assert (record.reference, record.metadata) == ("case-4711", {})
    assert NAME not in await everything(town)


async def test_an_erased_agent_leaves_the_consumer(town: Town) -> None:
    _, _, link = await a_record(town, ended=True)
    ask = upkeep.PersonErase(account_id=ACCOUNT, agent_id=AGENT)
    erased = await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    assert [one.participant_id for one in erased.erased] == ["agent"]
    left = await everything(town)
    assert AGENT not in left
    assert NAME in left


async def test_an_agent_who_is_erased_once_more_takes_nothing_of_the_consumer(town: Town) -> None:
    """As after a restore, when everything that was erased is said again. By what names the
    consumer they are found when they are to be erased themselves."""
    actor, _, link = await a_record(town, ended=True)
    assert actor.session_id is not None
    ask = upkeep.PersonErase(
        account_id=ACCOUNT, session_id=actor.session_id, participant_id="agent"
    )
    for _ in range(2):
        await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    left = await everything(town)
    assert (AGENT in left, VISITOR in left) == (False, True)
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    erased = await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    assert [one.participant_id for one in erased.erased] == ["consumer"]
    left = await everything(town)
    assert (NAME in left, VISITOR in left) == (False, False)


async def test_an_actor_cannot_bring_back_who_was_erased(town: Town) -> None:
    actor, gateway, link = await a_record(town, ended=False)
    assert actor.session_id is not None
    ask = upkeep.PersonErase(
        account_id=ACCOUNT, session_id=actor.session_id, participant_id="consumer"
    )
    await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    await actor.link.call(
        JournalAppend(
            session_id=actor.session_id,
            epoch=1,
            entries=[entry(3)],
            subjects=[Subject(participant_id="consumer", body={"name": NAME})],
        ),
        Done,
    )
    assert NAME not in await everything(town)
    # The actor writes the journal of a live session; the note comes when it has ended.
    await actor.append(entry(4, "session.ended", reason="ended_by_agent"))
    await link.call(keeping.Reconcile(), keeping.Reconciled)
    record = await gateway.record(actor.session_id)
    assert [one.type for one in record.events][-2:] == ["session.ended", "subject.erased"]


@pytest.mark.parametrize("spelling", ["0815", "acc.0815", " acc:0815 "])
async def test_an_agent_is_erased_however_their_id_is_spelled(town: Town, spelling: str) -> None:
    actor, _, link = await a_record(town, ended=False)
    assert actor.session_id is not None
    said = {"account_id": ACCOUNT, "chatting_agent_id": "acc:0815"}
    people = [
        Subject(participant_id="another", body={"role": "agent", "agent_id": "acc.0815"}),
        Subject(participant_id="third", body={"role": "agent", "agent_id": "10815"}),
        Subject(participant_id="consumer", body={"role": "consumer", "engagement": said}),
    ]
    append = JournalAppend(
        session_id=actor.session_id, epoch=1, entries=[entry(3)], subjects=people
    )
    await actor.link.call(append, Done)
    ask = upkeep.PersonErase(account_id=ACCOUNT, agent_id=spelling)
    erased = await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    assert [one.participant_id for one in erased.erased] == ["another"]
    left = await everything(town)
    assert "acc.0815" not in left
    assert "acc:0815" not in left
    assert "10815" in left


@pytest.mark.parametrize("came", [True, False], ids=["silent widget", "never came"])
async def test_who_is_named_by_the_agents_side_alone_is_erased(town: Town, came: bool) -> None:
    """The window's SDK may know no visitor, and an invitation may ring nowhere."""
    actor, gateway, link = await a_record(town, ended=False, visitors_side=False)
    assert actor.session_id is not None
    if came:
        said = {"role": "consumer", "name": NAME, "engagement": {"account_id": ACCOUNT}}
        who = [Subject(participant_id="consumer", body=said)]
        append = JournalAppend(
            session_id=actor.session_id, epoch=1, entries=[entry(3)], subjects=who
        )
        await actor.link.call(append, Done)
    await actor.append(entry(4 if came else 3, "session.ended", reason="ended_by_agent"))
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    other = ask.model_copy(update={"account_id": "other"})
    assert (await link.call(other, upkeep.Erasures, timeout=20 * PATIENCE)).erased == []
    erased = (await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)).erased
    assert [one.participant_id for one in erased] == ["consumer" if came else "named-visitor"]
    left = await everything(town)
    assert NAME not in left
    assert VISITOR not in left
    assert AGENT in left
    assert (await gateway.record(actor.session_id)).events[-1].type == "subject.erased"
    # What was said can be said again, and of nobody else's session.
    [one] = erased
    again = upkeep.PersonErase(
        account_id=ACCOUNT, session_id=one.session_id, participant_id=one.participant_id
    )
    assert len((await link.call(again, upkeep.Erasures, timeout=20 * PATIENCE)).erased) == 1
    other = again.model_copy(update={"account_id": "other"})
    assert (await link.call(other, upkeep.Erasures, timeout=20 * PATIENCE)).erased == []


async def test_what_others_hosts_said_of_the_erased_does_not_come_back(town: Town) -> None:
    """An actor writes everybody's subject again, each half minute and at a takeover."""
    actor, _, link = await a_record(town, ended=False)
    assert actor.session_id is not None
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    engagement = {"account_id": ACCOUNT, "visitor_id": VISITOR, "visitor_name": NAME}
    remembered = {"role": "agent", "agent_id": AGENT, "engagement": engagement}
    append = JournalAppend(
        session_id=actor.session_id,
        epoch=1,
        entries=[entry(3)],
        subjects=[
            Subject(participant_id="agent", body=remembered),
            Subject(participant_id="back", body={"role": "consumer", "engagement": engagement}),
        ],
    )
    await actor.link.call(append, Done)
    left = await everything(town)
    assert NAME not in left
    assert VISITOR not in left
    assert AGENT in left


async def test_erasures_can_be_said_again_after_a_restore(town: Town) -> None:
    actor, _, link = await a_record(town, ended=True)
    assert actor.session_id is not None
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    kept = await link.call(upkeep.ErasureList(), upkeep.Erasures)
    # An older backup comes back.
    database = Database(town.url)

    def restore(connection: sa.Connection) -> None:
        connection.execute(
            sa.text(
                "UPDATE subjects SET body = :body, erased_ms = NULL"
                " WHERE participant_id = 'consumer'"
            ),
            {"body": '{"role":"consumer","name":"' + NAME + '"}'},
        )
        connection.execute(sa.text("DELETE FROM erasures"))

    await database._writing.begin(restore)
    await database.close()
    assert NAME in await everything(town)
    for one in kept.erased:
        again = upkeep.PersonErase(
            account_id=ACCOUNT, session_id=one.session_id, participant_id=one.participant_id
        )
        await link.call(again, upkeep.Erasures, timeout=20 * PATIENCE)
    assert NAME not in await everything(town)


async def test_somebody_must_be_named(town: Town) -> None:
    _, _, link = await a_record(town, ended=True)
    with pytest.raises(SwitchboardError, match="which person"):
        await link.call(upkeep.PersonErase(account_id=ACCOUNT), upkeep.Erasures)
    other = upkeep.PersonErase(account_id="other", visitor_id=VISITOR)
    assert (await link.call(other, upkeep.Erasures, timeout=20 * PATIENCE)).erased == []
    assert NAME in await everything(town)


async def test_a_record_whose_time_is_over_is_in_no_table(town: Town) -> None:
    actor, _, link = await a_record(town, ended=False)
    session_id = actor.session_id
    assert session_id is not None
    await actor.append(entry(3, "guest.invited", guest_invitation_id="g", code_hash="h", uses=1))
    await actor.append(entry(4, "session.ended", reason="ended_by_agent"))
    note = upkeep.SessionAnnotate(
        session_id=session_id, account_id=ACCOUNT, reference="case-4711", metadata={}
    )
    await link.call(note, Done)
    ask = upkeep.PersonErase(account_id=ACCOUNT, visitor_id=VISITOR)
    await link.call(ask, upkeep.Erasures, timeout=20 * PATIENCE)
    given_up = keeping.OutboxSettle(
        endpoint_id="e",
        session_id=session_id,
        delivered_seq=0,
        retry_in_ms=None,
        dead="status 500",
        again=False,
        endpoints=["e"],
    )
    await link.call(given_up, Done)
    of_sessions = {each.name for each in metadata.sorted_tables if "session_id" in each.columns}
    assert await holding(town, session_id) == of_sessions
    expire = keeping.RecordExpire(account_id=ACCOUNT, before_ms=town.clock.ms + 1)
    assert (await link.call(expire, keeping.Expired)).count == 1
    assert await holding(town, session_id) == set()


async def holding(town: Town, session_id: str) -> set[str]:
    """In which tables a session stands."""
    database = Database(town.url)
    found = set()
    for table in metadata.sorted_tables:
        if session_id in repr(await database.rows(sa.select(table))):
            found.add(table.name)
    await database.close()
    return found
