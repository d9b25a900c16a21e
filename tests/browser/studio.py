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
OVERFLOW = """() => [...document.querySelectorAll('button, p, h1, h2, input, select, .tile-label')]
  .filter((node) => node.checkVisibility() && node.getClientRects().length)
  .filter((node) => {
    const box = node.getBoundingClientRect();
    return box.left < -0.5 || box.right > innerWidth + 0.5 ||
      (node.matches('button:not(.round)') && node.scrollWidth > node.clientWidth + 1);
  })
  .map((node) => node.outerHTML.slice(0, 100))"""

COVERED = """() => [...document.querySelectorAll('[role=toolbar] button')]
  .filter((button) => button.checkVisibility() || button.matches('.danger'))
  .filter((button) => {
    const { x, y, width, height } = button.getBoundingClientRect();
    return !button.contains(document.elementFromPoint(x + width / 2, y + height / 2));
  })
  .map((button) => button.ariaLabel)"""
"""What of the bar cannot be pressed, or is missing if it ends the session."""
CUT = """() => [...document.querySelectorAll('.message, .incoming, .panel-body, .panel')]
  .filter((box) => box.checkVisibility())
  .filter((box) => box.firstElementChild?.offsetTop < 0 ||
    (box.matches('.panel') && box.getBoundingClientRect().top < 0))
  .map((box) => box.textContent.slice(0, 40))"""
"""What begins above where one can scroll to, and panels that are moved away."""
BADLY_SHOWN = """() => [...document.querySelectorAll('.tile[data-picture=yes]:not([hidden])')]
  .filter((tile) => {
    const video = tile.querySelector('video');
    const { clientWidth, clientHeight, videoWidth, videoHeight } = video;
    const beside = tile.clientWidth - clientWidth > 1;
    const above = tile.clientHeight - clientHeight > 1;
    const ratio = clientWidth / clientHeight;
    if (tile.matches('.screen')) return getComputedStyle(video).objectFit !== 'contain';
    const stands = videoWidth < videoHeight && tile.clientWidth >= tile.clientHeight;
    return stands ? above || ratio > 0.76 || (beside && ratio < 0.74) : beside || above;
  })
  .map((tile) => `${tile.className} ${tile.textContent}`)"""
"""Pictures that do not fill their tile, but for standing ones in a wide tile, which are cut to 3:4
at most, and screens."""


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
    ) -> None:
        """Play a scene, photograph it in every size and colour scheme, say what is wrong with it.

        Only the first look is searched by all of axe's rules, the others by those of looks; when
        `thorough`, each by all: a media query may hide what gave something its name.

        Raises:
            AssertionError: a script failed, something overflows, a button of the bar is covered, or
                axe finds a violation.
        """
        page, problems = await self.play(scene, looks[0], language)
        for number, (size, scheme) in enumerate(looks):
            await page.set_viewport_size({"width": size[0], "height": size[1]})
            await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            await page.wait_for_function(SETTLED)
            await painted(page)
            await shoot(page, f"{name}-{scene.name}-{size[0]}-{scheme}")
            problems += [f"{scheme} overflow: {each}" for each in await page.evaluate(OVERFLOW)]
            problems += [f"{scheme} covered: {each}" for each in await page.evaluate(COVERED)]
            problems += [f"{size} cut: {each}" for each in await page.evaluate(CUT)]
            shown = await page.evaluate(BADLY_SHOWN)
            problems += [f"{size} {scheme} picture: {each}" for each in shown]
            found = await violations(page, seen_otherwise=number > 0 and not thorough)
            problems += [f"{scheme} axe {each}" for each in found]
        assert problems == [], "\n".join(problems)

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
