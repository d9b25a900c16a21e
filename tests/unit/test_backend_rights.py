"""What the brand's backend may do in every situation, and what it may not."""

from __future__ import annotations

import pytest

from broker.commands import (
    CancelInvitation,
    Command,
    End,
    Grant,
    HandOver,
    InviteGuest,
    Mute,
    Remove,
    RevokeGuest,
)
from broker.errors import ErrorCode
from broker.events import SessionEnded
from broker.rights import BACKEND
from broker.words import Capability, EndReason, PublishSource
from tests.unit.sessions import AGENT, CONSUMER, GUEST, talking, with_guest
from tests.unit.test_transitions import OK, SITUATIONS, outcome

COMMANDS: dict[str, Command] = {
    "end": End(BACKEND),
    "invite": InviteGuest(BACKEND, "g-9", "h9", 1, 60_000),
    "revoke": RevokeGuest(BACKEND, "g-1"),
    "remove": Remove(BACKEND, GUEST),
    "remove owner": Remove(BACKEND, AGENT),
    "mute": Mute(BACKEND, CONSUMER, (PublishSource.MICROPHONE,)),
    "grant": Grant(BACKEND, CONSUMER, frozenset(Capability)),
    "grant owner": Grant(BACKEND, AGENT, frozenset()),
    "cancel": CancelInvitation(BACKEND),
    "hand over": HandOver(BACKEND, AGENT),
}
ALONE = {
    "end": OK,
    "invite": OK,
    "revoke": ErrorCode.UNKNOWN_INVITATION,
    "remove": ErrorCode.UNKNOWN_PARTICIPANT,
    "remove owner": ErrorCode.NOT_PERMITTED,
    "mute": ErrorCode.UNKNOWN_PARTICIPANT,
    "grant": ErrorCode.UNKNOWN_PARTICIPANT,
    "grant owner": ErrorCode.NOT_PERMITTED,
    "cancel": ErrorCode.NOT_IN_SESSION,
    "hand over": ErrorCode.NOT_IN_SESSION,
}
TALKING = ALONE | {"mute": OK, "grant": OK}
EXPECTED: dict[str, dict[str, str]] = {
    "new": {name: ErrorCode.UNKNOWN_SESSION for name in COMMANDS},
    "started": ALONE,
    "ringing": ALONE,
    "declined": ALONE,
    "talking": TALKING,
    "lobby": TALKING,
    "guest": TALKING | {"revoke": OK, "remove": OK},
    "ended": {name: ErrorCode.SESSION_ENDED for name in COMMANDS},
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_backend_in_every_situation(situation: str, command: str) -> None:
    case = SITUATIONS[situation]()
    assert outcome(case, COMMANDS[command]) == EXPECTED[situation][command]


def test_an_end_by_the_backend_says_so() -> None:
    ended = talking().do(End(BACKEND))[-1]
    assert isinstance(ended, SessionEnded)
    assert (ended.reason, ended.by) == (EndReason.ENDED_BY_BACKEND, None)


def test_the_backend_is_nobody_in_the_session() -> None:
    case = with_guest()
    case.do(Remove(BACKEND, GUEST))
    assert BACKEND not in case.state.participants
