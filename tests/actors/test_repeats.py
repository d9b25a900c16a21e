"""A backend's command that is said again: it takes effect once, whoever heard the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from actors.session.backend import BackendCalls
from actors.session.repeats import REMEMBERED, Repeats
from broker.errors import SwitchboardError
from broker.messages.cluster.base import read
from broker.messages.cluster.deeds import SessionCommand, SessionCommandDone
from broker.words import Surface
from tests.actors.stage import Stage
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
    _, consumer = await stage.talking()
    stage.ask(stage.consumer(), consumer, "session.leave")
    await stage.settle()
    link, ring = command(stage, INVITE_GUEST, "l" * 24), command(stage, INVITE, "r" * 24)
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
