"""Nobody takes part, or waits in the lobby, without a connection or a time at which that ends."""

from __future__ import annotations

import random

import pytest

from actors.session.arrivals import Arrivals
from actors.session.trunks import Trunks
from broker.commands import InviteGuest
from broker.deadlines import next_deadline
from broker.messages.cluster.trunk import Principal, TrunkHello
from broker.messages.parts import EngagementIds
from broker.policy import Policy
from broker.words import Attendance, Role, SessionPhase, Surface, Way
from tests.actors.stage import AGENT, CONSUMER, Stage, Trunk, hello_of

GRACE_MS = 60_000
GUEST = Principal(role=Role.GUEST, account_id="acc", name="Kim", guest_invitation_id="g")
COLLEAGUE = Principal(role=Role.AGENT, account_id="acc", agent_id="8", name="Ben", verified=True)
SUPERVISOR = Principal(role=Role.SUPERVISOR, account_id="acc", agent_id="9", verified=True)
CHATTING = EngagementIds(account_id="acc", rt_session_id="eng", agent_id="8", chatting_agent_id="8")
TAKES_OVER = hello_of(COLLEAGUE, way=Way.TAKE_OVER, engagement=CHATTING)
COMES = {
    "guest": hello_of(GUEST, surface=Surface.GUEST_PAGE, token_id="t-1"),
    "agent who takes over": TAKES_OVER,
    "agent who asks to help": hello_of(COLLEAGUE, way=Way.CONSULT),
    "supervisor": hello_of(SUPERVISOR, way=Way.JOIN),
}


class Door:
    """Where the trunks of a stage's session come in."""

    def __init__(self, stage: Stage) -> None:
        self._arrivals = Arrivals(Trunks(10), None)
        self._arrivals.expect(stage.session)
        self._arrivals.begin()

    def knock(self, hello: TrunkHello) -> Trunk:
        trunk = Trunk(hello.surface)
        self._arrivals.on_hello(trunk.end, hello.to_bytes())
        return trunk

    def cut(self, trunk: Trunk) -> None:
        trunk.end.link.abort()
        trunk.end.link.connection_lost(None)


@pytest.fixture(params=[True, False], ids=["lobby", "no lobby"])
def policy(request: pytest.FixtureRequest) -> Policy:
    return Policy(
        guest_lobby=request.param, consult_lobby=request.param, reconnect_grace_ms=GRACE_MS
    )


@pytest.fixture
async def begun(stage: Stage) -> Stage:
    await stage.talking()
    stage.session.do(InviteGuest(stage.agent.participant_id, "g", "h", 1, 600_000))
    await stage.settle()
    return stage


def newcomer(stage: Stage, hello: TrunkHello) -> str:
    """The participant that this hello made."""
    [found] = [
        person.participant_id
        for person in stage.session.people.values()
        if person.principal.role is hello.principal.role
        and person.principal.agent_id == hello.principal.agent_id
        and person.participant_id in stage.session.durable.participants
    ]
    return found


def require_nobody_forgotten(stage: Stage) -> None:
    """The invariant of this file."""
    session = stage.session
    for each in session.decided.participants.values():
        if each.attendance in (Attendance.PRESENT, Attendance.LOBBY):
            here = session.people[each.participant_id].connections
            assert here or each.participant_id in session.comings._expected, each
        elif each.attendance is Attendance.RECONNECTING:
            deadline = next_deadline(session.decided)
            assert deadline is not None
            assert deadline <= each.since_ms + GRACE_MS


def pass_grace(stage: Stage) -> None:
    """Let the grace time pass for those in the session and those before it."""
    for participant_id, handle in tuple(stage.session.comings._expected.items()):
        handle.cancel()
        stage.session.comings._on_not_there(participant_id)
    stage.now_ms += GRACE_MS
    stage.session._on_deadline()


@pytest.mark.parametrize("who", COMES)
async def test_who_is_cut_off_while_the_join_is_saved_is_out_after_the_grace_time(
    begun: Stage, who: str
) -> None:
    stage, door = begun, Door(begun)
    stage.ledger.open.clear()
    door.cut(door.knock(COMES[who]))
    stage.ledger.open.set()
    await stage.settle()
    participant_id = newcomer(stage, COMES[who])
    require_nobody_forgotten(stage)
    pass_grace(stage)
    await stage.settle()
    assert stage.session.durable.participants[participant_id].attendance is Attendance.LEFT


