"""While the ledger is away: what reduces exposure acts at once, what widens it is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from actors.session.admission import admit
from actors.session.backend import BackendCalls
from broker.commands import InviteGuest
from broker.errors import ErrorCode, SwitchboardError, Unavailable
from broker.messages import CLIENT_MESSAGES
from broker.messages.cluster.deeds import Deed, SessionCommand
from broker.messages.cluster.trunk import Principal
from broker.policy import Policy
from broker.words import Role, Surface, Way
from tests.actors.stage import Stage, Trunk, hello_of
from tests.actors.test_conflicts import asked, stranger
from tests.actors.test_staff import come

HELPER, GUEST, LINK = "p-agent", "p-guest", "link"
NOT_DURABLE = ""
"""What stands in no journal."""

REDUCING: dict[str, tuple[str, str, dict[str, object], str]] = {
    "end": ("agent", "session.end", {}, "session.ended"),
    "leave": ("consumer", "session.leave", {}, "participant.left"),
    "decline": ("rung", "invitation.decline", {}, "invitation.declined"),
    "cancel": ("ringing", "invitation.cancel", {}, "invitation.cancelled"),
    "mute": (
        "agent",
        "participant.mute",
        {"participant_id": HELPER, "sources": ["camera"]},
        NOT_DURABLE,
    ),
    "camera off": (
        "consumer",
        "media.publish",
        {"microphone": True, "camera": False, "screen": False},
        NOT_DURABLE,
    ),
    "voice": ("consumer", "media.mode", {"mode": "voice"}, "participant.mode_changed"),
    "remove": ("agent", "participant.remove", {"participant_id": HELPER}, "participant.left"),
    "refuse": ("agent", "participant.refuse", {"participant_id": GUEST}, "participant.left"),
    "revoke": ("agent", "guest.revoke", {"guest_invitation_id": LINK}, "guest.revoked"),
    "say": ("agent", "text.send", {"text": "A moment, please."}, NOT_DURABLE),
    "ask for a screen": ("agent", "screen.request", {"participant_id": HELPER}, NOT_DURABLE),
    "keep out": ("agent", "conflict.dismiss", {}, NOT_DURABLE),
}
"""Who says what, and the event that it leads to."""

WIDENING: dict[str, tuple[str, str, dict[str, object]]] = {
    "accept": ("rung", "invitation.accept", {"mode": "voice"}),
    "invite": ("agent", "invitation.send", {"mode": "video"}),
    "admit": ("agent", "participant.admit", {"participant_id": GUEST}),
    "grant": (
        "agent",
        "participant.grant",
        {"participant_id": HELPER, "capabilities": ["send_audio"]},
    ),
    "hand over": ("agent", "session.hand_over", {"participant_id": HELPER}),
    "a link": ("agent", "guest.invite", {}),
    "video": ("consumer", "media.mode", {"mode": "video"}),
    "another way": ("helper", "session.join", {"way": "monitor"}),
    "let in": ("agent", "conflict.admit", {}),
}

NEUTRAL = frozenset(
    {
        # Of the connection, and of what host, surface and devices are like.
        "connection.hello",
        "connection.ping",
        "engagement.update",
        "surface.update",
        "invitation.trouble",
        # How media are carried and shown; whose, that is for the rights.
        "media.offer",
        "media.view",
        "media.report",
        "media.close",
        # Nothing to do with who is in this session.
        "session.start",
        "colleague.list",
        "colleague.ask",
        "colleague.decline",
    }
)
"""What exposes nobody more than before, whatever it says."""

BACKEND_REDUCING: dict[str, tuple[dict[str, object], str]] = {
    "end": ({}, "session.ended"),
    "revoke_guest": ({"guest_invitation_id": LINK}, "guest.revoked"),
    "remove": ({"participant_id": HELPER}, "participant.left"),
    "refuse_entry": ({"participant_id": GUEST}, "participant.left"),
    "cancel_invitation": ({}, "invitation.cancelled"),
    "mute": ({"participant_id": HELPER, "sources": ["camera"]}, NOT_DURABLE),
}

BACKEND_WIDENING: dict[str, dict[str, object]] = {
    "invite": {"mode": "video"},
    "invite_guest": {"uses": 1, "expires_in_s": 60},
    "admit": {"participant_id": GUEST},
    "grant": {"participant_id": HELPER, "capabilities": ["send_audio"]},
}

COMING = {
    "a guest": Principal(
        role=Role.GUEST, account_id="acc", name="Gwen", guest_invitation_id=LINK, verified=True
    ),
    "a listener": Principal(role=Role.SUPERVISOR, account_id="acc", agent_id="9", name="Sam"),
}


@pytest.fixture
def policy() -> Policy:
    return Policy(silent_monitoring=True)


class Scene:
    """A call of agent, consumer and a second agent, with a guest in the lobby, an open link and a
    stranger who says they are the consumer; or one that still rings."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.invitation = self.conflict = ""
        self.trunks: dict[str, Trunk] = {}

    async def begin(self, *, rings: bool) -> None:
        stage = self.stage
        if rings:
            agent, consumer = await stage.ringing()
            self.invitation = consumer.last("session.snapshot")["invitation"]["invitation_id"]
            self.trunks = {"ringing": agent, "rung": consumer}
            return
        agent, consumer = await stage.talking()
        await stage.guest()
        helper, trunk = await come(stage, Role.AGENT, Way.CONSULT)
        stage.ask(stage.agent, agent, "participant.admit", participant_id=helper.participant_id)
        stage.session.do(InviteGuest(stage.agent.participant_id, LINK, "hash", 1, 60_000))
        await stage.settle()
        stranger(stage, 1)
        self.conflict = asked(agent)[0]["conflict_id"]
        self.trunks = {"agent": agent, "consumer": consumer, "helper": trunk}

    def say(self, who: str, type_: str, fields: dict[str, object]) -> dict[str, Any]:
        """Ask for something; returns the answer, which must come at once."""
        trunk, stage = self.trunks[who], self.stage
        person = {
            "helper": stage.session.people.get(HELPER),
            "consumer": stage.consumer(),
            "rung": stage.consumer(),
        }.get(who, stage.agent)
        assert person is not None
        if type_ in ("invitation.accept", "invitation.decline"):
            fields = {**fields, "invitation_id": self.invitation}
        if type_ in ("conflict.admit", "conflict.dismiss"):
            fields = {**fields, "conflict_id": self.conflict}
        request_id = stage.ask(person, trunk, type_, **fields)
        return next(each for each in trunk.heard if each.get("reply_to") == request_id)

    async def comes_back(self) -> None:
        self.stage.ledger.reachable = True
        await self.stage.settle()


