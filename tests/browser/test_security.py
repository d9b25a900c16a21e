"""What the pages' headers forbid does not happen: no inline script, no string that becomes script,
nothing fetched from anywhere but the gateway and the host's own SDK."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser

from broker.words import Role
from tests.browser.broker_double import BrokerDouble, painted, person, snapshot
from tests.browser.gallery import AGENT, ENGAGEMENT, JOIN, LOGIN_PAGE

PAGES = {
    "agent": (AGENT, Role.AGENT, 0),
    "engagement": (ENGAGEMENT, Role.CONSUMER, 1),
    "window": ("/window?accountId=demo&conversationId=c1", Role.CONSUMER, 1),
    "join": (JOIN, Role.GUEST, 2),
    "console": ("/console", None, 0),
    "login": (LOGIN_PAGE, None, 0),
}
"""Addresses, who looks at them, and which of the session's people that is."""
WATCH = """document.addEventListener('securitypolicyviolation', (event) => {
  (window.violations ??= []).push(`${event.effectiveDirective} ${event.blockedURI}`);
});"""
ATTEMPTS = """async () => {
  const tries = {
    eval: () => (0, eval)('1'),
    function: () => new Function('return 1')(),
    markup: () => { document.createElement('div').innerHTML = '<b>x</b>'; },
    inline: () => new Promise((done, failed) => {
      const script = document.createElement('script');
      script.textContent = 'window.ran = true';
      document.head.append(script);
      setTimeout(() => (window.ran ? done() : failed(new Error('blocked'))), 0);
    }),
  };
  // The browser lets a debugger's own call evaluate strings: try from a task of the page.
  await new Promise((resolve) => setTimeout(resolve, 0));
  const worked = [];
  for (const [name, attempt] of Object.entries(tries)) {
    try { await attempt(); worked.push(name); } catch { /* as it should */ }
  }
  return worked;
}"""


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_keeps_to_its_policy(browser: Browser, pages: str, name: str) -> None:
    address, role, me = PAGES[name]
    context = await browser.new_context()
    page = await context.new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    await page.add_init_script(WATCH)
    await page.clock.install()
    if role is not None:
        double = BrokerDouble(page, role)
        await double.attach()
    await page.goto(pages + address)
    await page.wait_for_selector("main > [data-view], main form")
    # The window goes on without LivePerson's script, which it waits for.
    await page.clock.fast_forward(9_000)
    if name == "join":
        await page.get_by_label("Your name").fill("Noa")
        await page.get_by_role("button", name="Join").click()
    if role is not None:
        await double.tell(snapshot(me, [person(0), person(1), person(2)]))
        await page.wait_for_selector("[data-view=session]")
        for panel in ("People", "More", "Text", "More", "Camera and microphone"):
            await page.get_by_role("button", name=panel, exact=True).click()
            await page.get_by_role("dialog", name=panel).wait_for()
    await painted(page)
    assert await page.evaluate("window.violations ?? []") == []
    assert asked - {""} == {urlsplit(pages).netloc}
    assert await page.evaluate(ATTEMPTS) == []
    await page.wait_for_function("() => window.violations?.length >= 3")
    await context.close()
