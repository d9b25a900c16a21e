"""Sessions whose actor is gone, and actors that believe they still hold one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from actors.ledger.journal import Append, Appended
from actors.ledger.stop import SessionStop
from broker.errors import Conflict, ErrorCode, Gone, Unavailable
from broker.messages.cluster.sessions import SessionAttach, SessionLocate, SessionRelocated
from broker.messages.cluster.tenure import Subject
from broker.messages.cluster.trunk import Location
from broker.words import EndReason, SessionPhase
from tests.ledger.conftest import Town
from tests.ledger.fakes import BRIEF, POLICY, FakeActor, FakeGateway, entry
from tests.patience import PATIENCE, until


async def in_session(town: Town) -> tuple[FakeActor, FakeGateway, str]:
    """Return an actor that holds a session with two events, a gateway, and the session's id."""
    actor, gateway = await town.actor(), await town.gateway()
    session_id = (await gateway.open()).session_id
    await actor.append(entry(2, word="kept"))
    return actor, gateway, session_id


async def test_a_dead_actor_is_replaced_without_being_asked(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor()
    await actor.die()
    await until(lambda: bool(gateway.told("session.relocated", SessionRelocated)), "news")
    location = gateway.told("session.relocated", SessionRelocated)[0].location
    assert (location.session_id, location.epoch, location.port) == (session_id, 2, standby.port)
    replayed = standby.continued[0]
    assert [one.seq for one in replayed.entries] == [1, 2]
    assert replayed.entries[1].body == {"word": "kept"}
    assert replayed.subjects[0].body == {"name": "Ann"}
    assert (*actor.told_ms, *standby.told_ms) == (town.clock.ms, town.clock.ms)
    await until(lambda: bool(standby.committed), "the commit")
    await standby.append(entry(3))
    assert [one.seq for one in (await gateway.record(session_id)).events] == [1, 2, 3]


async def test_a_session_goes_on_where_its_actor_did_not_die(town: Town) -> None:
    """The node may be dying, process by process."""
    actor, gateway, session_id = await in_session(town)
    beside, elsewhere = await town.actor(), await town.actor(node="node-2")
    await actor.die()
    place = await gateway.takeover(session_id, 1)
    assert (place.epoch, place.port) == (2, elsewhere.port)
    await elsewhere.die()
    assert (await gateway.takeover(session_id, 2)).port == beside.port


async def test_who_waits_is_told_where_the_session_went(town: Town) -> None:
    actor, gateway, _ = await in_session(town)
    await gateway.put("c1")
    await town.actor()
    await actor.die()
    await until(lambda: bool(gateway.told("session.attach", SessionAttach)), "the offer")
    (attach,) = gateway.told("session.attach", SessionAttach)
    assert (attach.connection_id, attach.location.epoch) == ("c1", 2)


async def test_takeover_is_idempotent_for_an_observed_epoch(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    standby, spare = await town.actor(), await town.actor()
    await actor.die()
    places = await asyncio.gather(*(gateway.takeover(session_id, 1) for _ in range(20)))
    assert {(place.epoch, place.port) for place in places} == {(2, standby.port)}
    assert (await gateway.takeover(session_id, 1)).epoch == 2
    assert spare.continued == []


async def test_a_live_actor_is_not_replaced_because_a_trunk_broke(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    await town.actor()
    place = await gateway.takeover(session_id, 1)
    assert (place.epoch, place.port) == (1, actor.port)


async def test_a_live_actor_that_lost_its_link_comes_back_to_its_session(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor()
    actor.link.drop()
    await until(lambda: len(actor.kept) == 2, "the second enlisting")
    assert actor.kept == [True, True]
    await actor.append(entry(3))
    assert (await gateway.takeover(session_id, 1)).epoch == 1
    assert standby.continued == []


async def test_an_actor_that_was_replaced_is_not_heard_any_more(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor()
    # Its port is closed and its link is up: as good as dead to every gateway.
    await actor._listener.close()
    assert (await gateway.takeover(session_id, 1)).port == standby.port
    await until(lambda: len(actor.kept) == 2, "the second enlisting")
    assert actor.kept == [True, False]
    with pytest.raises(Conflict) as stale:
        await actor.append(entry(3, word="too late"))
    assert stale.value.code is ErrorCode.STALE_EPOCH
    assert actor.stopped
    assert SessionStop.method == "session.stop"
    assert [one.seq for one in (await gateway.record(session_id)).events] == [1, 2]


async def test_a_poisonous_journal_costs_three_standbys_and_then_the_session(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    victims = [await town.actor(kills=True) for _ in range(3)]
    spare = await town.actor()
    await actor.die()
    with pytest.raises(Gone):
        await gateway.takeover(session_id, 1)
    record = await gateway.record(session_id)
    assert (record.phase, record.end_reason) == (
        SessionPhase.ENDED,
        EndReason.TAKEOVER_EXHAUSTED,
    )
    assert [one.type for one in record.events][-1] == "session.ended"
    assert spare.continued == []
    assert all(victim.continued for victim in victims)
    # The engagement is free again.
    assert (await gateway.open()).port == spare.port


async def test_a_journal_longer_than_a_frame_is_handed_over_in_parts(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor()
    for seq in range(3, 9):
        await actor.append(entry(seq, word="x" * 900_000))
    await actor.die()
    assert (await gateway.takeover(session_id, 1)).port == standby.port
    assert [one.seq for one in standby.past] == list(range(1, 9))
    assert [one.seq for one in standby.continued[0].entries] == [8]


async def test_a_standby_has_the_longer_the_longer_the_journal_is(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, continue_s=0.05, continue_event_s=0.2))
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor()
    standby.continuing = partial(asyncio.sleep, 0.2)
    await actor.append(entry(3))
    await actor.die()
    assert (await gateway.takeover(session_id, 1)).port == standby.port


async def test_people_of_whom_a_frame_has_no_room_are_handed_over_in_parts(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor()
    for seq in range(3, 9):
        said = Subject(participant_id=f"p{seq}", body={"name": "x" * 900_000})
        await actor.append(entry(seq), people=[said])
    await actor.die()
    assert (await gateway.takeover(session_id, 1)).port == standby.port
    last = standby.continued[0]
    assert [one.seq for one in last.entries] == list(range(1, 9))
    assert [each.participant_id for each in (*standby.people, *last.subjects)] == [
        f"p{number}" for number in (1, *range(3, 9))
    ]


async def test_a_standby_of_the_release_before_is_told_of_all_people_at_once(town: Town) -> None:
    """Those of a part it would overlook, and then store without their names."""
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor(people_in_parts=False)
    for seq in (3, 4):
        said = Subject(participant_id=f"p{seq}", body={"name": "x" * 900_000})
        await actor.append(entry(seq), people=[said])
    await actor.die()
    assert (await gateway.takeover(session_id, 1)).port == standby.port
    told = [each.participant_id for each in standby.continued[0].subjects]
    assert (standby.people, told) == ([], ["p1", "p3", "p4"])


async def test_a_session_whose_end_was_written_and_not_confirmed_is_over(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, gateway, session_id = await in_session(town)
    standby, writer = await town.actor(), town.ledger._writer
    append = writer.append

    async def unconfirmed(what: Append) -> Appended:
        await append(what)
        raise Unavailable(ErrorCode.LEDGER_AWAY, "Nobody knows.")

    monkeypatch.setattr(writer, "append", unconfirmed)
    with pytest.raises(Unavailable):
        await actor.append(entry(3, "session.ended", reason="ended_by_agent"))
    await actor.die()
    with pytest.raises(Gone):
        await gateway.takeover(session_id, 1)
    assert standby.continued == []
    assert (await gateway.open()).port == standby.port, "the engagement is free again"
    assert town.ledger.level().failed == 0


async def test_a_journal_too_long_to_be_kept_ends_the_session(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, journal_limit_bytes=4_000_000))
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor()
    for seq in range(3, 8):
        await actor.append(entry(seq, word="x" * 900_000))
    await actor.die()
    with pytest.raises(Gone):
        await gateway.takeover(session_id, 1)
    assert (await gateway.open("eng-2")).port == standby.port


async def test_takeovers_long_ago_do_not_count(town: Town) -> None:
    actor, gateway, session_id = await in_session(town)
    for epoch in range(1, 6):
        standby = await town.actor()
        await actor.die()
        place = await gateway.takeover(session_id, epoch)
        assert (place.epoch, place.port) == (epoch + 1, standby.port)
        actor = standby
        town.clock.ms += 200_000


async def test_a_takeover_waits_for_a_standby_and_goes_before_openings(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(BRIEF)
    actor, gateway, session_id = await in_session(town)
    await actor.die()
    await until(lambda: town.ledger.level().queued == 1, "the takeover in the queue")
    opening = asyncio.ensure_future(gateway.open("eng-2"))
    await until(lambda: town.ledger.level().queued == 2, "the opening in the queue")
    standby = await town.actor()
    assert (await gateway.takeover(session_id, 1)).port == standby.port
    with pytest.raises(Unavailable) as full:
        await opening
    assert full.value.code is ErrorCode.NO_CAPACITY


async def test_of_sessions_that_wait_for_a_standby_the_oldest_is_first(town: Town) -> None:
    holders = [await town.actor() for _ in range(3)]
    gateway = await town.gateway()
    opened = []
    for number in range(3):
        opened.append((await gateway.open(f"eng-{number}")).session_id)
        town.clock.ms += 1_000
    # They die from the youngest to the oldest, so that age is not the order of asking.
    for waiting, session_id in enumerate(reversed(opened), start=1):
        await next(one for one in holders if one.session_id == session_id).die()
        await until(
            lambda waiting=waiting: town.ledger.level().queued == waiting,  # type: ignore[misc]
            "the takeover in the queue",
        )
    for session_id in opened:
        standby = await town.actor()
        await until(lambda standby=standby: bool(standby.committed), "the takeover")  # type: ignore[misc]
        assert standby.session_id == session_id


async def test_a_session_without_any_standby_is_away_and_not_lost(bare_town: Town) -> None:
    town = bare_town
    await town.new_ledger(replace(POLICY, settle_s=0.2))
    actor, gateway, session_id = await in_session(town)
    await actor.die()
    with pytest.raises(Unavailable) as away:
        await gateway.takeover(session_id, 1)
    assert away.value.code is ErrorCode.SESSION_AWAY
    standby = await town.actor()
    # A gateway asks as often as it is told so; here nobody is told that it takes a moment longer.
    await until(lambda: standby.committed, "the session is continued")
    assert (await gateway.takeover(session_id, 1)).port == standby.port


async def test_everything_killed_leaves_the_record_and_a_session_to_continue(
    bare_town: Town,
) -> None:
    town = bare_town
    first = await town.new_ledger()
    actor, gateway, session_id = await in_session(town)
    await first.close()
    await actor.die()
    await town.new_ledger()
    assert town.ledger.term == first.term + 1
    record = await gateway.record(session_id)
    assert [one.seq for one in record.events] == [1, 2]
    with pytest.raises(Conflict):
        await gateway.open()
    standby = await town.actor()
    place = await gateway.takeover(session_id, 1)
    assert (place.epoch, place.port) == (2, standby.port)


async def test_a_new_ledger_finds_the_actor_where_it_is(bare_town: Town) -> None:
    town = bare_town
    first = await town.new_ledger()
    actor, gateway, session_id = await in_session(town)
    standby = await town.actor()
    await first.close()
    await town.new_ledger()
    locate = SessionLocate(session_id=session_id)
    place = await gateway.link.call(locate, Location, timeout=8.0 * PATIENCE)
    assert (place.epoch, place.port) == (1, actor.port)
    await until(lambda: actor.kept == [True, True], "the second enlisting")
    assert standby.continued == []
    await actor.append(entry(3))


async def test_an_assignment_the_ledger_does_not_know_is_not_kept(town: Town) -> None:
    actor = await town.actor()
    actor.session_id, actor.epoch = "never-committed", 1
    actor.link.drop()
    await until(lambda: len(actor.kept) == 2, "the second enlisting")
    assert actor.kept[-1] is False
    assert town.ledger.level().standbys == 0
