"""What the brand's backend may do in every situation, and what it may not."""

from __future__ import annotations

import pytest

from broker.commands import (
    Admit,
    CancelInvitation,
    Command,
    End,
    Grant,
    HandOver,
    InviteGuest,
    Mute,
    RefuseEntry,
    Remove,
    RevokeGuest,
    SendInvitation,
)
from broker.errors import ErrorCode
from broker.events import SessionEnded
from broker.rights import BACKEND
from broker.words import Capability, EndReason, Mode, PublishSource
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
    "ring": SendInvitation(BACKEND, "i-9", Mode.VIDEO),
    "cancel": CancelInvitation(BACKEND),
    "admit": Admit(BACKEND, GUEST),
    "refuse": RefuseEntry(BACKEND, GUEST),
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
    "ring": ErrorCode.INVITATION_OPEN,
    "cancel": OK,
    "admit": ErrorCode.UNKNOWN_PARTICIPANT,
    "refuse": ErrorCode.UNKNOWN_PARTICIPANT,
    "hand over": ErrorCode.NOT_IN_SESSION,
}
TALKING = ALONE | {
    "mute": OK,
    "grant": OK,
    "ring": ErrorCode.ALREADY_LIVE,
    "cancel": ErrorCode.ANSWERED_ELSEWHERE,
}
EXPECTED: dict[str, dict[str, str]] = {
    "new": {name: ErrorCode.UNKNOWN_SESSION for name in COMMANDS},
    "started": ALONE,
    "ringing": ALONE,
    "declined": ALONE | {"ring": OK, "cancel": ErrorCode.INVITATION_CLOSED},
    "talking": TALKING,
    "lobby": TALKING | {"admit": OK, "refuse": OK},
    "guest": TALKING
    | {
        "revoke": OK,
        "remove": OK,
        "admit": ErrorCode.ALREADY_LIVE,
        "refuse": ErrorCode.ALREADY_LIVE,
    },
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
