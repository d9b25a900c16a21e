"""Every resource of a session returns: descriptors, tasks, memory (of a process of its own)."""

from __future__ import annotations

from typing import cast

import pytest

from actors.relay import Relay
from tests.patience import until

from .client import CraftedClient
from .remote import RemoteRelay

WARM_UP = 20


async def one_session(relay: RemoteRelay) -> None:
    """Let two people meet, see and hear each other, and leave."""
    clients = [CraftedClient(cast(Relay, relay), name) for name in ("ada", "ben")]
    for client in clients:
        await client.connect()
    for _ in range(5):
        clients[0].send_audio(level=10)
        clients[0].send_frame(key=True, parts=(bytes(900),) * 4)
    await until(lambda: len(clients[1].heard) >= 20)
    for client in clients:
        client.close()
    relay.start_afresh()


@pytest.mark.parametrize("sessions", [50, pytest.param(200, marks=pytest.mark.soak)])
async def test_every_resource_returns(sessions: int) -> None:
    """What 200 sessions may keep is 5 MB, of which fewer may keep no more."""
    relay = RemoteRelay()
    try:
        for _ in range(WARM_UP):
            await one_session(relay)
        before = relay.descriptors(), relay.tasks()
        memory = relay.unique_memory()
        for _ in range(sessions):
            await one_session(relay)
        assert (relay.descriptors(), relay.tasks()) == before
        assert relay.unique_memory() - memory < 5_000_000
    finally:
        relay.close()