@pytest.mark.parametrize("again", ["while it is saved", "after that"])
@pytest.mark.parametrize("who", COMES)
async def test_who_was_cut_off_is_the_same_person_on_coming_again(
    begun: Stage, who: str, again: str
) -> None:
    stage, door = begun, Door(begun)
    stage.ledger.open.clear()
    door.cut(door.knock(COMES[who]))
    if again == "after that":
        stage.ledger.open.set()
        await stage.settle()
    trunk = door.knock(COMES[who].model_copy(update={"connection_id": "c2"}))
    assert again == "after that" or trunk.heard == [], "nothing of what is not saved"
    stage.ledger.open.set()
    await stage.settle()
    participant_id = newcomer(stage, COMES[who])
    participant = stage.session.durable.participants[participant_id]
    snapshot = trunk.last("session.snapshot")
    assert snapshot["participant_id"] == participant_id
    assert snapshot["attendance"] in ("present", "lobby")
    require_nobody_forgotten(stage)
    pass_grace(stage)
    await stage.settle()
    assert stage.session.durable.participants[participant_id] == participant


async def test_a_join_that_ends_in_a_move_is_told_to_come_again(begun: Stage) -> None:
    stage, door = begun, Door(begun)
    stage.ledger.open.clear()
    trunk = door.knock(TAKES_OVER)
    stage.ledger.open.set()
    assert await stage.session.freeze(5.0)
    assert trunk.end.link.closed, "the gateway looks for the session again"
    participant_id = newcomer(stage, TAKES_OVER)
    assert not stage.session.people[participant_id].connections
    stage.session.thaw()
    require_nobody_forgotten(stage)
    again = door.knock(TAKES_OVER)
    await stage.settle()
    assert again.last("session.snapshot")["attendance"] in ("present", "lobby")


async def test_an_owner_who_never_connects_is_away_after_the_grace_time(stage: Stage) -> None:
    await stage.begin_unattended()
    consumer = stage.connect(stage.consumer(), Surface.LAUNCHER)
    await stage.settle()
    stage.accept(consumer)
    await stage.settle()
    require_nobody_forgotten(stage)
    pass_grace(stage)
    await stage.settle()
    assert stage.session.durable.participants[stage.agent.participant_id].attendance in (
        Attendance.RECONNECTING,
        Attendance.LEFT,
    )
    assert stage.session.durable.agentless_ms is not None
    stage.now_ms += stage.session.decided.policy.absent_agent_ms
    stage.session._on_deadline()
    await stage.settle()
    assert stage.session.durable.phase is SessionPhase.ENDED


@pytest.mark.parametrize("seed", range(6))
async def test_whoever_comes_and_goes_at_any_moment_is_not_forgotten(
    begun: Stage, seed: int
) -> None:
    """Random comings, losses, stalls of the ledger, freezing and thawing."""
    stage, door, chance = begun, Door(begun), random.Random(seed)
    hellos = [*COMES.values(), hello_of(AGENT), hello_of(CONSUMER, surface=Surface.LAUNCHER)]
    trunks: list[Trunk] = []
    for step in range(80):
        match chance.randrange(6):
            case 0 | 1:
                hello = chance.choice(hellos).model_copy(update={"connection_id": f"x{step}"})
                if chance.random() < 0.5:
                    stage.ledger.open.clear()
                trunks.append(door.knock(hello))
                if chance.random() < 0.5:
                    door.cut(trunks.pop())
            case 2 if trunks:
                door.cut(trunks.pop(chance.randrange(len(trunks))))
            case 3:
                stage.ledger.open.clear()
            case 4:
                stage.ledger.open.set()
            case 5:
                stage.ledger.open.set()
                await stage.session.freeze(5.0)
                if trunks:
                    door.cut(trunks.pop())
                stage.session.thaw()
            case _:
                stage.now_ms += 2_000
        await stage.settle()
        assert not stage.session.over
        if stage.ledger.open.is_set():
            require_nobody_forgotten(stage)
