"""What goes wrong or is missing, and what is said of it: scenes for the long run of the gallery."""

from __future__ import annotations

from collections.abc import Sequence

from playwright.async_api import Page

from broker.errors import ErrorCode
from broker.messages.facts import (
    GuestInvited,
    RequestRefused,
    RosterChanged,
    SessionEnded,
    SessionLeft,
    SessionWaiting,
)
from broker.words import EndReason, InvitationState, LeaveReason, Reach, Role
from tests.browser.broker_double import BrokerDouble, invitation, painted, person, reach, snapshot
from tests.browser.gallery import AGENT, ENGAGEMENT, LOBBY, PAIR, Play, Scene, drop, press, say

TURNED_AWAY = RequestRefused(
    reply_to="0", code=ErrorCode.UNKNOWN_ACCOUNT, message="No such account.", retryable=False
)
NAMELESS = AGENT.partition("&visitorName")[0]
LINK = "https://video.example.com/join#0123456789abcdef0123456789abcdef"
SAY_TROUBLE = """([microphone, camera]) => {
  const { client } = document.querySelector('switchboard-agent, switchboard-engagement');
  client.media.troubles = { microphone, camera, screen: null };
  // What cannot be opened is not sent.
  if (microphone) client.media.tracks.microphone = null;
  if (camera) Object.assign(client.media, { mirror: null }).tracks.camera = null;
  client.dispatchEvent(new Event('change'));
}"""


def _devices(me: int, microphone: str | None, camera: str | None) -> Play:
    async def play(double: BrokerDouble, page: Page) -> None:
        await double.tell(snapshot(me, [person(0), person(1)]))
        await double.until_heard("media.publish")
        await page.evaluate(SAY_TROUBLE, [microphone, camera])
        await painted(page)

    return play


async def _two_strips(double: BrokerDouble, page: Page) -> None:
    await _devices(0, "refused", "refused")(double, page)
    await double.tell(RosterChanged(seq=2, roster=LOBBY))


async def _link_made(double: BrokerDouble, page: Page) -> None:
    await press("people", PAIR)(double, page)
    await press("make_link")(double, page)
    request = await double.until_heard("guest.invite")
    made = GuestInvited(
        reply_to=request["id"], seq=2, guest_invitation_id="g1", url=LINK, expires_in_ms=3_600_000
    )
    await double.tell(made)


def _refused(code: ErrorCode) -> Play:
    async def play(double: BrokerDouble, page: Page) -> None:
        await press("start_video", reach(Reach.REACHABLE))(double, page)
        request = await double.until_heard("session.start")
        await double.tell(
            RequestRefused(reply_to=request["id"], code=code, message="No.", retryable=False)
        )

    return play


async def _waiting(double: BrokerDouble, page: Page) -> None:
    await press("start_video", reach(Reach.REACHABLE))(double, page)
    await double.until_heard("session.start")
    await double.tell(SessionWaiting(within_ms=60_000))


def _outcomes(reasons: Sequence[EndReason | LeaveReason]) -> tuple[Scene, ...]:
    scenes = []
    for reason in reasons:
        over = (
            SessionEnded(seq=2, session_id="s1", reason=reason)
            if isinstance(reason, EndReason)
            else SessionLeft(seq=2, reason=reason)
        )
        for role, path, me in ((Role.AGENT, AGENT, 0), (Role.CONSUMER, ENGAGEMENT, 1)):
            play = say(snapshot(me, [person(0), person(1)]), over)
            scenes.append(Scene(f"over-{reason}", path, role, play, "over"))
    return tuple(scenes)


TROUBLE_SCENES = (
    *(
        Scene(f"devices-{microphone or camera}", AGENT, Role.AGENT, _devices(0, microphone, camera))
        for microphone, camera in (
            ("refused", "refused"),
            ("blocked_by_frame", "blocked_by_frame"),
            ("no_device", None),
            (None, "busy"),
            ("insecure", "insecure"),
            ("no_webrtc", "no_webrtc"),
        )
    ),
    Scene("two-strips", AGENT, Role.AGENT, _two_strips),
    Scene("devices-busy", ENGAGEMENT, Role.CONSUMER, _devices(1, "busy", "busy")),
    Scene(
        "nameless",
        NAMELESS,
        Role.AGENT,
        say(reach(Reach.REACHABLE)),
        "idle",
        in_session=False,
    ),
    *(
        Scene(
            f"nameless-{state}",
            NAMELESS,
            Role.AGENT,
            say(snapshot(0, [person(0)], ringing=invitation(state))),
        )
        for state in (InvitationState.RINGING, InvitationState.DECLINED)
    ),
    Scene(
        "no-capacity", AGENT, Role.AGENT, _refused(ErrorCode.NO_CAPACITY), "idle", in_session=False
    ),
    Scene("no-room-yet", AGENT, Role.AGENT, _waiting, "idle", in_session=False),
    Scene("turned-away", AGENT, Role.AGENT, drop(4403, TURNED_AWAY), "closed", in_session=False),
    Scene("turned-away", ENGAGEMENT, Role.CONSUMER, drop(4403), "shut", in_session=False),
    Scene("link-made", AGENT, Role.AGENT, _link_made),
    *_outcomes(
        (
            EndReason.AGENT_ABSENT,
            EndReason.TAKEOVER_EXHAUSTED,
            LeaveReason.REMOVED,
            LeaveReason.GRACE_OVER,
        )
    ),
)
