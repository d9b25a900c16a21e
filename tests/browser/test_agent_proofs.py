"""An agent proves who they are in a real browser: LivePerson's login, and an enrolled device."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from playwright.async_api import Browser, BrowserContext, Page, Route, expect

from gateway.accounts import (
    Account,
    AgentLogin,
    ApiKey,
    ConsumerProof,
    LivePersonApp,
    hash_key,
)
from gateway.settings import Settings
from tests.browser.demo import SCREENS, WAIT_MS
from tests.gateway.conftest import API_KEY, SECRET, World
from tests.gateway.login_server import CLIENT, CLIENT_SECRET, login_server
from tests.gateway.test_enrolment import Book

SDK = """
const model = {
  'chatInfo.rtSessionId': 'eng-1', 'chatInfo.accountId': 'acc', 'chatInfo.isMessaging': true,
  'agentInfo.agentId': 7, 'agentInfo.accountId': 'acc', 'agentInfo.agentName': 'Alex',
  'visitorInfo.visitorName': 'Kim',
};
const bind = (path, update, done) => {
  if (path in model) setTimeout(() => update({ key: path, newValue: model[path] }));
  done?.(null);
};
const none = () => {};
window.lpTag = { agentSDK: { init: none, bind, unbind: none, dispose: none,
  command: (name, data, done) => { window.written = data.text; done?.(null); },
  get: (path, done) => done(model[path] ?? null), onVisitorFocused: none, onVisitorBlurred: none,
  cmdNames: { write: 'Write ChatLine' } } };
