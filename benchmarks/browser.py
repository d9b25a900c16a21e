"""The system's Chromium, with a camera and a microphone that need no device."""

from __future__ import annotations

import shutil

from playwright.async_api import Browser, Playwright

FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
)


def browser_path() -> str:
    """Find the system's Chromium or Chrome.

    Raises:
        RuntimeError: there is none.
    """
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError("This needs Chromium or Chrome; install the chromium package.")


async def launch(playwright: Playwright, *more: str) -> Browser:
    """Start the system's browser with fake devices; `more` may take flags away with `!`."""
    without = {flag[1:] for flag in more if flag.startswith("!")}
    flags = [flag for flag in FLAGS if flag not in without]
    flags += [flag for flag in more if not flag.startswith("!")]
    return await playwright.chromium.launch(executable_path=browser_path(), args=flags)
