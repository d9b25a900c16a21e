"""What `docs/embedding.md` promises to a brand's developer: the launcher's tag, methods and events,
looks by address and by custom property, pictures. But for the plain page against a double of the
broker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from broker.messages.facts import RosterChanged, SessionEnded, SessionLeft
from broker.words import EndReason, LeaveReason, Role
from tests.browser.broker_double import (
    BrokerDouble,
    brand,
    heard,
    invitation,
    painted,
    person,
    snapshot,
)
from tests.browser.catalogues import LANGUAGES, WIDGETS, catalogue
from tests.browser.demo import GREEN, ROOT, SMALL_CAMERA, shoot, until_counts
from tests.browser.fair import Fair
from tests.browser.gallery import AGENT, ENGAGEMENT, INVITED, JOIN, LOGIN_PAGE
from tests.house import settled
from tests.patience import until

TAG = {
    "data-account-id": "demo",
    "data-conversation-id": "c9",
    "data-session-id": "w9",
    "data-visitor-id": "v9",
    "data-visitor-name": "Ada Byron",
    "data-position": "left",
    "data-lang": "fr",
    "data-theme": "dark",
    "data-z-index": "77",
}
BODY = """<!doctype html><html lang="%s"><title>Shop</title><script>
window.told = [];
%s
document.addEventListener('switchboard', ({ detail }) =>
  told.push([detail.what, Switchboard.state]));
</script><script async src="%s/launcher.js" %s></script><h1>Shop</h1>"""
LIVEPERSON = """const listeners = [], fired = [];
window.lpTag = { site: 'demo', events: {
  bind: (app, name, tell) => void listeners.push(tell),
  hasFired: (app, name) => fired.filter(({ eventName }) => eventName === name),
} };
window.publish = (data) => {
  fired.push({ appName: 'lpUnifiedWindow', eventName: 'conversationInfo', data });
  listeners.forEach((tell) => tell(data));
};
publish({ conversationId: 'yesterday' });
publish({ conversationId: 'today', visitorId: 'v1' });"""
"""LivePerson's tag with a conversation that it has told of before anybody listened."""
MAY_NOTIFY = """Object.defineProperty(document, 'hidden', { get: () => true });
window.notices = [];
window.Notification = class {
  static permission = 'granted';
  constructor(title) { notices.push(Object.assign(this, { title, there: true })); }
  close() { this.there = false; }
};"""
"""A page that nobody looks at, whose site may notify."""
NOTICES = "notices.map(({ title, there }) => [title, there])"
WHITE, DARK = "rgb(255, 255, 255)", "rgb(20, 25, 30)"
"""The paper of either look."""
HEADERS = re.compile(r"^```\n(Content-Security-Policy: .*?)^```", re.MULTILINE | re.DOTALL)
PLAIN_PAGE = re.compile(r"^## A page without.*?^```html\n(.*?)^```", re.MULTILINE | re.DOTALL)
ALLOWED = "document.featurePolicy.allowedFeatures()"
FRAME_IS_LOADED = "document.querySelector('iframe').contentDocument.readyState === 'complete'"
PICTURE = "/v1/pictures/demo/alex.svg"


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(
        viewport={"width": 900, "height": 700}, color_scheme="light", locale="es-ES"
    )
    yield await context.new_page()
    await context.close()


async def open_shop(
    page: Page, pages: str, tag: dict[str, str], *, language: str = "en", script: str = ""
) -> BrokerDouble:
    """Open a brand's page with the launcher's tag; that of the demo has an origin of its own."""
    attributes = " ".join(f'{name}="{value}"' for name, value in tag.items())
    body = BODY % (language, script, pages, attributes)

    async def answer(route: Route) -> None:
        await route.fulfill(body=body, content_type="text/html")

    await page.route(f"{pages}/shop", answer)
    double = BrokerDouble(page, Role.CONSUMER, in_session=False)
    await double.attach()
    await page.goto(f"{pages}/shop")
    return double