"""
ACCOUNT = Account("acc", api_keys=(ApiKey("k1", hash_key(API_KEY)),))


@asynccontextmanager
async def serving(account: Account) -> AsyncIterator[World]:
    world = World(Settings(origin="http://127.0.0.1:1", secret=SECRET, accounts={"acc": account}))
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


@asynccontextmanager
async def workspace(browser: Browser, world: World, locale: str = "en-GB") -> AsyncIterator[Page]:
    """The agent's page, in English, with LivePerson's SDK as a stub."""

    async def sdk(route: Route) -> None:
        await route.fulfill(body=SDK, content_type="text/javascript")

    context: BrowserContext = await browser.new_context(locale=locale)
    context.set_default_timeout(WAIT_MS)
    await context.route("https://lpcdn.lpsnmedia.net/**", sdk)
    page = await context.new_page()
    await page.goto(f"{world.origin}/agent?lang=en")
    yield page
    await context.close()


async def test_an_agent_logs_in_by_liveperson_on_a_page_that_shows_the_same_code(
    browser: Browser, tmp_path: Path
) -> None:
    secret = tmp_path / "liveperson"
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o600)
    async with login_server() as sentinel:
        app = LivePersonApp(CLIENT, secret, sentinel=sentinel.origin)
        account = replace(ACCOUNT, agent_login=AgentLogin.LIVEPERSON, liveperson=app)
        async with serving(account) as world, workspace(browser, world, "de-DE") as page:
            code = await page.locator("[data-view=login] .code").inner_text()
            await page.screenshot(path=SCREENS / "agent-login.png")
            async with page.context.expect_page() as opening:
                await page.get_by_role("button", name="Log in with LivePerson").click()
            popup = await opening.value
            await expect(popup.locator(".code")).to_have_text(code)
            assert "flow" not in popup.url
            await popup.screenshot(path=SCREENS / "login-page.png")
            # Whom somebody else sent there says so, and nothing comes of it.
            await popup.get_by_role("button", name="It does not").click()
            await expect(popup.get_by_role("heading")).to_have_text(
                "Close this window and log in again from your workspace."
            )
            await popup.close()
            async with page.context.expect_page() as opening:
                await page.get_by_role("button", name="Log in with LivePerson").click()
            popup = await opening.value
            await popup.get_by_role("button", name="It does: go on").click()
            await expect(popup.get_by_role("heading")).to_have_text("You are logged in")
            await expect(page.get_by_role("button", name="Start video")).to_be_visible()
            (watch,) = world.ledger.watches.values()
            assert (watch.account_id, watch.key) == ("acc", "eng-1")
            # Another conversation's frame in this tab needs no second login.
            await page.reload()
            await expect(page.get_by_role("button", name="Start video")).to_be_visible()
            assert len(sentinel.exchanged) == 1


async def test_an_enrolled_browser_comes_back_by_its_own_key(browser: Browser) -> None:
    account = replace(ACCOUNT, agent_login=AgentLogin.ENROLMENT)
    async with serving(account) as world, workspace(browser, world) as page:
        book = Book(world)
        async with httpx.AsyncClient(base_url=world.origin, trust_env=False) as client:
            made = await client.post(
                "/v1/enrolments",
                json={"agent_id": "7", "name": "Alex"},
                headers={"Authorization": f"Bearer {API_KEY}"},
            )
        await page.get_by_label("Your code").fill("00000000-wrong")
        await page.get_by_role("button", name="Enrol").click()
        await expect(page.get_by_role("alert")).to_contain_text("is not valid")
        await page.screenshot(path=SCREENS / "agent-enrol.png")
        await page.get_by_label("Your code").fill(made.json()["code"])
        await page.get_by_role("button", name="Enrol").click()
        await expect(page.get_by_role("button", name="Start video")).to_be_visible()
        await page.evaluate("sessionStorage.clear()")
        await page.reload()
        await expect(page.get_by_role("button", name="Start video")).to_be_visible()
        (device,) = book.devices.values()
        assert device.seen_ms > 1
        taken = await page.evaluate(
            """async () => {
              const opening = indexedDB.open('switchboard', 1);
              await new Promise((done) => (opening.onsuccess = done));
              const asked = opening.result.transaction('devices').objectStore('devices').get('acc');
              await new Promise((done) => (asked.onsuccess = done));
              const key = asked.result.keys.privateKey;
              return crypto.subtle.exportKey('pkcs8', key).then(() => 'taken', (why) => why.name);
            }"""
        )
        assert taken == "InvalidAccessError"
        # Frames of one tab prove the same key at once, and none spoils another's challenge.
        assert await page.evaluate(
            """async () => {
              const entry = document.querySelector('script[type=module]').src;
              const { deviceToken } = await import(new URL('../hosts/device-key.js', entry));
              const answers = await Promise.all([1, 2, 3].map(() => deviceToken('acc')));
              return answers.every((answer) => answer?.token);
            }"""
        )
        # Revoked: the next frame asks for a code again.
        book.devices.clear()
        await page.evaluate("sessionStorage.clear()")
        await page.reload()
        await expect(page.get_by_label("Your code")).to_be_visible()
        # Whoever comes back to a session goes on without being asked.
        refused = await page.evaluate(
            """async () => {
              const entry = document.querySelector('script[type=module]').src;
              const { AgentProof } = await import(new URL('../elements/agent-proof.js', entry));
              const config = { account_id: 'acc', agent_login: 'enrolment', consumer_proof: 'ids' };
              return new AgentProof(config).token(false).catch((why) => why.code);
            }"""
        )
        assert refused == "token_invalid"


async def test_a_consumer_is_proved_by_the_link_that_the_agent_sends(browser: Browser) -> None:
    account = replace(ACCOUNT, agent_login=AgentLogin.ENROLMENT, consumer_proof=ConsumerProof.LINK)
    async with serving(account) as world, workspace(browser, world) as page:
        await expect(page.get_by_label("Your code")).to_be_visible()
        # Meanwhile the agent logs in in another frame of this tab.
        kept = f"9999999999999 {world.agent_token()}"
        await page.evaluate(
            "(kept) => sessionStorage.setItem('switchboard.agent.acc.token', kept)", kept
        )
        await page.evaluate("dispatchEvent(new StorageEvent('storage'))")
        await page.get_by_role("button", name="Send the consumer a link").click()
        await expect(page.get_by_text("It is in your input box")).to_be_visible()
        await page.screenshot(path=SCREENS / "agent-link.png")
        written = str(await page.evaluate("window.written"))
        url = re.search(r"http\S+", written)
        assert url is not None
        consumer = await page.context.new_page()
        await consumer.goto(url[0])
        await world.ledger.signal.until(lambda: world.ledger.puts)
        world.ledger.tell_watchers()
        await expect(page.get_by_role("button", name="Send the consumer a link")).to_be_hidden()
        await consumer.wait_for_function("() => !location.hash")
        # The link is used up; this tab keeps what it was exchanged for.
        await consumer.reload()
        await consumer.wait_for_load_state("networkidle")
        # Another browser has another claim secret.
        theirs = await browser.new_context(locale="en-GB")
        thief = await theirs.new_page()
        async with thief.expect_response("**/v1/waiting") as answering:
            await thief.goto(url[0])
        assert (await answering.value).status == 403
        await expect(thief.get_by_role("heading")).to_have_text("This link is no longer valid")
        await world.ledger.signal.until(lambda: len(world.ledger.puts) == 1)
        await theirs.close()
