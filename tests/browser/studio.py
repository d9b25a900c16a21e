"""Where scenes are played: one page for each kind, in which widgets follow one another.

Loading a page costs more than everything a scene does. A scene therefore gets a new widget in the
page that is there, with another address and empty storage; modules and axe-core stay.
"""

from __future__ import annotations

from playwright.async_api import Browser, Page

from tests.browser.accessibility import prepare, violations
from tests.browser.broker_double import BrokerDouble, painted
from tests.browser.demo import shoot
from tests.browser.gallery import Scene
from tests.browser.wrong import ALL_WRONG, AS_BEFORE, LARGER, LOST

Look = tuple[tuple[int, int], str]
"""Width and height, and the colour scheme."""
TAKE_AWAY = """() => {
  const widget = document.querySelector('main').firstElementChild;
  window.widgetName = widget.localName;
  widget.remove();
  sessionStorage.clear();
  localStorage.clear();
}"""
PUT = """(address) => {
  history.replaceState(null, '', address);
  document.querySelector('main').prepend(document.createElement(window.widgetName));
}"""
SETTLED = """() => document.fonts.status === 'loaded' &&
  !document.querySelector('[aria-busy]') &&
  [...document.querySelectorAll('link[rel=stylesheet]')].every(({ sheet }) => sheet) &&
  [...document.querySelectorAll('.self video, .mirror video')]
    .every((video) => !video.srcObject || !video.checkVisibility() || video.readyState >= 2)
"""


class _Set:
    """One page, the double behind it, and what went wrong in it since the scene began."""

    def __init__(self, page: Page, double: BrokerDouble) -> None:
        self.page = page
        self.double = double
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))


class Studio:
    """Plays scenes. `close()` closes its pages."""

    def __init__(self, browser: Browser, origin: str) -> None:
        self._browser = browser
        self._origin = origin
        self._sets: dict[tuple[str, str], _Set] = {}

    async def show(
        self,
        scene: Scene,
        looks: list[Look],
        name: str,
        language: str = "en",
        *,
        thorough: bool = False,
        larger: bool = False,
    ) -> None:
        """Play a scene, photograph it in every size and colour scheme, say what is wrong with it.

        Only the first look is searched by all of axe's rules, the others by those of looks; when
        `thorough`, each by all: a media query may hide what gave something its name. When `larger`,
        its words are also set wider apart, and in twice the size.

        Raises:
            AssertionError: a script failed, something overflows, a button of the bar is covered, a
                control is small, axe finds a violation, or larger words are cut or cover a control.
        """
        page, problems = await self.play(scene, looks[0], language)
        for number, (size, scheme) in enumerate(looks):
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.wait_for_function(SETTLED)
            await painted(page)
            await shoot(page, f"{name}-{scene.name}-{size[0]}-{scheme}")
            wrong = await page.evaluate(ALL_WRONG)
            problems += [f"{size} {scheme} {each}" for each in wrong]
            found = await violations(page, seen_otherwise=number > 0 and not thorough)
            problems += [f"{scheme} axe {each}" for each in found]
            if larger:
                problems += await self._enlarge(page, f"{name}-{scene.name}-{size[0]}")
        assert problems == [], "\n".join(problems)

    async def _enlarge(self, page: Page, name: str) -> list[str]:
        """What is lost with larger words; they are as before in the end."""
        lost: list[str] = []
        for how, enlarge in LARGER.items():
            await page.evaluate(enlarge)
            await painted(page)
            await shoot(page, f"{name}-{how}")
            lost += [f"{name} {how}: {each}" for each in await page.evaluate(LOST)]
        await page.evaluate(AS_BEFORE)
        return lost

    async def play(self, scene: Scene, look: Look, language: str = "en") -> tuple[Page, list[str]]:
        """Play a scene; returns its page, and the list of what goes wrong in it from then on."""
        stage = await self._set(scene, look, language)
        await scene.play(stage.double, stage.page)
        await stage.page.wait_for_selector(f"main > [data-view={scene.view}]")
        return stage.page, stage.problems

    async def close(self) -> None:
        await self._close(list(self._sets))

    async def _close(self, kinds: list[tuple[str, str]]) -> None:
        for kind in kinds:
            await self._sets.pop(kind).page.context.close()

    async def _set(self, scene: Scene, look: Look, language: str) -> _Set:
        """The page for this scene with a widget that has just been put into it."""
        path, hash_mark, fragment = scene.path.partition("#")
        address = f"{path}{'&' if '?' in path else '?'}lang={language}{hash_mark}{fragment}"
        kind = path.partition("?")[0], language
        stage = self._sets.get(kind)
        if stage is None:
            # Each has a camera running: those of a language that is done with are given up.
            await self._close([other for other in self._sets if other[1] != language])
            context = await self._browser.new_context(reduced_motion="reduce")
            page = await context.new_page()
            stage = _Set(page, BrokerDouble(page, scene.role, in_session=scene.in_session))
            stage.double.config = scene.config
            self._sets[kind] = stage
            await stage.double.attach()
            await page.goto(self._origin + address)
            await page.wait_for_selector("main > [data-view]")
            await prepare(page)
        stage.problems.clear()
        (width, height), scheme = look
        await stage.page.set_viewport_size({"width": width, "height": height})
        await stage.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await stage.page.evaluate(TAKE_AWAY)
        stage.double.begin(scene.role, in_session=scene.in_session, config=scene.config)
        await stage.page.evaluate(PUT, address)
        return stage
