"""What windows say to one another is heard from those it belongs to, and from nobody else: each of
the three places that listen is told something by a stranger first. Against a double of the broker.
"""

from __future__ import annotations

import asyncio
import json

from playwright.async_api import Browser, BrowserContext, Frame, Page

from broker.words import Role
from tests.browser.broker_double import BrokerDouble, brand
from tests.browser.demo import sooner
from tests.browser.gallery import ENGAGEMENT, INVITED
from tests.patience import PATIENCE

SHOP = """<!doctype html><html lang="en"><title>Shop</title><script>
window.told = [];
document.addEventListener('switchboard', ({{ detail }}) => told.push(detail.what));
</script><script async src="{gateway}/launcher.js"
  data-account-id="demo" data-conversation-id="c9"></script>
<iframe name="other" src="{gateway}/engagement?accountId=demo"></iframe>"""
SAYS = "(what) => parent.postMessage({ type: 'switchboard.show', what, said: '' }, '*')"
ELSEWHERE = "<!doctype html><title>Elsewhere</title>"
FRAMED = """<!doctype html><iframe src="{address}"></iframe>"""
PUT_AWAY = """(open) => frames[0].postMessage(
  { type: 'switchboard.opened', open, active: false }, '*')"""
NOTE_MESSAGES = """window.messages = 0;
addEventListener('message', () => setTimeout(() => { window.messages += 1; }));"""
"""Counts what came, behind whoever listens."""
GIVE = """(address) => {
  const opened = open(address);
  const secrets = { claim: 'known to the stranger' };
  setInterval(() => opened.postMessage({ type: 'switchboard.hand-over.give', secrets }, '*'), 20);
}"""


def frame_of(page: Page, path: str) -> Frame:
    """The frame that shows this page of the gateway."""
    (found,) = (each for each in page.frames if path in each.url)
    return found


async def test_the_launcher_is_led_by_its_own_frame_only(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    double = BrokerDouble(page, Role.CONSUMER, in_session=False)
    await double.attach()
    await page.goto(brand(pages, SHOP.format(gateway=pages)))
    await double.until_heard("connection.hello")
    own = frame_of(page, "conversationId=c9")
    # Another frame of the gateway's: somebody may frame a widget as they like.
    await frame_of(page, "engagement?accountId=demo").evaluate(SAYS, "ring")
    await own.evaluate(SAYS, "session")
    await page.wait_for_function("() => told.length > 0")
    assert await page.evaluate("told") == ["session"]
    # What lies in the launcher's frame when that has been led to another site.
    await own.goto(brand(pages, ELSEWHERE).replace("localhost", "elsewhere.localhost"))
    await page.evaluate(NOTE_MESSAGES)
    await own.evaluate(SAYS, "over")
    await page.wait_for_function("() => messages > 0")
    assert await page.evaluate("told") == ["session"]


async def test_a_widget_is_put_away_by_the_page_that_its_launcher_named(
    context: BrowserContext, pages: str
) -> None:
    page = await context.new_page()
    await page.add_init_script(NOTE_MESSAGES)
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    shop = brand(pages, "").partition("/brand")[0]
    for host, obeys in (("https://elsewhere.example", False), (shop, True)):
        double.begin(Role.CONSUMER, in_session=True)
        address = f"{pages}{ENGAGEMENT}&amp;host={host}"
        await page.goto(brand(pages, FRAMED.format(address=address)))
        await double.tell(INVITED)
        inside = frame_of(page, "/engagement?")
        await page.evaluate(PUT_AWAY, False)
        await inside.wait_for_function("() => messages > 0")
        # What it says next comes behind what it would have said of that.
        await inside.get_by_role("button", name="Decline").click()
        await double.until_heard("invitation.decline")
        told = [each["visible"] for each in double.heard if each["type"] == "surface.update"]
        assert told == ([False] if obeys else [])


async def test_a_window_takes_no_proof_from_another_sites_opener(
    browser: Browser, pages: str
) -> None:
    context = await browser.new_context()
    await context.add_init_script(sooner(5_000, 500))
    hellos: asyncio.Queue[str | bytes] = asyncio.Queue()
    config = {"account_id": "demo", "consumer_proof": "ids"}
    await context.route("**/v1/widget-config*", lambda route: route.fulfill(json=config))
    await context.route("**/v1/waiting", lambda route: route.fulfill(json={"token": "t"}))
    await context.route_web_socket("**/v1/connect", lambda ws: ws.on_message(hellos.put_nowait))
    page = await context.new_page()
    await page.goto(brand(pages, ELSEWHERE))
    await page.evaluate(GIVE, f"{pages}{ENGAGEMENT}&handOver=1")
    async with asyncio.timeout(10 * PATIENCE):
        hello = json.loads(await hellos.get())
    assert hello["type"] == "connection.hello"
    assert len(hello["claim_secret"]) > 20
    assert hello["claim_secret"] != "known to the stranger"
    await context.close()
