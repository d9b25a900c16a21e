"""Every screen and state worth looking at: what the gallery's tests show and photograph."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from playwright.async_api import Page

from broker.messages.facts import (
    ConflictsChanged,
    InvitationChanged,
    MediaQuality,
    MediaSpeaker,
    ParticipantMuted,
    ResumeRenewed,
    RosterChanged,
    ScreenRequested,
    SessionEnded,
    SessionLeft,
    SessionSaving,
    TextSaid,
    WaysChanged,
)
from broker.messages.parts import ConflictView, Difference, GuestInvitationView
from broker.words import (
    Attendance,
    EndReason,
    InvitationState,
    LeaveReason,
    Mode,
    PublishSource,
    Reach,
    Role,
    Surface,
    Way,
)
from tests.browser.broker_double import DEMO, BrokerDouble, invitation, person, reach, snapshot
from tests.browser.catalogues import catalogue

AGENT = "/agent?accountId=demo&rtSessionId=c1&agentId=7&agentName=Alex&visitorName=Maya%20Cohen"
NOWHERE = "/agent?accountId=demo"
ENGAGEMENT = "/engagement?surface=launcher&accountId=demo&conversationId=c1"
JOIN = "/join#0123456789abcdef"
LINK = GuestInvitationView(
    guest_invitation_id="g1", name="Noa", uses_left=1, expires_in_ms=3_400_000
)
PATIENCE_ENDS = """() => {
  const real = performance.now;
  performance.now = () => real.call(performance) + 60_000;
  setTimeout(() => { performance.now = real; }, 200);
}"""
"""The time has passed that a host's script may take."""
PANELS = {"check_first", "devices", "more", "people", "text"}
"""What opens a panel, which comes when it is asked for."""
Play = Callable[[BrokerDouble, Page], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scene:
    """One state of one page."""

    name: str
    path: str
    role: Role
    play: Play
    view: str = "session"
    """Which of the widget's views it shows in the end."""
    in_session: bool = True
    config: Mapping[str, str] = field(default_factory=lambda: DEMO)
    """What the account wants of its agents and consumers."""


async def _nothing(double: BrokerDouble, page: Page) -> None:
    """Say nothing: the page as it opens."""


async def _patience_ends(double: BrokerDouble, page: Page) -> None:
    """Let the time pass that a host's script may take."""
    await page.evaluate(PATIENCE_ENDS)


def say(*messages: object) -> Play:
    """The broker says this."""

    async def play(double: BrokerDouble, page: Page) -> None:
        await double.tell(*messages)  # type: ignore[arg-type]

    return play


def press(key: str, *messages: object) -> Play:
    """The same, and then somebody presses the button with these words."""

    async def play(double: BrokerDouble, page: Page) -> None:
        await double.tell(*messages)  # type: ignore[arg-type]
        language = await page.evaluate("document.documentElement.lang")
        button = catalogue(language)[key]
        await page.get_by_role("button", name=button, exact=True).click()
        if key in PANELS:
            await page.wait_for_selector(".panel:not([hidden])")

    return play


async def _text(double: BrokerDouble, page: Page) -> None:
    await press("more", PAIR)(double, page)
    await press("text")(double, page)
    await double.tell(TextSaid(seq=2, participant_id="p1", text="I cannot hear you."))


def drop(code: int, *messages: object) -> Play:
    """The broker says this, and is gone."""

    async def play(double: BrokerDouble, page: Page) -> None:
        await double.tell(*messages)  # type: ignore[arg-type]
        double.deaf = True
        await double.drop(code)

    return play


async def _wrong_code(double: BrokerDouble, page: Page) -> None:
    await page.get_by_role("textbox").fill("9999-9999")
    await page.get_by_role("textbox").press("Enter")
    await page.wait_for_selector("[role=alert]:not(:empty)")


async def _cannot_write(double: BrokerDouble, page: Page) -> None:
    await double.tell(reach(Reach.ABSENT))
    language = await page.evaluate("document.documentElement.lang")
    await page.get_by_role("button", name=catalogue(language)["link_send"]).click()
    await page.wait_for_selector(".actions input.link:focus")
    await page.get_by_role("status").get_by_text(catalogue(language)["unwritten"]).wait_for()


def _outgoing(state: InvitationState, **more: object) -> Play:
    return say(snapshot(0, [person(0)], ringing=invitation(state, **more)))


def _people(number: int) -> list:  # type: ignore[type-arg]
    return [person(each) for each in range(number)]


def _idle(of: Reach) -> Scene:
    return Scene(f"idle-{of}", AGENT, Role.AGENT, say(reach(of)), "idle", in_session=False)


PAIR = snapshot(0, _people(2))
THREE = snapshot(0, [person(0), person(1, camera=True), person(2)])
LOBBY = [*_people(2), person(2, attendance=Attendance.LOBBY)]
SUPPORT = [*_people(3), person(4, Role.AGENT)]
CONFLICT = ConflictsChanged(
    seq=2,
    conflicts=[
        ConflictView(
            conflict_id="x1",
            surface=Surface.WINDOW,
            differences=[
                Difference(what="visitor_id", known="v-104711", claimed="v-104712"),
                Difference(what="surface", known="launcher", claimed="window"),
            ],
        )
    ],
)
AGENT_SCENES = (
    Scene("waits-for-workspace", NOWHERE, Role.AGENT, _nothing, "waiting"),
    Scene("no-workspace", NOWHERE, Role.AGENT, _patience_ends, "absent"),
    _idle(Reach.REACHABLE),
    _idle(Reach.HIDDEN),
    _idle(Reach.ABSENT),
    Scene("calling-sent", AGENT, Role.AGENT, _outgoing(InvitationState.SENT, surfaces=[])),
    Scene("calling-seen", AGENT, Role.AGENT, _outgoing(InvitationState.RINGING)),
    Scene("calling-hidden", AGENT, Role.AGENT, _outgoing(InvitationState.RINGING, visible=False)),
    Scene(
        "calling-blocked",
        AGENT,
        Role.AGENT,
        _outgoing(InvitationState.RINGING, reason="camera_blocked"),
    ),
    Scene("declined", AGENT, Role.AGENT, _outgoing(InvitationState.DECLINED, expires_in_ms=0)),
    Scene("one-to-one", AGENT, Role.AGENT, say(PAIR, MediaSpeaker(seq=2, participant_id="p1"))),
    Scene("three", AGENT, Role.AGENT, say(snapshot(0, _people(3)))),
    Scene("four", AGENT, Role.AGENT, say(snapshot(0, _people(4)))),
    Scene("eight", AGENT, Role.AGENT, say(snapshot(0, _people(8)))),
    Scene("alone", AGENT, Role.AGENT, say(snapshot(0, _people(1)))),
    Scene("people", AGENT, Role.AGENT, press("people", snapshot(0, SUPPORT, links=[LINK]))),
    Scene("more", AGENT, Role.AGENT, press("more", snapshot(0, SUPPORT))),
    Scene("somebody-waits", AGENT, Role.AGENT, say(snapshot(0, LOBBY))),
    Scene(
        "quality",
        AGENT,
        Role.AGENT,
        say(PAIR, MediaQuality(seq=2, participant_id="p1", grade="poor", reason="loss")),
    ),
    Scene(
        "muted",
        AGENT,
        Role.AGENT,
        say(
            PAIR,
            ParticipantMuted(seq=2, by_participant_id="p1", sources=[PublishSource.MICROPHONE]),
        ),
    ),
    Scene(
        "screen-shared",
        AGENT,
        Role.AGENT,
        say(
            snapshot(0, [person(0), person(1, screen=True), person(2)]).model_copy(
                update={
                    "seats": [
                        *snapshot(0, _people(3)).seats,
                        snapshot(0, _people(2))
                        .seats[0]
                        .model_copy(update={"kind": "screen", "index": 0}),
                    ]
                }
            )
        ),
    ),
    Scene(
        "ways-in",
        AGENT,
        Role.AGENT,
        say(reach(Reach.REACHABLE), WaysChanged(ways=[Way.TAKE_OVER, Way.CONSULT])),
        "idle",
        in_session=False,
    ),
    Scene(
        "asked-by-name",
        AGENT,
        Role.AGENT,
        say(
            reach(Reach.REACHABLE),
            WaysChanged(ways=[Way.CONSULT], asked_by="Alex", about="Maya Cohen"),
        ),
        "idle",
        in_session=False,
    ),
    Scene("knocking", AGENT, Role.AGENT, say(snapshot(0, [], attendance="lobby")), "lobby"),
    Scene(
        "listening",
        AGENT,
        Role.SUPERVISOR,
        say(
            snapshot(
                0,
                [
                    person(0, role=Role.SUPERVISOR, owner=False, way=Way.MONITOR, microphone=False),
                    *(_people(3)[1:]),
                ],
                mode=Mode.VOICE,
            ).model_copy(update={"role": Role.SUPERVISOR, "capabilities": []})
        ),
    ),
    Scene("another-consumer", AGENT, Role.AGENT, say(PAIR, CONFLICT)),
    Scene("unsaved", AGENT, Role.AGENT, say(PAIR, SessionSaving(seq=2, saved=False))),
    Scene(
        "transferred-here",
        f"{AGENT}&chattingAgentId=7",
        Role.AGENT,
        say(snapshot(0, [person(0, owner=False), person(1)])),
    ),
    Scene("text", AGENT, Role.AGENT, _text),
    Scene("reconnecting", AGENT, Role.AGENT, drop(1012, PAIR)),
    Scene("replaced", AGENT, Role.AGENT, drop(4409, PAIR), "closed"),
    Scene(
        "over",
        AGENT,
        Role.AGENT,
        say(PAIR, SessionEnded(seq=2, session_id="s1", reason=EndReason.ENDED_BY_CONSUMER)),
        "over",
    ),
)

CROWDS = tuple(
    Scene(f"people-{number}", AGENT, Role.AGENT, say(snapshot(0, _people(number))))
    for number in (5, 6, 7)
)
"""Between four and eight, which are looked at more often."""
LIVEPERSON = {"agent_login": "liveperson"}
ENROLMENT = {"agent_login": "enrolment"}
BY_LINK = {**DEMO, "consumer_proof": "link"}
LOGIN_PAGE = "/login?flow=f"
PROOF_SCENES = (
    Scene("login", AGENT, Role.AGENT, _nothing, "login", config=LIVEPERSON),
    Scene("enrol", AGENT, Role.AGENT, _nothing, "enrol", config=ENROLMENT),
    Scene("enrol-wrong", AGENT, Role.AGENT, _wrong_code, "enrol", config=ENROLMENT),
    Scene("link", AGENT, Role.AGENT, say(reach(Reach.ABSENT)), "idle", False, BY_LINK),
    Scene("link-unwritten", AGENT, Role.AGENT, _cannot_write, "idle", False, BY_LINK),
)
"""What an agent is asked before they are believed, and how a consumer proves themselves."""
LOGIN_SCENES = (
    Scene("compare", LOGIN_PAGE, Role.AGENT, _nothing, "login"),
    Scene("done", "/login#done", Role.AGENT, _nothing, "login_done"),
    Scene("refused", "/login#refused", Role.AGENT, _nothing, "login_refused"),
)
INVITED = snapshot(1, [], attendance="invited", ringing=invitation())
CONSUMER_SCENES = (
    Scene("quiet", ENGAGEMENT, Role.CONSUMER, _nothing, "quiet", in_session=False),
    Scene("incoming", ENGAGEMENT, Role.CONSUMER, say(INVITED), "incoming"),
    Scene(
        "incoming-voice",
        ENGAGEMENT,
        Role.CONSUMER,
        say(snapshot(1, [], attendance="invited", ringing=invitation(mode=Mode.VOICE))),
        "incoming",
    ),
    Scene(
        "incoming-long-name",
        ENGAGEMENT,
        Role.CONSUMER,
        say(
            snapshot(
                1,
                [],
                attendance="invited",
                ringing=invitation(from_name="Maximiliane von Hohenlohe-Schillingsfürst"),
            )
        ),
        "incoming",
    ),
    Scene(
        "incoming-monitored",
        ENGAGEMENT,
        Role.CONSUMER,
        say(snapshot(1, [], attendance="invited", ringing=invitation(monitoring=True))),
        "incoming",
    ),
    Scene(
        "screen-asked",
        ENGAGEMENT,
        Role.CONSUMER,
        say(snapshot(1, _people(2)), ScreenRequested(seq=2, by_participant_id="p0")),
    ),
    Scene("check", ENGAGEMENT, Role.CONSUMER, press("check_first", INVITED), "incoming"),
    Scene("talking", ENGAGEMENT, Role.CONSUMER, say(snapshot(1, _people(2)))),
    Scene("more", ENGAGEMENT, Role.CONSUMER, press("more", snapshot(1, _people(3)))),
    Scene(
        "agent-reconnects",
        ENGAGEMENT,
        Role.CONSUMER,
        say(
            snapshot(1, _people(2)),
            RosterChanged(seq=2, roster=[person(0, attendance=Attendance.RECONNECTING), person(1)]),
        ),
    ),
    Scene(
        "withdrawn",
        ENGAGEMENT,
        Role.CONSUMER,
        say(
            INVITED,
            InvitationChanged(seq=2, invitation=invitation(InvitationState.CANCELLED)),
            SessionLeft(seq=3, reason=LeaveReason.LEFT),
        ),
        "over",
    ),
    Scene(
        "over",
        ENGAGEMENT,
        Role.CONSUMER,
        say(
            snapshot(1, _people(2)),
            ResumeRenewed(resume="r"),
            SessionEnded(seq=2, session_id="s1", reason=EndReason.ENDED_BY_AGENT),
        ),
        "over",
    ),
)


async def join(double: BrokerDouble, page: Page) -> None:
    """A guest says who they are, and joins."""
    await page.get_by_role("textbox").fill("Noa Levi")
    await page.get_by_role("textbox").press("Enter")
    await double.until_heard("connection.hello")


async def _lobby(double: BrokerDouble, page: Page) -> None:
    await join(double, page)
    await double.tell(snapshot(2, LOBBY, attendance="lobby"))


async def three(double: BrokerDouble, page: Page) -> None:
    """A guest is one of three."""
    await join(double, page)
    await double.tell(snapshot(2, _people(3)))


GUEST_SCENES = (
    Scene("no-code", "/join", Role.GUEST, _nothing, "none"),
    Scene("join", JOIN, Role.GUEST, _nothing, "join"),
    Scene("lobby", JOIN, Role.GUEST, _lobby, "lobby"),
    Scene("three", JOIN, Role.GUEST, three),
)
