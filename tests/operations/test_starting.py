"""Ctrl-C while `up` and `demo` still start their actors."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Iterator

import pytest
from rich.console import Console

from gateway.commands.starting import hear_signals, start
from gateway.compose import entry as compose
from gateway.settings import BadSettings
from tests.patience import PATIENCE

SETTINGS = compose.ClusterSettings("secret", "sqlite:///none", "https://x", standbys=1)
NOWHERE = Console(file=io.StringIO())
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_word_to_stop_is_heard_while_the_start_goes_on(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    begun, given_up = asyncio.Event(), asyncio.Event()

    async def endless(settings: compose.ClusterSettings) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    monkeypatch.setattr(compose, "start_cluster", endless)
    starting = asyncio.create_task(start(SETTINGS, hear_signals(), NOWHERE))
    await begun.wait()
    os.kill(os.getpid(), number)
    async with asyncio.timeout(5 * PATIENCE):
        assert await starting is None
    assert given_up.is_set()


async def test_what_was_started_or_why_it_was_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = compose.Cluster(SETTINGS, ())

    async def starts(settings: compose.ClusterSettings) -> compose.Cluster:
        return cluster

    async def fails(settings: compose.ClusterSettings) -> compose.Cluster:
        raise BadSettings("No.")

    monkeypatch.setattr(compose, "start_cluster", starts)
    assert await start(SETTINGS, asyncio.Event(), NOWHERE) is cluster
    monkeypatch.setattr(compose, "start_cluster", fails)
    with pytest.raises(BadSettings):
        await start(SETTINGS, asyncio.Event(), NOWHERE)
