"""`switchboard top` reads what gateways export."""

from __future__ import annotations

import io
import json
import re

import httpx
from rich.console import Console
from typer.testing import CliRunner

from broker.messages.cluster.nodes import PoolLevel
from gateway.commands.command import app
from gateway.commands.top import Row, look, table_of
from gateway.level import Level
from gateway.metrics import Metrics


async def shown(level: PoolLevel | None) -> Row:
    """The row of a gateway whose ledger says this."""
    metrics = Metrics()

    async def ask() -> PoolLevel | None:
        return level

    added = Level(ask, lambda: True, lambda: True)
    added.install(metrics.registry)
    await added.refresh()
    metrics.connections.set(3)
    metrics.refusals.labels(code="malformed").inc()
    metrics.refusals.labels(code="rate_limited").inc(2)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=metrics.render()))
    with httpx.Client(transport=transport) as client:
        return look(client, "http://gateway")


async def test_a_gateway_is_a_row() -> None:
    row = await shown(PoolLevel(standbys=4, live=2, queued=1))
    assert (row.up, row.ready, row.connections, row.refusals) == (True, True, 3, 3)
    assert (row.sessions, row.standbys, row.waiting) == (2, 4, 1)
    assert row.memory_mb


async def test_a_level_that_cannot_be_told_is_asked_for_again() -> None:
    levels = iter([PoolLevel(standbys=1, live=0, queued=0)] * 2)
    asked = 0

    async def ask() -> PoolLevel | None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise AttributeError("of another release")
        return next(levels)

    level = Level(ask, lambda: True, lambda: True)
    known = []
    for _ in range(3):
        await level.refresh()
        known.append("switchboard_standbys" in {metric.name for metric in level.collect()})
    assert known == [True, False, True]


async def test_what_nobody_knows_is_no_number() -> None:
    row = await shown(None)
    assert row.sessions is None
    out = io.StringIO()
    Console(file=out, width=120).print(table_of([row, Row("http://other", up=False)]))
    assert "ready" in out.getvalue()
    assert "down" in out.getvalue()


def test_a_gateway_that_is_down_sets_the_exit_status() -> None:
    words = ["top", "--gateway", "http://127.0.0.1:9"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 1
    assert json.loads(result.output)[0]["up"] is False
    # Into a pipe, too, it is one look; workers of the tests are told how wide a terminal is.
    result = CliRunner().invoke(app, words, env={"COLUMNS": None})
    assert result.exit_code == 1
    assert re.search(r"http://127\.0\.0\.1:9 .* down ", result.output)