async def test_the_launcher_obeys_each_attribute_of_its_tag(page: Page, pages: str) -> None:
    text = (ROOT / "docs" / "embedding.md").read_text()
    assert set(re.findall(r"\bdata-[a-z-]+", text)) == set(TAG)
    double = await open_shop(page, pages, TAG)
    engagement = (await heard(double, "connection.hello"))["engagement"]
    assert {name: engagement.get(name) for name in engagement if name != "is_pop_out"} == {
        "account_id": "demo",
        "conversation_id": "c9",
        "window_session_id": "w9",
        "visitor_id": "v9",
        "visitor_name": "Ada Byron",
    }
    panel = page.get_by_role("region", name="Vidéo")
    await expect(panel).to_be_hidden()
    await double.tell(INVITED)
    await expect(panel).to_be_visible()
    await expect(panel).to_have_css("z-index", "77")
    await expect(panel).to_have_css("left", "20px")
    await expect(panel.get_by_role("button", name="Réduire")).to_be_visible()
    inside = panel.frame_locator("iframe")
    accept = inside.get_by_role("button", name=catalogue("fr")["accept_video"])
    await expect(accept).to_be_visible()
    await expect(inside.locator("body")).to_have_css("background-color", DARK)
    await shoot(page, "launcher-by-attributes")


async def test_the_launcher_is_led_by_its_methods_and_tells_each_change(
    page: Page, pages: str
) -> None:
    # A page whose language no widget speaks: then it is the browser's.
    double = await open_shop(page, pages, {}, language="cy")
    await page.wait_for_function("() => window.Switchboard?.state === 'closed'")
    frame = page.locator("iframe")
    # An account alone is no conversation.
    await page.evaluate("Switchboard.update({ accountId: 'demo', visitorName: 'Ada' })")
    await expect(frame).to_have_count(0)
    await page.evaluate("Switchboard.update({ conversationId: 4711, sessionId: 'w1' })")
    hello = await heard(double, "connection.hello")
    assert hello["surface"] == "launcher"
    assert hello["engagement"]["conversation_id"] == "4711"
    assert hello["engagement"]["window_session_id"] == "w1"
    assert hello["engagement"]["visitor_name"] == "Ada"
    # A frame that is led on is nothing one could go back to from the brand's page.
    await page.wait_for_function(f"() => {FRAME_IS_LOADED}")
    length = await page.evaluate("history.length")
    await page.evaluate("Switchboard.update({ visitorName: 'Ada Byron' })")
    hello = await heard(double, "connection.hello")
    assert hello["engagement"]["visitor_name"] == "Ada Byron"
    assert await page.evaluate("history.length") == length

    await double.tell(INVITED)
    panel = page.get_by_role("region", name="Vídeo")
    await expect(panel).to_have_css("right", "20px")
    await expect(panel).to_have_css("z-index", "2147483000")
    inside = panel.frame_locator("iframe")
    accept = inside.get_by_role("button", name=catalogue("es")["accept_video"])
    await expect(accept).to_be_visible()
    await expect(inside.locator("body")).to_have_css("background-color", WHITE)
    double.heard.clear()
    for away, back in (
        ("Switchboard.minimise()", "Switchboard.open()"),
        ("document.querySelector('button').click()", "document.querySelector('button').click()"),
    ):
        await page.evaluate(away)
        await expect(frame).to_be_hidden()
        await expect(panel).to_have_css("height", "32px")
        assert (await heard(double, "surface.update"))["visible"] is False
        await page.evaluate(back)
        await expect(frame).to_be_visible()
        assert (await heard(double, "surface.update"))["visible"] is True

    await double.tell(snapshot(1, [person(0), person(1)]))
    await expect(inside.get_by_role("toolbar")).to_be_visible()
    before = page.frames[1].url
    # Who talks is not taken out of it by another conversation on the page: it has its turn.
    await page.evaluate("Switchboard.update({ conversationId: 'another' })")
    assert page.frames[1].url == before
    assert "another" not in await page.evaluate("Object.values(sessionStorage).join()")
    await double.tell(SessionEnded(seq=3, session_id="s1", reason=EndReason.ENDED_BY_AGENT))
    double.heard.clear()
    await inside.get_by_role("button", name=catalogue("es")["close"]).click()
    await expect(panel).to_be_hidden()
    told = await page.evaluate("told")
    assert told == [[what, what] for what in ("ring", "session", "over", "closed")]
    for name in ("Ada Byron", "Grace"):
        engagement = (await heard(double, "connection.hello"))["engagement"]
        assert (engagement["conversation_id"], engagement["visitor_name"]) == ("another", name)
        # The other id of the conversation before would ring here for that one.
        assert "window_session_id" not in engagement
        await page.evaluate("Switchboard.update({ visitorName: 'Grace' })")


