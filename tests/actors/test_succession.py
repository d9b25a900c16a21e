"""A process that has held a session holds another of its account; nothing of the first is left."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import psutil
import pytest

from actors import memory
from actors.link import DialledEnd
from actors.relay import Relay, RelayConfig
from actors.session.actor import SessionActor
from actors.session.config import SessionConfig
from actors.session.live import LiveSession
from actors.session.succession import Succession
from broker.errors import Conflict, ErrorCode, NotFound, SwitchboardError
from broker.messages.cluster.members import SessionMember
from broker.messages.cluster.trunk import Principal, TrunkReady
from broker.messages.colleagues import Colleagues
from broker.trunk import Frame
from broker.words import PublishSource, Role
from tests.actors.house import SESSION, WAIT_S, ScriptedLedger, reach
from tests.actors.stage import AGENT, KEY, hello_of
from tests.patience import until
from tests.relay.client import CraftedClient

SECOND = "s-2"


class Process:
    """What a session actor's process runs, and the ledger it enlists with."""

    def __init__(
        self,
        reuse_limit: int,
        ports: range = range(0, 1),
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self.ledger = ScriptedLedger()
        self.actors: list[SessionActor] = []
        self.settled = 0
        self._settles_by = settle
        self.succession = Succession(
            SessionConfig(node="n", trunk_key=KEY, relay=RelayConfig(ports=ports)),
            self._make,
            reuse_limit=reuse_limit,
            settle=self._settle,
        )
        self.running: asyncio.Task[None] | None = None

    def _make(self, config: SessionConfig, on_over: Callable[[], None]) -> SessionActor:
        actor = SessionActor(config, self.ledger.resolve, now_ms=lambda: 1_000_000, on_over=on_over)
        self.actors.append(actor)
        return actor

    def _settle(self) -> None:
        self.settled += 1
        self._settles_by()

    async def start(self) -> None:
        await self.ledger.start()
        await self.succession.start()
        self.running = asyncio.create_task(self.succession.run())
        await until(self.ledger.enlisted.is_set, "the standby enlisted")

    async def close(self) -> None:
        if self.running is not None:
            self.running.cancel()
            with suppress(asyncio.CancelledError):
                await self.running
        await self.ledger.stop()

    @property
    def member(self) -> SessionMember:
        assert self.ledger.member is not None
        return self.ledger.member

    async def again(self) -> None:
        """Wait until it is a standby once more."""
        await until(self.ledger.enlisted.is_set, "it enlisted again")

    async def end(self, trunk: DialledEnd) -> None:
        """End the session as an agent does."""
        self.ledger.enlisted.clear()
        trunk.link.send(Frame.MESSAGE, b'{"type":"session.end","id":"1"}')


async def dial_agent(member: SessionMember, session_id: str) -> tuple[DialledEnd, TrunkReady]:
    """Dial the agent's trunk to one of its sessions."""
    return await reach(member, hello_of(AGENT, session_id=session_id))


def relay_of(actor: SessionActor) -> Relay:
    session = actor._session
    assert session is not None
    return session.media._relay


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def process(stack: AsyncExitStack, reuse_limit: int = 20, **options: Any) -> Process:
    made = Process(reuse_limit, **options)
    stack.push_async_callback(made.close)
    await made.start()
    return made


async def test_nothing_of_the_first_session_is_left_in_the_second(stack: AsyncExitStack) -> None:
    made = await process(stack)
    first, before = made.member, len(asyncio.all_tasks())
    assert first.account_id is None
    await made.ledger.assign()
    trunk, ready = await dial_agent(first, SESSION)
    relay = relay_of(made.actors[0])
    client = CraftedClient(relay, ready.participant_id, publish=[PublishSource.MICROPHONE])
    stack.callback(client.close)
    await client.connect()
    client.stop_checking()
    old_check, old_port, old_answer = client.check(), relay.port, client.answer
    relics: list[weakref.ref[object]] = [
        weakref.ref(each)
        for actor in made.actors
        for each in (actor, relay, actor._session, actor._link, actor._listener)
    ]

    await made.end(trunk)
    await made.again()
    made.actors.pop(0)
    del relay
    client.relay = Relay(RelayConfig(), client)  # type: ignore[arg-type]  # the client's own hold
    await until(lambda: trunk.link.closed, "the old trunk was cut")
    gc.collect()
    assert [relic() for relic in relics] == [None] * 5
    assert len(asyncio.all_tasks()) == before
    assert made.settled == 2

    second = made.member
    assert second.account_id == "acc"
    assert (second.member_id, second.port) != (first.member_id, first.port)
    await made.ledger.assign(SECOND)
    await until(lambda: made.actors[0].media_port, "its port is bound")
    fresh = relay_of(made.actors[0])
    assert fresh.port != old_port
    with pytest.raises(ConnectionRefusedError):
        await dial_agent(first, SESSION)
    with pytest.raises(NotFound) as refused:
        await dial_agent(second, SESSION)
    assert refused.value.code is ErrorCode.UNKNOWN_SESSION

    # Late packets of the first: a check with its name and password, and something like RTP.
    answered = client.checks_answered
    client.relay = fresh
    for late in (old_check, b"\x80\x6f" + bytes(40)):
        client.send(late)
    await until(lambda: fresh.dropped_strangers == 2, "both were dropped")
    assert client.checks_answered == answered
    assert not fresh.transports

    trunk, ready = await dial_agent(second, SECOND)
    other = CraftedClient(fresh, ready.participant_id, publish=[PublishSource.MICROPHONE])
    stack.callback(other.close)
    await other.connect()
    for name in ("a=ice-ufrag", "a=ice-pwd", "a=fingerprint"):
        assert line(other.answer, name) != line(old_answer, name)
    trunk.close()


def ours() -> Counter[str]:
    """Count what is alive of our own classes, by name."""
    gc.collect()
    # By class first: there are a million objects. A class may have anything as its `__module__`.
    classes = Counter(map(type, gc.get_objects())).items()
    named = {f"{each.__module__}.{each.__qualname__}": count for each, count in classes}
    mine = ("actors.", "broker.")
    return Counter({name: count for name, count in named.items() if name.startswith(mine)})


async def call_through(made: Process) -> None:
    """Hold a call with media in the process, with a guest's link and a written line; end it."""
    await made.ledger.assign()
    trunk, ready = await dial_agent(made.member, SESSION)
    client = CraftedClient(
        relay_of(made.actors[0]), ready.participant_id, publish=[PublishSource.MICROPHONE]
    )
    await client.connect()
    for number, words in enumerate(('"guest.invite"', '"text.send","text":"hello"')):
        trunk.link.send(Frame.MESSAGE, f'{{"type":{words},"id":"t{number}"}}'.encode())
    # A check after the relay has closed fails, and what is logged of that holds the session.
    client.stop_checking()
    await made.end(trunk)
    await made.again()
    client.close()
    made.actors.pop(0)
    made.ledger.entries.clear()
    made.ledger.reports.clear()


async def test_no_object_and_no_descriptor_of_a_session_outlives_it(stack: AsyncExitStack) -> None:
    made = await process(stack)
    # A process that has held none has no account yet.
    await call_through(made)
    before, descriptors = ours(), psutil.Process().num_fds()
    # One of each session would be more than the trunk of the first, which is still being closed.
    for _ in range(3):
        await call_through(made)
    left: Counter[str] = Counter()

    def gone() -> bool:
        nonlocal left
        made.ledger.reports.clear()
        left = ours() - before
        return not left and psutil.Process().num_fds() <= descriptors

    try:
        await until(gone, "all is gone")
    except AssertionError:
        more = psutil.Process().num_fds() - descriptors
        raise AssertionError(f"left of it: {left}, and {more} descriptors") from None


async def test_who_was_in_the_first_session_is_nobody_in_the_second(stack: AsyncExitStack) -> None:
    """As with a resume token of the first whose address is the process's of today."""
    made = await process(stack)
    await made.ledger.assign()
    trunk, ready = await dial_agent(made.member, SESSION)
    await made.end(trunk)
    await made.again()
    await made.ledger.assign(SECOND)
    written = list(made.ledger.entries)
    bound = AGENT.model_copy(update={"participant_id": ready.participant_id})
    invited = Principal(role=Role.GUEST, account_id="acc", guest_invitation_id="of the first")
    for who, code in (
        (bound, ErrorCode.UNKNOWN_PARTICIPANT),
        (invited, ErrorCode.UNKNOWN_INVITATION),
    ):
        for session_id, expected in ((SESSION, ErrorCode.UNKNOWN_SESSION), (SECOND, code)):
            with pytest.raises(SwitchboardError) as refused:
                await reach(made.member, hello_of(who, session_id=session_id))
            assert refused.value.code is expected
    assert made.ledger.entries == written


async def test_what_is_late_for_the_first_session_changes_nothing_in_the_second(
    stack: AsyncExitStack,
) -> None:
    made, loop = await process(stack), asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    call_later = loop.call_later

    def noted(*given: Any, **options: Any) -> asyncio.TimerHandle:
        timers.append(call_later(*given, **options))
        return timers[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "call_later", noted)
        await made.ledger.assign()
        trunk, _ = await dial_agent(made.member, SESSION)
        trunk.link.send(Frame.MESSAGE, b'{"type":"colleague.list","id":"l"}')
        await until(lambda: made.ledger.unanswered, "a question that is still to be answered")
        due = [each for each in timers if not each.cancelled() and each.when() > loop.time()]
        assert len(due) > 1, "such as the end of its invitation"
        await made.end(trunk)
        await made.again()

    await made.ledger.assign(SECOND)
    trunk, _ = await dial_agent(made.member, SECOND)
    told: list[dict[str, Any]] = []
    trunk.on_frame = lambda end, kind, body: told.append(json.loads(body))
    ask = '{"type":"media.publish","id":"%s","microphone":false,"camera":false,"screen":false}'
    trunk.link.send(Frame.MESSAGE, (ask % "before").encode())
    await until(lambda: [each for each in told if each.get("reply_to") == "before"], "an answer")
    told.clear()
    written = list(made.ledger.entries)
    (late,) = made.ledger.unanswered
    late.done(Colleagues(colleagues=[]).to_bytes())
    for timer in due:
        if not timer.cancelled():
            timer._run()
    trunk.link.send(Frame.MESSAGE, (ask % "after").encode())
    await until(lambda: told, "an answer")
    assert [each.get("reply_to") for each in told] == ["after"]
    assert made.ledger.entries == written
    trunk.close()


def line(answer: str, name: str) -> str:
    return next(each for each in answer.splitlines() if each.startswith(name))


async def test_another_account_never_gets_the_process(stack: AsyncExitStack) -> None:
    made = await process(stack)
    await made.ledger.assign()
    trunk, _ = await dial_agent(made.member, SESSION)
    await made.end(trunk)
    await made.again()
    with pytest.raises(Conflict) as refused:
        await made.ledger.assign(SECOND, "other")
    assert refused.value.code is ErrorCode.ALREADY_LIVE


@pytest.mark.parametrize("limit", [0, 2])
async def test_a_process_is_reused_so_often_and_then_ends(
    stack: AsyncExitStack, limit: int
) -> None:
    made = await process(stack, limit)
    for number in range(limit + 1):
        session_id = f"s-{number}"
        await made.ledger.assign(session_id)
        trunk, _ = await dial_agent(made.member, session_id)
        await made.end(trunk)
        if number < limit:
            await made.again()
    assert made.running is not None
    async with asyncio.timeout(WAIT_S):
        await made.running
    assert len(made.actors) == limit + 1


async def test_a_process_whose_session_was_taken_from_it_ends(stack: AsyncExitStack) -> None:
    made = await process(stack)
    await made.ledger.assign()
    await made.ledger.stop_session()
    assert made.running is not None
    async with asyncio.timeout(WAIT_S):
        await made.running
    assert len(made.actors) == 1


async def test_a_port_of_the_range_rests_before_it_is_taken_again(stack: AsyncExitStack) -> None:
    made = await process(stack, ports=range(41_000, 41_400))
    ports = []
    for number in range(2):
        session_id = f"s-{number}"
        await made.ledger.assign(session_id)
        trunk, _ = await dial_agent(made.member, session_id)
        ports.append(made.actors[-1].media_port)
        await made.end(trunk)
        await made.again()
    assert ports[1] > ports[0]


async def test_a_standby_freezes_what_its_process_consists_of_and_nothing_of_a_session(
    stack: AsyncExitStack,
) -> None:
    """The collector looks at none of it again: packets would wait tens of milliseconds for it."""
    gc.unfreeze()
    stack.callback(gc.unfreeze)
    made = await process(stack, settle=memory.settle)
    looked_at = gc.get_objects()
    assert not any(each is Relay or each is SessionActor for each in looked_at)
    assert any(each is made.actors[0] for each in looked_at)
    # Once more before the next, so that what the first session imported is no burden to it.
    frozen = gc.get_freeze_count()
    await made.ledger.assign()
    trunk, _ = await dial_agent(made.member, SESSION)
    late: list[object] = [object.__new__(type("Late", (), {}))]
    await made.end(trunk)
    await made.again()
    looked_at = gc.get_objects()
    assert made.settled == 2
    assert gc.get_freeze_count() > frozen
    assert not any(each is late for each in looked_at)
    assert any(each is made.actors[1] for each in looked_at)


async def test_no_session_is_frozen_with_what_stays(stack: AsyncExitStack) -> None:
    """What is frozen is collected no more: a quarter of a megabyte of each session, once."""
    stack.callback(gc.unfreeze)
    # What other tests left: frozen, or not looked at yet.
    gc.unfreeze()
    gc.collect()
    before = Counter(map(type, gc.get_objects()))
    made = await process(stack, settle=memory.settle)
    for _ in range(3):
        await made.ledger.assign()
        trunk, _ = await dial_agent(made.member, SESSION)
        made.actors.clear()
        await made.end(trunk)
        await made.again()
    gc.unfreeze()
    left = Counter(map(type, gc.get_objects()))
    left.subtract(before)
    assert (left[SessionActor], left[LiveSession], left[Relay]) == (1, 0, 0)


def test_settling_is_what_a_process_does_unless_told_otherwise() -> None:
    default = inspect.signature(Succession).parameters["settle"].default
    assert default is memory.settle
