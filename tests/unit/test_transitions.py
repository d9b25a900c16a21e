"""The whole matrix: every command in every situation, legal or refused with its code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker.commands import (
    AcceptInvitation,
    Admit,
    AskForScreen,
    Attach,
    CancelInvitation,
    Command,
    DeclineGuest,
    DeclineInvitation,
    Detach,
    End,
    FailInvitation,
    Grant,
    HandOver,
    InviteGuest,
    JoinGuest,
    JoinStaff,
    Leave,
    Mute,
    Prove,
    RefuseEntry,
    Remove,
    RevokeGuest,
    Ring,
    SayText,
    SendInvitation,
    SetMode,
    Tick,
)
from broker.errors import ErrorCode, SwitchboardError
from broker.words import Capability, Mode, PublishSource, Role, Surface, Way
from tests.unit.sessions import (
    AGENT,
    CLAIM,
    CONSUMER,
    GUEST,
    INVITATION,
    OTHER_AGENT,
    START,
    SUPERVISOR,
    Case,
    ringing,
    started,
    talking,
    with_guest,
)


def lobby() -> Case:
    case = talking()
    case.do(InviteGuest(AGENT, "g-1", "h", 1, 60_000))
    case.do(JoinGuest(GUEST, "g-1"))
    return case


def declined() -> Case:
    case = ringing()
    case.do(DeclineInvitation(CONSUMER, INVITATION))
    return case


def ended() -> Case:
    case = talking()
    case.do(End(AGENT))
    return case


SITUATIONS: dict[str, Callable[[], Case]] = {
    "new": Case,
    "started": started,
    "ringing": ringing,
    "declined": declined,
    "talking": talking,
    "lobby": lobby,
    "guest": with_guest,
    "ended": ended,
}

COMMANDS: dict[str, Command] = {
    "start": START,
    "ring": Ring(CONSUMER, Surface.WINDOW, CLAIM),
    "ring by a stranger": Ring("p-stranger", Surface.WINDOW, "d" * 64),
    "ring by a proved stranger": Ring("p-stranger", Surface.WINDOW, "d" * 64, verified=True),
    "prove": Prove(CONSUMER),
    "send": SendInvitation(AGENT, "i-2", Mode.VIDEO),
    "send by consumer": SendInvitation(CONSUMER, "i-2", Mode.VIDEO),
    "cancel": CancelInvitation(AGENT),
    "accept": AcceptInvitation(CONSUMER, INVITATION, Mode.VOICE, Surface.LAUNCHER),
    "accept another": AcceptInvitation(CONSUMER, "i-9", Mode.VIDEO, Surface.LAUNCHER),
    "decline": DeclineInvitation(CONSUMER, INVITATION),
    "fail": FailInvitation("no_webrtc"),
    "invite guest": InviteGuest(AGENT, "g-9", "h9", 1, 60_000),
    "invite guest by consumer": InviteGuest(CONSUMER, "g-9", "h9", 1, 60_000),
    "revoke": RevokeGuest(AGENT, "g-1"),
    "join by link": JoinGuest("p-new", "g-1"),
    "decline link": DeclineGuest("p-new", "g-1"),
    "text": SayText(CONSUMER, "hello"),
    "ask for screen": AskForScreen(AGENT, CONSUMER),
    "ask for screen by consumer": AskForScreen(CONSUMER, AGENT),
    "admit": Admit(AGENT, GUEST),
    "refuse entry": RefuseEntry(AGENT, GUEST),
    "remove consumer": Remove(AGENT, CONSUMER),
    "remove owner": Remove(AGENT, AGENT),
    "grant": Grant(AGENT, CONSUMER, frozenset({Capability.SEND_AUDIO})),
    "mute": Mute(AGENT, CONSUMER, (PublishSource.MICROPHONE,)),
    "mute by consumer": Mute(CONSUMER, AGENT, (PublishSource.MICROPHONE,)),
    "voice only": SetMode(CONSUMER, Mode.VOICE),
    "consult": JoinStaff(OTHER_AGENT, Role.AGENT),
    "take over": JoinStaff(OTHER_AGENT, Role.AGENT, way=Way.TAKE_OVER, chatting=True),
    "take over untransferred": JoinStaff(OTHER_AGENT, Role.AGENT, way=Way.TAKE_OVER),
    "supervise": JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=Way.JOIN),
    "monitor": JoinStaff(SUPERVISOR, Role.SUPERVISOR, way=Way.MONITOR),
    "monitor as agent": JoinStaff(OTHER_AGENT, Role.AGENT, way=Way.MONITOR),
    "staff as guest": JoinStaff(OTHER_AGENT, Role.GUEST),
    "hand over to consumer": HandOver(AGENT, CONSUMER),
    "hand over by consumer": HandOver(CONSUMER, AGENT),
    "attach consumer": Attach(CONSUMER),
    "detach consumer": Detach(CONSUMER),
    "leave agent": Leave(AGENT),
    "leave consumer": Leave(CONSUMER),
    "leave guest": Leave(GUEST),
    "end by agent": End(AGENT),
    "end by consumer": End(CONSUMER),
    "end by guest": End(GUEST),
    "end by backend": End(None),
    "tick": Tick(),
}

OK = "ok"
GONE = {name: ErrorCode.SESSION_ENDED for name in COMMANDS} | {
    "start": ErrorCode.ALREADY_LIVE,
    "tick": OK,
}
NOT_YET = {name: ErrorCode.UNKNOWN_SESSION for name in COMMANDS} | {"start": OK, "tick": OK}
OUTSIDE = {
    "start": ErrorCode.ALREADY_LIVE,
    "ring": OK,
    "ring by a stranger": OK,
    "ring by a proved stranger": OK,
    "prove": ErrorCode.UNKNOWN_PARTICIPANT,
    "send": ErrorCode.INVITATION_OPEN,
    "send by consumer": ErrorCode.NOT_IN_SESSION,
    "cancel": OK,
    "accept": ErrorCode.NO_INVITATION,
    "accept another": ErrorCode.NO_INVITATION,
    "decline": ErrorCode.NO_INVITATION,
    "fail": OK,
    "invite guest": OK,
    "invite guest by consumer": ErrorCode.NOT_IN_SESSION,
    "revoke": ErrorCode.UNKNOWN_INVITATION,
    "join by link": ErrorCode.UNKNOWN_INVITATION,
    "decline link": ErrorCode.UNKNOWN_INVITATION,
    "text": ErrorCode.NOT_IN_SESSION,
    "ask for screen": ErrorCode.UNKNOWN_PARTICIPANT,
    "ask for screen by consumer": ErrorCode.NOT_IN_SESSION,
    "admit": ErrorCode.UNKNOWN_PARTICIPANT,
    "refuse entry": ErrorCode.UNKNOWN_PARTICIPANT,
    "remove consumer": ErrorCode.UNKNOWN_PARTICIPANT,
    "remove owner": ErrorCode.NOT_PERMITTED,
    "grant": ErrorCode.UNKNOWN_PARTICIPANT,
    "mute": ErrorCode.UNKNOWN_PARTICIPANT,
    "mute by consumer": ErrorCode.NOT_IN_SESSION,
    "voice only": ErrorCode.NOT_IN_SESSION,
    "consult": OK,
    "take over": OK,
    "take over untransferred": ErrorCode.NOT_PERMITTED,
    "supervise": OK,
    "monitor": ErrorCode.NOT_PERMITTED,
    "monitor as agent": ErrorCode.NOT_PERMITTED,
    "staff as guest": ErrorCode.NOT_PERMITTED,
    "hand over to consumer": ErrorCode.UNKNOWN_PARTICIPANT,
    "hand over by consumer": ErrorCode.NOT_IN_SESSION,
    "attach consumer": ErrorCode.UNKNOWN_PARTICIPANT,
    "detach consumer": OK,
    "leave agent": OK,
    "leave consumer": ErrorCode.UNKNOWN_PARTICIPANT,
    "leave guest": ErrorCode.UNKNOWN_PARTICIPANT,
    "end by agent": OK,
    "end by consumer": ErrorCode.NOT_IN_SESSION,
    "end by guest": ErrorCode.NOT_IN_SESSION,
    "end by backend": OK,
    "tick": OK,
}
RINGING = OUTSIDE | {
    "ring by a stranger": ErrorCode.CONSUMER_CONFLICT,
    "accept": OK,
    "decline": OK,
}
DECLINED = RINGING | {
    "send": OK,
    "cancel": ErrorCode.INVITATION_CLOSED,
    "accept": ErrorCode.INVITATION_CLOSED,
    "decline": ErrorCode.INVITATION_CLOSED,
}
TALKING = RINGING | {
    "ring by a proved stranger": ErrorCode.CONSUMER_CONFLICT,
    "prove": OK,
    "send": ErrorCode.ALREADY_LIVE,
    "send by consumer": ErrorCode.NOT_PERMITTED,
    "cancel": ErrorCode.ANSWERED_ELSEWHERE,
    "accept": ErrorCode.ANSWERED_ELSEWHERE,
    "decline": ErrorCode.ANSWERED_ELSEWHERE,
    "invite guest by consumer": ErrorCode.NOT_PERMITTED,
    "remove consumer": OK,
    "grant": OK,
    "mute": OK,
    "mute by consumer": ErrorCode.NOT_PERMITTED,
    "voice only": OK,
    "text": OK,
    "ask for screen": OK,
    "ask for screen by consumer": ErrorCode.NOT_PERMITTED,
    "hand over to consumer": ErrorCode.NOT_PERMITTED,
    "hand over by consumer": ErrorCode.NOT_PERMITTED,
    "attach consumer": OK,
    "leave consumer": OK,
    "end by consumer": OK,
}
LOBBY = TALKING | {
    "join by link": ErrorCode.UNKNOWN_INVITATION,
    "admit": OK,
    "refuse entry": OK,
    "leave guest": OK,
}
WITH_GUEST = LOBBY | {
    "revoke": OK,
    "join by link": OK,
    "decline link": ErrorCode.NOT_PERMITTED,
    "admit": ErrorCode.ALREADY_LIVE,
    "refuse entry": ErrorCode.ALREADY_LIVE,
    "end by guest": ErrorCode.NOT_PERMITTED,
}
EXPECTED: dict[str, dict[str, str]] = {
    "new": NOT_YET,
    "started": OUTSIDE,
    "ringing": RINGING,
    "declined": DECLINED,
    "talking": TALKING,
    "lobby": LOBBY,
    "guest": WITH_GUEST,
    "ended": GONE,
}


@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_every_situation(situation: str, command: str) -> None:
    case = SITUATIONS[situation]()
    before = case.state
    assert outcome(case, COMMANDS[command]) == EXPECTED[situation][command]
    if EXPECTED[situation][command] != OK:
        assert case.state is before


def outcome(case: Case, command: Command) -> str:
    try:
        case.do(command)
    except SwitchboardError as refusal:
        return str(refusal.code) if refusal.message.endswith(".") else refusal.message
    return OK