async def test_the_launcher_learns_what_liveperson_told_before_it_came(
    page: Page, pages: str
) -> None:
    double = await open_shop(page, pages, {}, language="de-AT", script=LIVEPERSON + MAY_NOTIFY)
    engagement = (await heard(double, "connection.hello"))["engagement"]
    assert engagement["account_id"] == "demo"
    assert engagement["conversation_id"] == "today"
    assert engagement["visitor_id"] == "v1"
    # In the language of the page, whatever the browser's.
    await double.tell(INVITED)
    panel = page.get_by_role("region", name="Video")
    await expect(panel.get_by_role("button", name="Verkleinern")).to_be_visible()
    accept = panel.frame_locator("iframe").get_by_role(
        "button", name=catalogue("de")["accept_video"]
    )
    await expect(accept).to_be_visible()
    # Of somebody, whose name is not for the page around.
    words = catalogue("de")["ring_title"].replace("{name}", catalogue("de")["an_agent"])
    await page.wait_for_function("() => notices.length > 0")
    assert await page.evaluate(NOTICES) == [[words, True]]
    # A ring is not taken away by what the page says next; that has its turn.
    await page.evaluate("publish({ conversationId: 'tomorrow' })")
    await painted(page)
    await expect(accept).to_be_visible()
    await double.tell(SessionLeft(seq=2, reason=LeaveReason.LEFT))
    double.heard.clear()
    over = panel.frame_locator("iframe").get_by_role("button", name=catalogue("de")["close"])
    await over.wait_for()
    await page.wait_for_function("() => !notices[0].there")
    assert await page.evaluate(NOTICES) == [[words, False]]
    await over.click()
    engagement = (await heard(double, "connection.hello"))["engagement"]
    assert engagement["conversation_id"] == "tomorrow"


async def test_a_strict_page_needs_no_line_but_those_of_the_document(
    page: Page, pages: str, tmp_path: Path
) -> None:
    """On a page of another site with nothing else, without LivePerson, two people meet."""
    site = urlsplit(brand(pages, ""))
    framed_by = f"{site.scheme}://{site.netloc}"
    async with settled(tmp_path, lambda stack: Fair(stack, brand=framed_by)) as fair:
        await fair.begin()
        text = (ROOT / "docs" / "embedding.md").read_text()
        text = text.replace("https://video.example.com", fair.origin)
        [lines], [tags] = HEADERS.findall(text), PLAIN_PAGE.findall(text)
        headers = dict(line.split(": ", 1) for line in re.sub(r"\n +", " ", lines).splitlines())
        assert headers.keys() == {"Content-Security-Policy", "Permissions-Policy"}
        headers["Content-Security-Policy"] += "; default-src 'self'"
        tags, named = re.subn(r'(?<=[="])shop\b', "demo", tags)
        assert named == 2
        await page.context.add_init_script(SMALL_CAMERA)
        body = f'<!doctype html><html lang="en"><title>Shop</title>{tags}'
        await page.goto(brand(pages, body, headers))
        panel = page.get_by_role("region", name="Video")
        agent, consumer = page.frame_locator("iframe[src]"), panel.frame_locator("iframe")
        await expect(agent.get_by_role("heading")).to_have_text(
            catalogue("es")["idle_title"].replace("{name}", "Maya")
        )
        await agent.get_by_role("button", name=catalogue("es")["start_video"]).click()
        await expect(panel).to_have_css("position", "fixed")
        await consumer.get_by_role("button", name="Accept with video").click()
        frames = {urlsplit(frame.url).path: frame for frame in page.frames}
        for path in ("/agent", "/engagement"):
            await until_counts(frames[path], frames=10, energy=0.0001)
        stated = set(re.findall(r"([a-z-]+)=\(", headers["Permissions-Policy"]))
        assert stated <= set(await frames["/engagement"].evaluate(ALLOWED))
        [allow] = re.findall(r'allow="(.*?)"', tags)
        assert set(allow.split("; ")) <= set(await frames["/agent"].evaluate(ALLOWED))
        await shoot(page, "plain-page")
        await page.goto("about:blank")


def test_the_launcher_speaks_every_language_of_the_widgets() -> None:
    text = (WIDGETS / "launcher" / "launcher.js").read_text()
    assert re.findall(r"^    ([a-z]{2}): \['", text, re.MULTILINE) == sorted(
        LANGUAGES, key=lambda each: (each != "en", each != "de", each)
    )


