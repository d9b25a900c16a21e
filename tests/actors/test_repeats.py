"""A backend's command that is said again: it takes effect once, whoever heard the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.session.admission import admit
from actors.session.backend import BackendCalls
from actors.session.repeats import REMEMBERED, Repeats
from broker.commands import SetMode, Tick
from broker.errors import SwitchboardError
from broker.messages.cluster.base import read
from broker.messages.cluster.deeds import SessionCommand, SessionCommandDone
from broker.messages.cluster.trunk import Principal
from broker.state import DONE_LIMIT
from broker.words import Mode, Role, Surface
from tests.actors.stage import Stage, hello_of
from tests.actors.test_takeover import succeeding

INVITE = {"deed": "invite", "mode": "video"}
INVITE_GUEST = {"deed": "invite_guest", "uses": 1, "expires_in_s": 600, "name": "Gil"}


@dataclass
class Answer:
    """What a call was answered."""

    payloads: list[bytes] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def done(self, payload: bytes) -> None:
        self.payloads.append(payload)

    def fault(self, error: SwitchboardError) -> None:
        self.codes.append(str(error.code))

    @property
    def told(self) -> SessionCommandDone:
        [payload] = self.payloads
        return read(SessionCommandDone, payload)


def command(stage: Stage, deed: dict[str, Any], command_id: str | None = "k" * 24) -> Answer:
    """Have the backend ask by a trunk of its own."""
    said = {"session_id": "s-1", "deed": deed, "command_id": command_id}
    answer = Answer()
    BackendCalls(stage.session).on_call(
        None,  # type: ignore[arg-type]  # whose call it is does not matter
        SessionCommand.method,
        SessionCommand.model_validate(said).to_bytes(),
        answer,  # type: ignore[arg-type]  # of a reply only these two are used
    )
    return answer


async def test_a_guest_is_invited_once_and_the_address_is_told_again(stage: Stage) -> None:
    await stage.talking()
    stage.ledger.open.clear()
    first, again = command(stage, INVITE_GUEST), command(stage, INVITE_GUEST)
    assert (first.payloads, again.payloads) == ([], []), "not before it is durable"
    stage.ledger.open.set()
    await stage.settle()
    assert first.told.url == again.told.url == command(stage, INVITE_GUEST).told.url
    assert stage.ledger.types().count("guest.invited") == 1
    other = command(stage, INVITE_GUEST, "o" * 24)
    unnamed = command(stage, INVITE_GUEST, None)
    await stage.settle()
    assert len({first.told.url, other.told.url, unnamed.told.url}) == 3
    assert stage.ledger.types().count("guest.invited") == 3


async def test_the_next_actor_knows_what_was_done(stage: Stage) -> None:
    agent, consumer = await stage.talking()
    stage.ask(stage.consumer(), consumer, "session.leave")
    await stage.settle()
    link, ring = command(stage, INVITE_GUEST, "l" * 24), command(stage, INVITE, "r" * 24)
    stage.ask(stage.agent, agent, "invitation.cancel")
    await stage.settle()
    made = stage.ledger.types()
    async with succeeding(stage) as successor:
        successor.connect(successor.agent, Surface.AGENT_FRAME)
        again, rung = (
            command(successor, INVITE_GUEST, "l" * 24),
            command(successor, INVITE, "r" * 24),
        )
        await successor.settle()
        assert again.told.url == link.told.url
        assert rung.told.invitation_id == ring.told.invitation_id
        for kind in ("guest.invited", "invitation.sent"):
            assert successor.ledger.types().count(kind) == made.count(kind)


@pytest.mark.parametrize("then", ["is withdrawn", "is used up", "expires"])
async def test_a_link_that_is_gone_does_not_come_back_when_it_is_asked_for_again(
    stage: Stage, then: str
) -> None:
    agent, _ = await stage.talking()
    made = command(stage, INVITE_GUEST)
    await stage.settle()
    link_id = made.told.guest_invitation_id
    assert link_id is not None
    match then:
        case "is withdrawn":
            stage.ask(stage.agent, agent, "guest.revoke", guest_invitation_id=link_id)
        case "is used up":
            guest = Principal(role=Role.GUEST, account_id="acc", guest_invitation_id=link_id)
            admit(stage.session, hello_of(guest), lambda person: None)
        case _:
            stage.now_ms += 601_000
            stage.session.do(Tick(), widens=False)
    await stage.settle()
    assert link_id not in stage.session.durable.guest_links
    # More than a session remembers of commands.
    for number in range(DONE_LIMIT + 1):
        mode = Mode.VIDEO if number % 2 else Mode.VOICE
        stage.session.do(SetMode(stage.agent.participant_id, mode), mark=f"{number}")
        # Else a slow machine's journal counts as stalled before the last.
        await stage.settle()
    async with succeeding(stage) as successor:
        told = successor.ledger.types()
        again = command(successor, INVITE_GUEST)
        await successor.settle()
        assert again.told.url == made.told.url, "the answer is what it was"
        assert successor.ledger.types() == told
        assert link_id not in successor.session.durable.guest_links


async def test_who_asks_again_before_the_answer_gets_the_same(stage: Stage) -> None:
    await stage.talking()
    made = command(stage, INVITE_GUEST)
    await stage.settle()
    revoke = {"deed": "revoke_guest", "guest_invitation_id": made.told.guest_invitation_id}
    stage.ledger.open.clear()
    first, again = command(stage, revoke, "x" * 24), command(stage, revoke, "x" * 24)
    stage.ledger.open.set()
    await stage.settle()
    assert (len(first.payloads), len(again.payloads)) == (1, 1)
    assert first.codes == again.codes == []


async def test_a_refusal_is_not_remembered(stage: Stage) -> None:
    _, consumer = await stage.talking()
    assert command(stage, INVITE).codes == ["already_live"]
    stage.ask(stage.consumer(), consumer, "session.leave")
    await stage.settle()
    answer = command(stage, INVITE)
    await stage.settle()
    assert answer.told.invitation_id


@pytest.mark.parametrize("count", [REMEMBERED, REMEMBERED + 1])
def test_so_many_answers_are_remembered(count: int) -> None:
    repeats = Repeats()
    for number in range(count):
        first = repeats.first(f"c{number}", Answer())
        assert first is not None
        first.done(b"x")
    assert (repeats.first("c0", Answer()) is None) == (count == REMEMBERED)
