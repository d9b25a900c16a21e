"""The system's Chromium, with a camera and a microphone that need no device."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from playwright.async_api import Browser, Playwright

FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
)
NO_SOUND_SERVER = "unix:/nowhere"
"""Nobody is to hear the fake voices; and a client of PulseAudio that is told of no server leaves a
folder in `TMPDIR` and a link to it in the home folder behind."""


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


async def launch(playwright: Playwright, *more: str, program: Path | None = None) -> Browser:
    """Start the system's browser, or `program`, with fake devices and without a loudspeaker.

    Args:
        playwright: Who drives it.
        more: Further flags; one that begins with `!` is taken away.
        program: A Chromium in place of the system's.
    """
    without = {flag[1:] for flag in more if flag.startswith("!")}
    flags = [flag for flag in FLAGS if flag not in without]
    flags += [flag for flag in more if not flag.startswith("!")]
    return await playwright.chromium.launch(
        executable_path=program or browser_path(),
        args=flags,
        env={**os.environ, "PULSE_SERVER": NO_SOUND_SERVER},
    )
