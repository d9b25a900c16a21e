"""A consumer waits, an agent starts, both are attached; and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from broker.errors import Conflict, ErrorCode, TooFast, Unavailable
from broker.link import Reply
from broker.messages.cluster.base import ClusterMessage
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.presence import PresencePut, PresenceState, PresenceWatch
from broker.messages.cluster.records import RecordQuery
from broker.messages.cluster.sessions import GuestLocated, SessionOpen
from broker.messages.cluster.trunk import Location
from broker.words import Role, Surface
from gateway.links import ledger_client
from gateway.links.ledger_client import LedgerClient
from gateway.settings import Limits
from tests.gateway.conftest import ENGAGEMENT, KEY, WINDOW, World
from tests.gateway.fake_ledger import FakeLedger
from tests.gateway.listening import End, running
from tests.patience import PATIENCE


async def test_a_waiting_widget_is_registered_and_attached_when_a_session_opens(
    world: World,
) -> None:
    widget = await world.consumer()
    assert widget.got[0]["in_session"] is False
    (put,) = world.ledger.puts.values()
    assert put.keys == ["eng-1"]
    assert put.claim_hash is not None

    session = await world.session()
    world.ledger.attach(session)
    assert (await widget.next())["type"] == "resume.renewed"
    assert (await widget.next())["type"] == "session.snapshot"
    hello = session.seen[0]
    assert hello.principal.role == "consumer"
    assert hello.last_seq is None
    assert hello.engagement is not None


async def test_an_idle_agent_sees_the_reach_of_its_consumer_change(world: World) -> None:
    agent = await world.agent()
    assert (await agent.next())["consumer"] == {"reach": "absent", "surfaces": []}
    consumer = await world.consumer(visible=False)
    world.ledger.tell_watchers()
    assert (await agent.next())["consumer"] == {"reach": "hidden", "surfaces": ["launcher"]}
    await consumer.say(type="surface.update", visible=True)
    await world.ledger.signal.until(lambda: all(p.visible for p in world.ledger.puts.values()))
    world.ledger.tell_watchers()
    assert (await agent.next())["consumer"]["reach"] == "reachable"


async def test_start_answers_done_and_then_the_snapshot_comes(world: World) -> None:
    session = await world.session()

    async def opened(request: SessionOpen) -> Location:
        return session.location

    world.ledger.on_open = opened
    agent = await world.agent()
    await agent.until("reach.changed")
    await agent.say(type="session.start", id="1", mode="video")
    kinds = [(await agent.next())["type"] for _ in range(3)]
    assert kinds == ["request.done", "resume.renewed", "session.snapshot"]
    (asked,) = world.ledger.opened
    assert (asked.engagement_key, asked.owner.agent_id) == ("eng-1", "7")


async def test_whoever_the_sdk_says_they_are_an_agent_is_who_their_token_names(
    world: World,
) -> None:
    session = await world.session()

    async def opened(request: SessionOpen) -> Location:
        return session.location

    world.ledger.on_open = opened
    agent = await world.agent(engagement={**ENGAGEMENT, "agent_id": "99"})
    await agent.until("reach.changed")
    await agent.say(type="session.start", id="1", mode="video")
    await agent.until("session.snapshot")
    (asked,) = world.ledger.opened
    assert (asked.owner.agent_id, asked.owner.name) == ("7", "Alex")
    (hello,) = session.seen
    assert (hello.principal.role, hello.principal.agent_id) == (Role.AGENT, "7")


async def test_start_on_a_live_engagement_is_refused_with_its_code(world: World) -> None:
    world.ledger.faults["session.open"] = Conflict(ErrorCode.ALREADY_LIVE, "It is live.")
    agent = await world.agent()
    await agent.until("reach.changed")
    await agent.say(type="session.start", id="1", mode="video")
    answer = await agent.next()
    assert (answer["type"], answer["code"], answer["reply_to"]) == (
        "request.refused",
        "already_live",
        "1",
    )


async def test_a_late_consumer_learns_of_the_live_session_by_registering(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    widget = await world.widget()
    await widget.greet(token=world.waiting_token(), engagement=WINDOW)
    kinds = [(await widget.next())["type"] for _ in range(3)]
    assert kinds == ["connection.welcome", "resume.renewed", "session.snapshot"]


async def test_an_agent_who_is_no_participant_stays_idle(world: World) -> None:
    session = await world.session()
    session.refusal = Conflict(ErrorCode.NOT_IN_SESSION, "Not yours.")
    world.ledger.live["eng-1"] = session.location
    agent = await world.agent()
    assert agent.got[0]["in_session"] is False
    assert (await agent.next())["type"] == "reach.changed"
    assert (await agent.next())["type"] == "ways.changed"
    world.ledger.tell_watchers()
    await agent.say(type="connection.ping")
    assert (await agent.next())["type"] == "connection.pong"
    assert len(session.seen) == 1


async def test_back_to_waiting_keeps_the_socket_for_the_next_session(world: World) -> None:
    widget = await world.consumer()
    first = await world.session("s-1")
    world.ledger.attach(first)
    await widget.until("session.snapshot")
    del world.ledger.live["eng-1"]
    (await first.caller()).close(4410, "over", to_waiting=True)
    await first.signal.until(lambda: not first.callers)
    second = await world.session("s-2")
    world.ledger.attach(second)
    assert (await widget.until("session.snapshot"))["session_id"] == "s-2"


async def test_the_actor_may_close_the_widget_with_a_code(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    widget = await world.consumer()
    (await session.caller()).close(4409, "replaced")
    assert await widget.closed() == 4409
    await world.ledger.signal.until(lambda: not world.ledger.puts)


async def test_presence_is_said_again_after_the_ledger_came_back(world: World) -> None:
    await world.consumer()
    agent = await world.agent()
    await agent.until("reach.changed")
    port = world.ledger.port
    await world.ledger.stop()
    assert not world.ledger.puts
    await world.ledger.start(port)
    await world.ledger.signal.until(
        lambda: len(world.ledger.puts) == 1 and len(world.ledger.watches) == 1
    )


@asynccontextmanager
async def linked(
    ledger: FakeLedger, *, limits: Limits | None = None, failures: Sequence[Exception] = ()
) -> AsyncIterator[LedgerClient]:
    """Start a ledger, and give a client that keeps a link to it; its look-ups fail so at first."""
    left = list(failures)

    async def resolve() -> tuple[str, int]:
        if left:
            raise left.pop()
        return "127.0.0.1", ledger.port

    hello = LinkHello(kind="gateway", member_id="g", node="n")
    client = LedgerClient(resolve, KEY, hello, limits=limits)
    await ledger.start()
    try:
        async with running(client.run()):
            yield client
    finally:
        await ledger.stop()


class NarrowLedger(FakeLedger):
    """Refuses what comes while too much is at work, as the ledger does."""

    def _on_call(self, end: End, method: str, payload: bytes, reply: Reply) -> None:
        if len(self._tasks) > ledger_client.SAID_AT_ONCE + 2:
            reply.fault(TooFast(ErrorCode.RATE_LIMITED, "Too many calls are at work."))
        else:
            super()._on_call(end, method, payload, reply)


async def test_who_went_before_there_was_a_link_is_registered_nowhere() -> None:
    ledger = FakeLedger(KEY)
    async with linked(ledger, failures=[OSError("away")]) as client:
        puts = [
            PresencePut(
                connection_id=name,
                account_id="acc",
                keys=["k"],
                surface=Surface.LAUNCHER,
                visible=True,
            )
            for name in ("gone", "here")
        ]
        watch = PresenceWatch(connection_id="gone", account_id="acc", key="k")
        said = [client.put_presence(put) for put in puts]
        saying = asyncio.gather(*said, client.watch_presence(watch), return_exceptions=True)
        # Each has been left with the client, which has no link yet.
        await asyncio.sleep(0)
        client.forget("gone")
        gone, here, watched = await saying
        assert isinstance(gone, Unavailable)
        assert isinstance(watched, Unavailable)
        assert isinstance(here, PresenceState)
        assert (list(ledger.puts), ledger.watches) == (["here"], {})


async def test_everybody_is_said_again_however_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_client, "SAID_AT_ONCE", 4)
    ledger = NarrowLedger(KEY)
    async with linked(ledger) as client:
        await client.wait_ready()
        for number in range(40):
            await client.put_presence(
                PresencePut(
                    connection_id=f"c{number}",
                    account_id="acc",
                    keys=[f"eng-{number}"],
                    surface=Surface.LAUNCHER,
                    visible=True,
                )
            )
        port = ledger.port
        await ledger.stop()
        assert not ledger.puts
        await ledger.start(port)
        await ledger.signal.until(lambda: len(ledger.puts) == 40)


async def test_a_resolver_that_fails_by_whatever_costs_the_gateway_nothing() -> None:
    """What runs the link is a part of the gateway, which ends with any of its parts."""
    failures = [RuntimeError("Ray is not there."), KeyError("address")]
    async with linked(FakeLedger(KEY), failures=failures) as client, asyncio.timeout(10 * PATIENCE):
        await client.wait_ready()


class SlowLedger(FakeLedger):
    """Has a session looked for until somebody holds it again, and never lists its records."""

    async def _handle(self, method: str, payload: bytes) -> ClusterMessage:
        if method == RecordQuery.method:
            await asyncio.Event().wait()
        await asyncio.sleep(0.2)
        return await super()._handle(method, payload)


async def test_a_session_on_its_way_is_waited_for_longer_than_other_answers() -> None:
    ledger = SlowLedger(KEY)
    place = Location(
        session_id="s", epoch=2, host="h", port=1, account_id="acc", engagement_key="eng-1"
    )
    ledger.places["s"] = place
    ledger.guests["code"] = GuestLocated(location=place, guest_invitation_id="g")
    async with linked(ledger, limits=Limits(call_timeout_s=0.1)) as client:
        assert await client.locate("s", None) == place
        assert (await client.locate_guest("code")).location == place
        with pytest.raises(Unavailable):
            await client.list_records(RecordQuery())


async def test_a_widget_waits_even_while_the_ledger_is_away(world: World) -> None:
    world.ledger.faults["presence.put"] = Unavailable(ErrorCode.LEDGER_AWAY, "Away.")
    widget = await world.consumer()
    assert widget.got[0]["in_session"] is False


async def test_other_messages_without_a_session_are_refused(world: World) -> None:
    widget = await world.consumer()
    await widget.say(type="session.end", id="9")
    answer = await widget.next()
    assert (answer["code"], answer["reply_to"]) == ("not_in_session", "9")


async def test_a_changed_engagement_moves_the_watch(world: World) -> None:
    agent = await world.agent()
    await agent.until("reach.changed")
    changed = {**ENGAGEMENT, "rt_session_id": "eng-2"}
    await agent.say(type="engagement.update", engagement=changed)
    await world.ledger.signal.until(
        lambda: [w.key for w in world.ledger.watches.values()] == ["eng-2"]
    )


async def test_the_last_message_travels_inside_the_close(world: World) -> None:
    session = await world.session()
    world.ledger.live["eng-1"] = session.location
    agent = await world.agent()
    await agent.until("session.snapshot")
    del world.ledger.live["eng-1"]
    last = '{"type":"session.ended","seq":2}'
    (await session.caller()).close(4410, "ended", to_waiting=True, last=last)
    assert (await agent.next())["type"] == "session.ended"
    # Whatever answers it at once is answered by the gateway, not by a trunk nobody reads.
    await agent.say(type="session.end", id="9")
    await agent.until("request.refused")
    assert agent.got[-1]["code"] == "not_in_session"
