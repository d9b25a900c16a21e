"""What a part writes into its log is a line that a program can read, with the ids in it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from typing import Any

import pytest

from gateway.compose.keeper_host import KeeperHost
from gateway.compose.ledger_host import LedgerHost
from gateway.compose.pool_host import PoolHost
from gateway.compose.session_host import SessionHost
from gateway.compose.settings import ClusterSettings

SETTINGS = ClusterSettings("secret", "sqlite:///none", "https://x", standbys=1)


async def nothing(*_: object) -> None:
    """Stand for what a host begins by itself."""


def begun(host: type[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ray make an actor of this class."""
    for work in ("_start", "_begin", "_watch"):
        if hasattr(host, work):
            monkeypatch.setattr(host, work, nothing)

    async def make() -> None:
        host(SETTINGS)
        await asyncio.sleep(0)

    if host is SessionHost:
        made = SessionHost(SETTINGS)
        made._orphaned.cancel()
        made._loop.close()
        asyncio.set_event_loop(None)
    else:
        asyncio.run(make())


@pytest.mark.parametrize("host", [SessionHost, LedgerHost, PoolHost, KeeperHost])
def test_an_actor_s_lines_are_json_with_their_facts(
    host: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    begun(host, monkeypatch)
    logger = logging.getLogger("actors.somewhere")
    logger.info("not told")
    logger.warning("A takeover was given up.", extra={"session_id": "s-1", "why": "no standby"})
    (line,) = said.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["message"]) == ("warning", "A takeover was given up.")
    assert (told["logger"], told["session_id"]) == ("actors.somewhere", "s-1")
    assert "at" in told
    assert not any(name.startswith("_") for name in told), "what Ray adds for itself"
