"""What becomes of a session actor that cannot serve, is cut off, or ends while nobody listens."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress

import pytest

from actors.link import DialledEnd
from actors.relay import RelayConfig
from actors.session.actor import WATCH_BEATS
from actors.session.clock import TOLERANCE_MS
from actors.session.person import PACE_COUNT, PACE_MS
from broker.errors import Conflict, ErrorCode, Gone, SwitchboardError, TooFast, Unavailable
from broker.messages.cluster.tenure import SessionPast, Subject
from broker.messages.colleagues import ColleagueQuery, Colleagues
from broker.trunk import Frame
from broker.words import Way
from tests.actors.house import SESSION, WAIT_S, House, house, reach
from tests.actors.stage import AGENT, hello_of
from tests.patience import until


async def lost(made: House, connection_id: str, gateway_id: str) -> asyncio.Event:
    """Dial a trunk that never says a word again; the event says that it was cut."""
    gone = asyncio.Event()
    trunk = await made.trunk(connection_id, gateway_id)
    trunk.on_lost = lambda _: gone.set()
    return gone


async def test_an_actor_without_a_free_media_port_gives_its_session_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with house(relay=RelayConfig(ports=range(port, port + 1))) as made:
            await made.ledger.assign()
            await until(made.over.is_set, "the actor gave up")


async def test_an_actor_that_cannot_read_that_its_session_is_durable_gives_it_up() -> None:
    async with house() as made:
        await made.ledger.assign(word=b"{}")
        await until(made.over.is_set, "the actor gave up")


async def test_an_actor_goes_on_with_a_session_though_it_cannot_read_once_more_that_it_is_durable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house() as made:
        await made.ledger.assign()
        trunk = await made.trunk()
        made.ledger.tell_committed(b"{}")
        await until(lambda: "A notice was not taken." in caplog.messages, "the word taken")
        (await made.trunk("c2")).close()
        assert not trunk.link.closed


async def test_an_actor_takes_one_session_and_goes_on_with_it() -> None:
    async with house() as made:
        await made.ledger.assign()
        for session_id in (SESSION, "s-2"):
            with pytest.raises(Conflict) as refusal:
                await made.ledger.assign(session_id)
            assert refusal.value.code is ErrorCode.ALREADY_LIVE
        (await made.trunk()).close()


async def test_whoever_takes_part_is_told_of_a_move_and_whoever_comes_meanwhile() -> None:
    async with house() as made:
        await made.ledger.assign()
        heard: dict[str, list[tuple[str, int | None]]] = {"early": [], "late": []}

        async def listen(name: str) -> DialledEnd:
            def take(_: object, kind: Frame, body: bytes) -> None:
                message = json.loads(body)
                if message["type"] in ("session.snapshot", "session.moving"):
                    heard[name].append((message["type"], message.get("within_ms")))

            member = made.ledger.member
            assert member is not None
            return (await reach(member, hello_of(AGENT, connection_id=name), take))[0]

        early = await listen("early")
        await until(lambda: heard["early"], "the snapshot")
        made.ledger.leaving(7_000, epoch=2)
        made.ledger.leaving(30_000)
        await until(lambda: len(heard["early"]) == 2, "the word of the move")
        made.now_ms += 10_000
        late = await listen("late")
        await until(lambda: len(heard["late"]) == 2, "the same word")
        made.ledger.leaving(None)
        stays = ("session.moving", None)
        await until(lambda: all(each[-1] == stays for each in heard.values()), "it stays")
        assert heard["early"][1:] == [("session.moving", 30_000), stays]
        assert heard["late"] == [("session.snapshot", None), ("session.moving", 20_000), stays]
        early.close()
        late.close()


@pytest.mark.parametrize("epoch", [0, 2])
async def test_a_trunk_of_another_tenure_is_refused(epoch: int) -> None:
    async with house() as made:
        await made.ledger.assign()
        member = made.ledger.member
        assert member is not None
        with pytest.raises(Conflict) as refusal:
            await reach(member, hello_of(AGENT, epoch=epoch))
        assert refusal.value.code is ErrorCode.STALE_EPOCH
        assert [entry.type for entry in made.ledger.entries][-1] != "participant.reconnecting"
        (await made.trunk()).close()


async def test_a_silent_gateway_loses_its_trunks_and_its_people_are_expected_back() -> None:
    async with house(lonely_s=0.5) as made:
        await made.ledger.assign()
        gone = await lost(made, "c1", "g1")
        await until(gone.is_set, "the silent trunk was cut")
        await until(made.ledger.appended.is_set, "the loss was journalled")
        assert made.ledger.entries[-1].type == "participant.reconnecting"
        assert not made.over.is_set()


async def test_a_gateway_is_heard_on_any_of_its_trunks() -> None:
    async with house(lonely_s=0.5) as made:
        await made.ledger.assign()
        quiet, silent = await lost(made, "c1", "g1"), await lost(made, "c2", "g2")
        speaking = await made.trunk("c3", "g1")
        async with asyncio.timeout(WAIT_S):
            while not silent.is_set():
                speaking.ping()
                await asyncio.sleep(0.01)
        assert not quiet.is_set()
        speaking.close()


async def test_who_goes_and_comes_without_end_is_held_back_and_may_come_later() -> None:
    async with house() as made:
        await made.ledger.assign()
        for _ in range(PACE_COUNT + 1):
            made.ledger.appended.clear()
            (await made.trunk()).close()
            await until(made.ledger.appended.is_set, "the loss was journalled")
            while made.ledger.entries[-1].type != "participant.reconnecting":
                made.ledger.appended.clear()
                await until(made.ledger.appended.is_set, "the loss was journalled")
        journal = len(made.ledger.entries)
        for _ in range(50):
            with pytest.raises(TooFast) as refusal:
                await made.trunk()
            assert refusal.value.code is ErrorCode.RATE_LIMITED
        assert len(made.ledger.entries) == journal
        made.now_ms += PACE_MS
        (await made.trunk()).close()


async def test_an_actor_without_ledger_and_with_silent_trunks_only_is_over() -> None:
    async with house(lonely_s=0.5) as made:
        await made.ledger.assign()
        await made.trunk()
        assert writes_a_journal()
        await made.ledger.stop()
        await until(made.over.is_set, "the actor fell silent")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", made.actor.media_port))  # nothing is forwarded any more
        assert not writes_a_journal(), "what waited for the ledger is its successor's to say"


async def test_an_actor_that_is_cut_off_waits_once_and_not_for_its_trunks_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a network swallows is not closed: its trunks stand, until it gives them up."""
    async with house(lonely_s=0.5) as made:
        await made.ledger.assign()
        await made.trunk()
        beat, beats = made.actor._trunks.beat, 0

        def counted() -> bool:
            nonlocal beats
            beats += 1
            return beat()

        await made.ledger.stop()
        monkeypatch.setattr(made.actor._trunks, "beat", counted)
        await until(made.over.is_set, "the actor fell silent")
        assert beats < 1.5 * WATCH_BEATS


