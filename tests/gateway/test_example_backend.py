"""The example that a brand's developer copies works as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from actors.keeper.signature import HEADER, sign
from gateway.proofs.tokens import Audience
from tests.gateway.conftest import API_KEY, World
from tests.patience import PATIENCE, until
from tests.ports import free_port

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "backend.py"
SECRET = b"s" * 32


class Running:
    """The example in a process of its own."""

    def __init__(self, gateway: str) -> None:
        self.port = free_port()
        environment = {
            "SWITCHBOARD_GATEWAY": gateway,
            "SWITCHBOARD_API_KEY": API_KEY,
            "WEBHOOK_SECRET": SECRET.decode(),
            "PORT": str(self.port),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLE)],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ready(self) -> bool:
        try:
            return httpx.options(f"http://127.0.0.1:{self.port}/", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def stop(self) -> str:
        """End it; returns what it printed."""
        self.process.terminate()
        printed, _ = self.process.communicate(timeout=10 * PATIENCE)
        return printed


@pytest.fixture
async def backend(world: World) -> AsyncIterator[Running]:
    running = Running(world.origin)
    try:
        await until(running.ready, "the example's first answer", within=30 * PATIENCE)
        yield running
    finally:
        running.stop()


def test_it_can_be_read_in_a_minute() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60


async def test_a_logged_in_agent_gets_a_token_and_nobody_else(
    world: World, backend: Running
) -> None:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{backend.port}", trust_env=False
    ) as agent:
        refused = await agent.post("/switchboard-token", json={"agent_id": "7"})
        asked = await agent.post(
            "/switchboard-token", json={}, headers={"Cookie": "session=session-of-alex"}
        )
    assert refused.status_code == 401
    assert asked.headers["access-control-allow-origin"] == world.origin
    proof = world.tokens.read(asked.json()["token"], Audience.AGENT)
    assert (proof.principal.agent_id, proof.principal.name) == ("7", "Alex")


async def test_events_are_taken_once_and_only_when_ours(backend: Running) -> None:
    body = json.dumps(
        {"id": "s:1", "at_ms": 5, "session_id": "s", "type": "session.ended"}
    ).encode()
    now = int(time.time())
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{backend.port}", trust_env=False
    ) as keeper:

        async def deliver(signature: str | bytes, body: bytes = body) -> int:
            said = signature if isinstance(signature, bytes) else signature.encode()
            head = {HEADER.encode(): said}
            return (
                await keeper.post("/switchboard-events", content=body, headers=head)
            ).status_code

        assert [await deliver(sign(SECRET, now, body)) for _ in range(2)] == [204, 204]
        for wrong in (
            *("", "t=x,v1=y", sign(b"x" * 32, now, body), sign(SECRET, now - 400, body)),
            *(f"t={now},v1=é".encode(), f"t={now},v1=\N{SUPERSCRIPT TWO}".encode()),
            *("t=²,v1=y".encode("latin-1"), b"t=" + b"9" * 5_000 + b",v1=y"),
        ):
            assert await deliver(wrong) == 401
        assert await deliver(sign(SECRET, now, body), body + b" ") == 401
    assert backend.stop() == "5 s session.ended\n"
