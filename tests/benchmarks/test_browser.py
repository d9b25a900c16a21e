"""The browser of the benchmarks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from benchmarks.browser import launch

SOUND = """async () => {
  const sounds = new AudioContext();
  const tone = sounds.createOscillator();
  tone.connect(sounds.destination);
  tone.start();
  const begun = sounds.currentTime;
  while (sounds.currentTime === begun) await new Promise((done) => setTimeout(done, 20));
}"""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for Chromium's socket in it."""
    with tempfile.TemporaryDirectory(prefix="sb-") as folder:
        yield Path(folder)


async def test_a_browser_that_plays_leaves_nothing_behind(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, scratch = short_folder / "home", short_folder / "scratch"
    for name, folder in (("HOME", home), ("TMPDIR", scratch)):
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    async with async_playwright() as playwright:
        browser = await launch(playwright, "--autoplay-policy=no-user-gesture-required")
        await (await browser.new_page()).evaluate(SOUND)
        await browser.close()
    assert [each.name for each in scratch.iterdir()] == []
    assert [each for each in home.rglob("*") if "pulse" in each.name] == []