async def test_looks_and_languages_are_chosen_by_the_address(page: Page, pages: str) -> None:
    double = BrokerDouble(page, Role.AGENT, in_session=False)
    await double.attach()
    dark, light = ("dark", DARK, "light"), ("light", WHITE, "dark")
    for address, (theme, paper, system) in (
        (AGENT, dark),
        (ENGAGEMENT, light),
        ("/window?accountId=demo", dark),
        (LOGIN_PAGE, dark),
        (JOIN, light),
    ):
        path, mark, fragment = address.partition("#")
        wish = f"{'&' if '?' in path else '?'}lang=he&theme={theme}"
        await page.emulate_media(color_scheme=system)  # type: ignore[arg-type]
        await page.goto(f"{pages}{path}{wish}{mark}{fragment}")
        await page.wait_for_selector("main > [data-view]")
        await expect(page.locator("body")).to_have_css("background-color", paper)
        await expect(page.locator("html")).to_have_attribute("lang", "he")
        await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    # A name runs as it is written: one that is cut off loses its end, not its beginning.
    double.begin(Role.AGENT, in_session=True)
    await page.goto(f"{pages}{AGENT}&lang=he")
    await double.tell(snapshot(0, [person(0), person(3), person(5)]))
    for name, direction in (("Maximiliane", "ltr"), ("محمد", "rtl")):
        tile = page.locator(".tile-name").filter(has_text=name)
        await expect(tile).to_have_css("direction", direction)


async def test_a_brands_own_tokens_are_what_is_seen(page: Page, pages: str) -> None:
    tokens = (WIDGETS / "styles" / "tokens.css").read_text()
    for name, value in (
        ("accent", "rgb(90, 0, 90)"),
        ("accent-ink", "rgb(255, 255, 0)"),
        ("paper", "rgb(250, 240, 230)"),
        ("radius", "3px"),
        ("font", "monospace"),
    ):
        tokens, count = re.subn(rf"(--sb-{name}): [^;]+;", rf"\1: {value};", tokens)
        assert count == 1, name

    async def answer(route: Route) -> None:
        await route.fulfill(body=tokens, content_type="text/css")

    await page.route("**/styles/tokens.css", answer)
    double = BrokerDouble(page, Role.AGENT, in_session=False)
    await double.attach()
    await page.goto(f"{pages}{AGENT}&lang=en")
    start = page.get_by_role("button", name="Start video")
    await expect(start).to_have_css("background-color", "rgb(90, 0, 90)")
    await expect(start).to_have_css("color", "rgb(255, 255, 0)")
    await expect(start).to_have_css("border-radius", "3px")
    await expect(start).to_have_css("font-family", "monospace")
    await expect(page.locator("body")).to_have_css("background-color", "rgb(250, 240, 230)")


async def test_pictures_are_shown_and_initials_where_one_does_not_come(
    page: Page, pages: str
) -> None:
    asked: list[str] = []

    async def answer(route: Route) -> None:
        asked.append(route.request.url)
        if route.request.url == pages + PICTURE:
            await route.fulfill(body=GREEN, content_type="image/svg+xml")
        else:
            await route.fulfill(status=404)

    for place in (f"{pages}/v1/pictures/**", "https://pictures.example/**"):
        await page.route(place, answer)
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if "Policy" in said.text else None)
    double = BrokerDouble(page, Role.CONSUMER)
    await double.attach()
    await page.goto(f"{pages}{ENGAGEMENT}&lang=en")
    rings = invitation(from_picture=PICTURE)
    await double.tell(snapshot(1, [], attendance="invited", ringing=rings))
    image = page.locator(".ringing-avatar img")
    await expect(image).to_be_visible()
    assert await image.evaluate("({ naturalWidth }) => naturalWidth") == 9
    await shoot(page, "picture-1-ringing")

    await double.tell(snapshot(1, [person(0, picture=PICTURE), person(1)]))
    tile = page.locator(".tile.seat:visible")
    await expect(tile.locator("img")).to_be_visible()
    await shoot(page, "picture-2-tile")
    for number, picture in enumerate(
        (f"{PICTURE}.gone", PICTURE, "https://pictures.example/alex.svg", PICTURE, None)
    ):
        shown = picture == PICTURE
        roster = [person(0, picture=picture), person(1)]
        await double.tell(RosterChanged(seq=2 + number, roster=roster))
        await expect(tile.locator("img")).to_be_visible(visible=shown)
        await expect(tile.get_by_text("AB", exact=True)).to_be_visible()
    # Nobody but the gateway learns who talks; the widget does not even try.
    assert {address.startswith(f"{pages}/v1/pictures/") for address in asked} == {True}
    assert refused == []
    # Nor could it: the page's own policy says the same.
    await page.evaluate("(url) => { new Image().src = url; }", "https://pictures.example/a.png")
    await until(lambda: len(refused) > 0, "the policy refuses it")
    assert "img-src" in refused[0]
