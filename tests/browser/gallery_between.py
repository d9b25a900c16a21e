"""Before a session, after it, and while it goes on in another window: screens that pass quickly."""

from __future__ import annotations

from playwright.async_api import Page, Route

from broker.messages.facts import ColleagueListed, MediaTransport, ResumeRenewed, SessionEnded
from broker.messages.parts import ColleagueView
from broker.words import Asked, EndReason, Reach, Role
from tests.browser.broker_double import NAMES, BrokerDouble, painted, person, reach, snapshot
from tests.browser.catalogues import catalogue
from tests.browser.gallery import (
    AGENT,
    ENGAGEMENT,
    JOIN,
    LOGIN_PAGE,
    PAIR,
    Play,
    Scene,
    drop,
    join,
    press,
    say,
    three,
)

OFFER_ADDRESS = """async (address) => {
  const { src } = document.querySelector('script[type=module]');
  const { offer } = await import(new URL('../views/no-window.js', src).href);
  offer(address);
}"""
"""What a frame's button does where the browser opens no window."""
OVER = SessionEnded(seq=2, session_id="s1", reason=EndReason.ENDED_BY_AGENT)
RATEABLE = (ResumeRenewed(resume="r"), OVER)
OTHERS_CLOSED = MediaTransport(seq=2, epoch=1, transport_id="another", state="closed")
"""The window in which the session went on is closed."""


def after(*plays: Play) -> Play:
    """One after the other."""

    async def play(double: BrokerDouble, page: Page) -> None:
        for each in plays:
            await each(double, page)

    return play


async def _no_answer(double: BrokerDouble, page: Page) -> None:
    # Before a message of the new widget can have come.
    double.deaf = True
    await double.until_heard("connection.hello")


async def _no_answer_and_gone(double: BrokerDouble, page: Page) -> None:
    await _no_answer(double, page)
    await double.drop(1012)


async def _settings(double: BrokerDouble, page: Page) -> None:
    await press("more", PAIR)(double, page)
    await press("devices")(double, page)


async def _colleagues(double: BrokerDouble, page: Page) -> None:
    await press("people", PAIR)(double, page)
    request = await double.until_heard("colleague.list")
    listed = [
        ColleagueView(agent_id=str(number), name=name, asked=asked)
        for number, (name, asked) in enumerate(
            zip(NAMES[3:], (Asked.FREE, Asked.ASKED, Asked.DECLINED), strict=False)
        )
    ]
    await double.tell(ColleagueListed(reply_to=request["id"], seq=2, colleagues=listed))
    await page.get_by_text(NAMES[5]).scroll_into_view_if_needed()


async def _no_window(double: BrokerDouble, page: Page) -> None:
    await double.tell(reach(Reach.REACHABLE))
    await page.evaluate(OFFER_ADDRESS, AGENT)
    await page.wait_for_selector(".panel:not([hidden])")


async def _used(double: BrokerDouble, page: Page) -> None:
    await double.tell()
    # Of a link that serves nobody the code stays in the address.
    await page.evaluate("history.replaceState(null, '', '#0123456789abcdef')")
    await drop(4403)(double, page)


async def _differs(double: BrokerDouble, page: Page) -> None:
    language = await page.evaluate("document.documentElement.lang")
    await page.get_by_role("button", name=catalogue(language)["login_differs"]).click()


async def _thanks(double: BrokerDouble, page: Page) -> None:
    async def take(route: Route) -> None:
        await route.fulfill(json={})

    language = await page.evaluate("document.documentElement.lang")
    words = catalogue(language)
    await page.route("**/v1/ratings", take)
    await double.tell(snapshot(1, [person(0), person(1)]), *RATEABLE)
    await page.locator(".rating label").nth(3).click()
    await page.locator(".rating").get_by_role("button", name=words["send"]).click()
    await page.get_by_role("status").get_by_text(words["rate_thanks"]).wait_for()
    await page.unroute("**/v1/ratings")
    await painted(page)


def _away(me: int, *messages: object) -> Play:
    people = [person(0), person(1), person(2)]
    return say(snapshot(me, people, attendance="elsewhere"), *messages)


BETWEEN_SCENES = (
    Scene("connecting", AGENT, Role.AGENT, _no_answer, "connecting"),
    Scene("back-soon", AGENT, Role.AGENT, _no_answer_and_gone, "is_back_soon"),
    Scene("settings", AGENT, Role.AGENT, _settings),
    Scene("colleagues", AGENT, Role.AGENT, _colleagues),
    Scene("no-window", AGENT, Role.AGENT, _no_window, "idle", in_session=False),
    Scene("elsewhere", AGENT, Role.AGENT, _away(0), "elsewhere"),
    Scene("deserted", AGENT, Role.AGENT, _away(0, OTHERS_CLOSED), "deserted"),
    Scene("elsewhere", ENGAGEMENT, Role.CONSUMER, _away(1), "elsewhere"),
    Scene("deserted", ENGAGEMENT, Role.CONSUMER, _away(1, OTHERS_CLOSED), "deserted"),
    Scene(
        "replaced",
        ENGAGEMENT,
        Role.CONSUMER,
        drop(4409, snapshot(1, [person(0), person(1)])),
        "replaced",
    ),
    Scene("used", ENGAGEMENT, Role.CONSUMER, _used, "used", in_session=False),
    Scene("thanks", ENGAGEMENT, Role.CONSUMER, _thanks, "over"),
    Scene("connecting", JOIN, Role.GUEST, join, "connecting"),
    Scene("elsewhere", JOIN, Role.GUEST, after(join, _away(2)), "elsewhere"),
    Scene("deserted", JOIN, Role.GUEST, after(join, _away(2, OTHERS_CLOSED)), "deserted"),
    Scene("replaced", JOIN, Role.GUEST, after(three, drop(4409)), "replaced"),
    Scene("closed", JOIN, Role.GUEST, after(join, drop(4403)), "closed"),
    Scene("over", JOIN, Role.GUEST, after(three, say(*RATEABLE)), "over"),
    Scene("differs", LOGIN_PAGE, Role.AGENT, _differs, "differs"),
)
