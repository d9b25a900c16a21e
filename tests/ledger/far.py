"""The far end of a link, for tests of the near one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack

from actors.chores import Chores
from actors.link import ListenedEnd, answer
from actors.listener import Listener
from broker.messages.cluster.base import ClusterMessage, Done
from broker.messages.cluster.members import LinkHello
from broker.messages.cluster.sessions import SessionLocate
from tests.ledger.fakes import HOST, KEY

HELLO = LinkHello(kind="gateway", member_id="m", node="n")
ASK = SessionLocate(session_id="s")


class Far:
    """The listening side of a test: counts links, answers calls as told."""

    def __init__(self) -> None:
        self.ends: list[ListenedEnd] = []
        self.asked: list[str] = []
        self.chores = Chores()
        self.reply: Callable[[str], ClusterMessage] = lambda _: Done()

    def greet(self, end: ListenedEnd, hello: bytes) -> None:
        self.ends.append(end)

        async def handle(method: str, payload: bytes) -> ClusterMessage:
            self.asked.append(json.loads(payload)["session_id"])
            return self.reply(method)

        end.on_call = lambda _, method, payload, reply: self.start(
            answer(reply, method, payload, handle)
        )
        end.accept(b'{"term": 7}')

    def start(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        self.chores.start(work)


async def listen(far: Far, stack: AsyncExitStack, **bounds: float) -> tuple[Listener, int]:
    listener = Listener(KEY, far.greet, **bounds)  # type: ignore[arg-type]  # numbers all
    port = await listener.start(HOST, 0)
    stack.push_async_callback(listener.close)
    return listener, port
