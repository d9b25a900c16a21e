"""A session of Janus: what it is asked, and when its media count as connected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import janus_session
from benchmarks.janus_session import JanusSession


class Janus:
    """Stands for the WebSocket: answers every request, and says what it is told to say."""

    def __init__(self) -> None:
        self.on_text: Callable[[bytes], None] = lambda text: None
        self._handles = 0

    def send(self, text: bytes) -> None:
        asked = json.loads(text)
        self._handles += asked["janus"] == "attach"
        answered = {"janus": "success", "data": {"id": self._handles}}
        self.say({**answered, "transaction": asked["transaction"]})

    def say(self, message: dict[str, Any]) -> None:
        self.on_text(json.dumps(message).encode())


async def test_a_handles_media_are_connected_when_janus_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(janus_session, "ASK_SECONDS", 0.02)
    janus = Janus()
    session = JanusSession(janus)  # type: ignore[arg-type]
    first, second = await session.attach(), await session.attach()
    janus.say({"janus": "webrtcup", "session_id": 1, "sender": second})
    janus.say({"janus": "webrtcup", "session_id": 1, "sender": 99})
    await session.connected(second)
    with pytest.raises(TimeoutError):
        await session.connected(first)
    waiting = asyncio.create_task(session.connected(first))
    await asyncio.sleep(0)
    janus.say({"janus": "webrtcup", "session_id": 1, "sender": first})
    await waiting
