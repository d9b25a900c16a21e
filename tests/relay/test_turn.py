"""A call of the widget's own connections through a real coturn, with ephemeral credentials (the
TURN REST scheme)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from actors.relay import Relay, RelayConfig
from tests.coturn import LOOPBACK_PEERS, coturn

from .pages import browser, join_as_widget, page_url, until_growing
from .recording import RecordingListener

pytestmark = pytest.mark.browser

__all__ = ["browser", "page_url"]

SECRET = "only-of-this-test"


@pytest.fixture
async def turn_port(tmp_path: Path) -> AsyncIterator[int]:
    """Debian's coturn with what is shipped, and loopback, where the relay is, let in beside it."""
    async with coturn(tmp_path, SECRET, beside=[LOOPBACK_PEERS]) as server:
        yield server.port


def credentials(name: str, secret: str = SECRET) -> tuple[str, str]:
    """An hour of TURN: the user name is its end, the password proves who issued it."""
    username = f"{int(time.time()) + 3600}:{name}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


async def test_a_call_passes_through_turn_alone(
    turn_port: int, browser: Browser, page_url: str
) -> None:
    relay = Relay(RelayConfig(), RecordingListener())
    await relay.open()
    try:
        pages = []
        for name in ("ada", "ben"):
            username, password = credentials(name)
            page = await browser.new_page()
            await page.goto(page_url)
            server = {
                "urls": f"turn:127.0.0.1:{turn_port}?transport=udp",
                "username": username,
                "credential": password,
            }
            await join_as_widget(relay, page, name, ice_servers=[server], relay_only=True)
            pages.append(page)
        await asyncio.gather(*(until_growing(page, people=1) for page in pages))
        for page in pages:
            sent = await page.evaluate("window.sent()")
            assert set(sent["candidates"]) == {"relay"}
    finally:
        await relay.close()
