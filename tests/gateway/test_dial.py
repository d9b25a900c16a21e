"""A dial that is given up leaves nothing behind, also when it succeeds that very moment."""

from __future__ import annotations

import asyncio

import pytest

from broker.messages.cluster.trunk import Principal, TrunkHello
from broker.words import Role, Surface
from gateway.links.dial import End, dial
from tests.gateway.conftest import KEY
from tests.gateway.fake_session import FakeSession
from tests.patience import until

HELLO = TrunkHello(
    session_id="s-1",
    epoch=1,
    connection_id="c-1",
    gateway_id="g-1",
    principal=Principal(role=Role.CONSUMER, account_id="acc"),
    surface=Surface.WINDOW,
    visible=True,
)


async def test_a_dial_cancelled_as_it_succeeds_leaves_no_connection() -> None:
    """Else somebody would stand in the session whom no widget stands for, and nobody watches."""
    session = FakeSession(KEY, "s-1")
    await session.start()
    ends: list[End] = []

    def prepare(end: End) -> None:
        ends.append(end)
        end.on_frame = lambda end, kind, body: None
        # Before the dialler wakes up.
        end.ready.add_done_callback(lambda _: task.cancel())

    async def run() -> None:
        await dial("127.0.0.1", session.port, KEY, HELLO.to_bytes(), timeout_s=5, prepare=prepare)

    task = asyncio.create_task(run())
    try:
        with pytest.raises(asyncio.CancelledError):
            await task
        [end] = ends
        assert end.is_ready
        await until(lambda: not session.callers, "the session has nobody")
    finally:
        await session.stop()
