"""A person's line to everything, sound, picture and signalling, which may go and come back."""

from __future__ import annotations

import re

from playwright.async_api import BrowserContext

from benchmarks.shaper import Shaper
from tests.proxy import SocksProxy

BY_THE_LINE = """(() => {
  const { prototype } = RTCPeerConnection;
  const { setRemoteDescription } = prototype;
  prototype.setRemoteDescription = async function byTheLine({ type, sdp }) {
    return setRemoteDescription.call(this, { type, sdp: await window.byTheLine(sdp) });
  };
})()"""
CANDIDATE = re.compile(r"(?<= 127\.0\.0\.1 )\d+(?= typ host)")


class Line:
    """What a browser context sends and is sent goes through here. `close` ends it.

    What is gone is gone without a word: nothing is refused, closed or reset by it, no address
    changes, and the browser is told nothing. What TCP has on the way comes later, media do not.
    """

    def __init__(self) -> None:
        self._signalling = SocksProxy()
        self._media: dict[int, Shaper] = {}
        """By the port of the relay."""
        self._gone = False

    async def start(self) -> str:
        """Listen; returns what to give to a new context as its proxy."""
        await self._signalling.start()
        return f"socks5://127.0.0.1:{self._signalling.port}"

    async def carry(self, context: BrowserContext) -> None:
        """Have what a relay answers in these pages name this line in its place."""
        await context.expose_function("byTheLine", self._through)
        await context.add_init_script(BY_THE_LINE)

    def go(self) -> None:
        """Let nothing through, in either direction."""
        self._gone = True
        self._signalling.hold()
        for each in self._media.values():
            each.cut = True

    def come_back(self) -> None:
        """Be as before."""
        self._gone = False
        self._signalling.release()
        for each in self._media.values():
            each.cut = False

    async def close(self) -> None:
        await self._signalling.close()
        for each in self._media.values():
            each.close()

    async def _through(self, sdp: str) -> str:
        def instead(port: re.Match[str]) -> str:
            relay = int(port[0])
            if relay not in self._media:
                self._media[relay] = Shaper(("127.0.0.1", relay))
                self._media[relay].cut = self._gone
            return str(self._media[relay].port)

        return CANDIDATE.sub(instead, sdp)