@pytest.fixture
def scene(stage: Stage) -> Scene:
    return Scene(stage)


def test_every_message_of_a_widget_is_one_or_the_other_or_neither() -> None:
    reducing, widening = (
        {type_ for _, type_, *_ in table.values()} for table in (REDUCING, WIDENING)
    )
    assert reducing & widening == {"media.mode"}, "by what it says"
    assert not NEUTRAL & (reducing | widening)
    kinds = {kind.model_fields["type"].default for kind in CLIENT_MESSAGES}
    assert NEUTRAL | reducing | widening == kinds


@pytest.mark.parametrize("deed", REDUCING)
async def test_what_reduces_exposure_is_done_at_once_and_journalled_later(
    scene: Scene, deed: str
) -> None:
    who, type_, fields, event = REDUCING[deed]
    await scene.begin(rings=who in ("rung", "ringing"))
    saved = list(scene.stage.ledger.types())
    scene.stage.ledger.reachable = False
    assert scene.say(who, type_, fields)["type"] == "request.done"
    assert scene.stage.ledger.types() == saved
    await scene.comes_back()
    assert scene.stage.ledger.types()[len(saved) :] == ([event] if event else [])


@pytest.mark.parametrize("deed", WIDENING)
async def test_what_widens_exposure_is_refused_as_retryable_and_never_done(
    scene: Scene, deed: str
) -> None:
    who, type_, fields = WIDENING[deed]
    await scene.begin(rings=who == "rung")
    saved = list(scene.stage.ledger.types())
    scene.stage.ledger.reachable = False
    refusal = scene.say(who, type_, fields)
    assert (refusal["type"], refusal["code"]) == ("request.refused", "ledger_away")
    assert refusal["retryable"] is True
    await scene.comes_back()
    assert scene.stage.ledger.types() == saved


@pytest.mark.parametrize("who", COMING)
async def test_who_comes_in_is_refused_as_retryable_and_not_in(scene: Scene, who: str) -> None:
    await scene.begin(rings=False)
    people = set(scene.stage.session.people)
    scene.stage.ledger.reachable = False
    way = Way.MONITOR if who == "a listener" else None
    hello = hello_of(COMING[who], way=way, surface=Surface.GUEST_PAGE)
    with pytest.raises(Unavailable) as refusal:
        admit(scene.stage.session, hello, lambda person: None)
    assert (refusal.value.code, refusal.value.retryable) == (ErrorCode.LEDGER_AWAY, True)
    await scene.comes_back()
    assert set(scene.stage.session.people) == people


class Answer:
    """What a backend's call is answered."""

    def __init__(self) -> None:
        self.refusal: SwitchboardError | None = None
        self.is_done = False

    def done(self, body: bytes) -> None:
        self.is_done = True

    def fault(self, error: SwitchboardError) -> None:
        self.refusal = error


def by_backend(stage: Stage, deed: str, fields: dict[str, object]) -> Answer:
    ask = SessionCommand.model_validate({"session_id": "s-1", "deed": {"deed": deed, **fields}})
    answer = Answer()
    BackendCalls(stage.session).on_call(
        None,  # type: ignore[arg-type]  # whose call it is does not matter
        SessionCommand.method,
        ask.to_bytes(),
        answer,  # type: ignore[arg-type]  # of a reply only these two are used
    )
    return answer


def test_every_deed_of_a_backend_that_changes_something_is_one_or_the_other() -> None:
    deeds = {kind.model_fields["deed"].default for kind in get_args(get_args(Deed)[0])}
    assert deeds - {"list", "media"} == BACKEND_REDUCING.keys() ^ BACKEND_WIDENING.keys()


@pytest.mark.parametrize("deed", BACKEND_REDUCING)
async def test_a_backend_may_reduce_and_it_is_journalled_later(scene: Scene, deed: str) -> None:
    fields, event = BACKEND_REDUCING[deed]
    await scene.begin(rings=deed == "cancel_invitation")
    saved = list(scene.stage.ledger.types())
    scene.stage.ledger.reachable = False
    assert by_backend(scene.stage, deed, fields).is_done
    assert scene.stage.ledger.types() == saved
    await scene.comes_back()
    assert scene.stage.ledger.types()[len(saved) :] == ([event] if event else [])


@pytest.mark.parametrize("deed", BACKEND_WIDENING)
async def test_a_backend_may_not_widen(scene: Scene, deed: str) -> None:
    await scene.begin(rings=False)
    saved = list(scene.stage.ledger.types())
    scene.stage.ledger.reachable = False
    refusal = by_backend(scene.stage, deed, BACKEND_WIDENING[deed]).refusal
    assert refusal is not None
    assert (refusal.code, refusal.retryable) == (ErrorCode.LEDGER_AWAY, True)
    await scene.comes_back()
    assert scene.stage.ledger.types() == saved