async def test_what_was_given_of_one_session_gets_into_no_other() -> None:
    """Its ledger died in the middle, or found another standby."""
    async with house() as made:
        await made.ledger.assign()
        entries = list(made.ledger.entries)
    async with house() as made:
        parts = [
            SessionPast(session_id=session_id, epoch=epoch, entries=entries)
            for session_id, epoch in (("s-0", 2), (SESSION, 1))
        ]
        first = await made.ledger.go_on(entries, before=parts)
        assert first.entries[0].seq == len(entries) + 1


async def test_what_was_given_of_a_session_is_replayed_before_its_last_part() -> None:
    async with house() as made:
        await made.ledger.assign()
        entries = list(made.ledger.entries)
    async with house() as made:
        assert made.ledger.member is not None
        assert made.ledger.member.people_in_parts, "or it would be given none in these"
        guest = Subject(participant_id="p-gus", body={"role": "guest", "name": "Gus"})
        parts = [SessionPast(session_id=SESSION, epoch=2, entries=[each]) for each in entries[:-1]]
        parts.append(SessionPast(session_id=SESSION, epoch=2, entries=[], subjects=[guest]))
        first = await made.ledger.go_on(entries[-1:], before=parts)
        assert first.entries[0].seq == len(entries) + 1
        assert made.actor._session is not None
        assert made.actor._session.people["p-gus"].principal.name == "Gus"


