"""A page that stands for a whole shift keeps nothing of the calls it has had: against a double of
the broker, so that each costs little."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, CDPSession, Page

from broker.messages.facts import ResumeRenewed, SessionEnded
from broker.words import EndReason, Role
from tests.browser.broker_double import BrokerDouble, invitation, person, snapshot
from tests.browser.demo import SMALL_CAMERA
from tests.browser.gallery import AGENT, ENGAGEMENT
from tests.patience import PATIENCE

WARM, CALLS = 10, 30
"""What is loaded and compiled once comes with the first calls; then so many are counted."""
KINDS = ("RTCPeerConnection", "MediaStreamTrack", "AudioContext", "HTMLVideoElement")
KEPT_BYTES = 8_000
"""That much of a call may still be counted: what a browser learns of code as it runs."""


async def held(devtools: CDPSession) -> dict[str, float]:
    """What the page holds once its garbage is gone: numbers, and bytes of its heap."""
    # A browser gives devices and connections back in its own time.
    for _ in range(4):
        await asyncio.sleep(1.0 * PATIENCE)
        await devtools.send("HeapProfiler.collectGarbage")
    metrics = (await devtools.send("Performance.getMetrics"))["metrics"]
    named = {each["name"]: each["value"] for each in metrics}
    found = {name: named[name] for name in ("Nodes", "JSEventListeners", "JSHeapUsedSize")}
    for kind in KINDS:
        prototype = await devtools.send("Runtime.evaluate", {"expression": f"{kind}.prototype"})
        objects = await devtools.send(
            "Runtime.queryObjects", {"prototypeObjectId": prototype["result"]["objectId"]}
        )
        counted = await devtools.send(
            "Runtime.callFunctionOn",
            {
                "objectId": objects["objects"]["objectId"],
                "functionDeclaration": "function () { return this.length; }",
                "returnByValue": True,
            },
        )
        found[kind] = counted["result"]["value"]
        await devtools.send("Runtime.releaseObject", {"objectId": objects["objects"]["objectId"]})
    return found


async def call(page: Page, double: BrokerDouble, number: int, me: int) -> None:
    """One session from its beginning to its end, whose screen is put away."""
    name = {"session_id": f"s{number}"}
    if me == 1:
        rings = snapshot(1, [], attendance="invited", ringing=invitation())
        await double.tell(rings.model_copy(update=name))
        await page.locator("main > [data-view=incoming]").wait_for()
    talking = snapshot(me, [person(0), person(1, camera=True)]).model_copy(update=name)
    await double.tell(ResumeRenewed(resume=f"r{number}"), talking)
    await page.locator(".self video").wait_for(state="attached")
    await page.wait_for_function(
        "() => document.querySelector('main').firstElementChild.client.media.live"
    )
    ended = SessionEnded(seq=2, session_id=f"s{number}", reason=EndReason.ENDED_BY_CONSUMER)
    await double.tell(ended)
    await page.get_by_role("button", name="Close", exact=True).click()


@pytest.mark.soak
@pytest.mark.parametrize(
    ("address", "role", "me"), [(AGENT, Role.AGENT, 0), (ENGAGEMENT, Role.CONSUMER, 1)]
)
async def test_a_page_keeps_nothing_of_the_calls_it_has_had(
    browser: Browser, pages: str, address: str, role: Role, me: int
) -> None:
    page = await browser.new_page()
    await page.add_init_script(SMALL_CAMERA)
    double = BrokerDouble(page, role, in_session=False)
    await double.attach()
    await page.goto(f"{pages}{address}&lang=en")
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("Performance.enable")
    for number in range(WARM):
        await call(page, double, number, me)
    before = await held(devtools)
    for number in range(CALLS):
        await call(page, double, WARM + number, me)
    after = await held(devtools)
    grown = {name: after[name] - before[name] for name in after}
    assert grown.pop("JSHeapUsedSize") < CALLS * KEPT_BYTES, (before, after)
    # Each has hundreds of nodes, and tens of the others; the last may still be on its way out.
    assert grown.pop("Nodes") < 5 * CALLS, (before, after)
    assert max(grown.values()) < CALLS, (before, after)
    await page.close()
