"""`switchboard top`: the deployment at a glance, from what its gateways show."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from gateway.commands.asking import Asking

TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """One gateway now. `None` where it does not say."""

    gateway: str
    up: bool
    ready: bool = False
    connections: int | None = None
    sessions: int | None = None
    standbys: int | None = None
    waiting: int | None = None
    moves: int | None = None
    refusals: int | None = None
    memory_mb: int | None = None


def look(client: httpx.Client, gateway: str) -> Row:
    """Ask one gateway; one that does not answer is a row too."""
    try:
        answer = client.get(f"{gateway}/metrics")
        answer.raise_for_status()
        samples = read_samples(answer.text)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        # Nobody there, or no gateway.
        return Row(gateway, up=False)

    def count(name: str) -> int | None:
        return int(samples[name]) if name in samples else None

    memory = samples.get("process_resident_memory_bytes")
    return Row(
        gateway,
        up=True,
        ready=samples.get("switchboard_gateway_ready") == 1.0,
        connections=count("switchboard_gateway_connections"),
        sessions=count("switchboard_sessions_live"),
        standbys=count("switchboard_standbys"),
        waiting=count("switchboard_openings_waiting"),
        moves=count("switchboard_gateway_moves_total"),
        refusals=count("switchboard_gateway_refusals_total") or 0,
        memory_mb=None if memory is None else round(memory / 1024**2),
    )


def read_samples(text: str) -> dict[str, float]:
    """Read Prometheus' text format, summed over labels."""
    samples: dict[str, float] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            bare = name.partition("{")[0]
            samples[bare] = samples.get(bare, 0.0) + float(value)
    return samples


def look_at_all(gateways: Sequence[str]) -> list[Row]:
    """Ask every gateway once."""
    with Asking(timeout_s=TIMEOUT_S) as client:
        return [look(client, each) for each in gateways]


def run_top(gateways: Sequence[str], period_s: float, console: Console) -> None:
    """Show them on a terminal until Ctrl-C."""
    never = threading.Event()
    with Live(table_of(look_at_all(gateways)), console=console, screen=True) as live:
        while not never.wait(period_s):
            live.update(table_of(look_at_all(gateways)))


def table_of(rows: Sequence[Row]) -> Table:
    """Write them as a table: what the deployment shares is the same in every row."""
    table = Table("gateway", "state", title="Switchboard")
    for name in ("connections", "sessions", "standbys", "waiting", "moves", "refusals", "MB"):
        table.add_column(name, justify="right")
    for row in rows:
        state = "[red]down" if not row.up else "[green]ready" if row.ready else "[yellow]not ready"
        shown = (row.connections, row.sessions, row.standbys, row.waiting, row.moves, row.refusals)
        table.add_row(
            row.gateway,
            state,
            *("-" if each is None else str(each) for each in (*shown, row.memory_mb)),
        )
    return table