async def test_a_session_goes_by_the_ledgers_clock_where_its_process_has_another() -> None:
    """The machine's clock was wrong when the process started: nobody's time to come back is over
    for that, and no event is dated an hour off."""
    async with house() as made:
        await made.ledger.assign()
        entries, wrong_ms = list(made.ledger.entries), made.now_ms
    for off_ms in (3_600_000, -3_600_000):
        async with house() as made:
            made.now_ms = wrong_ms + off_ms
            first = await made.ledger.go_on(entries, now_ms=wrong_ms + 1_000)
            assert {each.at_ms for each in first.entries} == {wrong_ms + 1_000}
    async with house() as made:
        made.now_ms = wrong_ms + TOLERANCE_MS
        first = await made.ledger.go_on(entries, now_ms=wrong_ms)
        assert {each.at_ms for each in first.entries} == {made.now_ms}, "as clocks do differ"


def writes_a_journal() -> bool:
    return "session-journal" in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_move_that_its_ledger_did_not_survive_is_off() -> None:
    async with house() as made:
        await made.ledger.assign()
        (await made.trunk()).close()
        await made.ledger.move()
        with pytest.raises(Unavailable):
            await made.trunk()
        await made.ledger.stop()
        await made.ledger.start()
        await until(made.ledger.enlisted.is_set, "the actor enlisted with the next ledger")
        (await coming(made)).close()


async def test_a_session_that_was_to_move_goes_on_while_its_ledger_is_away() -> None:
    """What reduces exposure must act at once, and nobody knows when the ledger is back."""
    async with house() as made:
        await made.ledger.assign()
        (await made.trunk()).close()
        await made.ledger.move()
        await made.ledger.stop()
        (await coming(made)).close()


async def coming(made: House) -> DialledEnd:
    """Dial until the actor's session does not move any more."""
    async with asyncio.timeout(WAIT_S):
        while True:
            with suppress(Unavailable):
                return await made.trunk()


async def test_who_has_left_and_comes_back_with_a_resume_token_is_told_that_it_is_over() -> None:
    other = AGENT.model_copy(update={"agent_id": "8"})
    async with house() as made:
        await made.ledger.assign()
        await made.trunk("c1")
        trunk, ready = await made.dial(other, "c2", way=Way.CONSULT)
        gone = asyncio.Event()
        trunk.on_lost = lambda _: gone.set()
        trunk.link.send(Frame.MESSAGE, b'{"type":"session.leave","id":"1"}')
        await until(gone.is_set, "the second agent left")
        with pytest.raises(Gone) as refused:
            await made.dial(other.model_copy(update={"participant_id": ready.participant_id}), "c3")
        assert refused.value.code is ErrorCode.NOT_IN_SESSION


async def test_a_question_more_than_the_actor_has_room_for_is_answered_at_once() -> None:
    async with house() as made:
        refused: list[SwitchboardError] = []
        for _ in range(100):
            query = ColleagueQuery(session_id="s-1")
            made.actor._ask_ledger(query, Colleagues, lambda _: None, refused.append)
        assert {each.code for each in refused} == {ErrorCode.RATE_LIMITED}
        assert 0 < len(refused) < 100
