"""What every actor of a deployment is told when it is made: paths, never secrets."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from broker.keys import KeyPurpose, derive_key
from gateway.compose.node import on_this_node
from gateway.secret_file import read_secret


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What every actor of a deployment is told. Holds paths, never secrets."""

    secret_file: str
    database_url: str
    """SQLAlchemy URL; a PostgreSQL one must name its password by `PGPASSFILE`, not in itself."""
    public_url: str
    standbys: int
    """How many are kept when nobody comes. 0: never any, each session starts its own process."""
    accounts_file: str | None = None
    """Names webhooks and retention; at the same path on every node that may run the keeper."""
    demo: bool = False
    """Webhooks may go to this machine, also without TLS."""
    bind: tuple[str, ...] = ("127.0.0.1",)
    advertise: tuple[str, ...] = ()
    media_ports: tuple[int, int] = (0, 1)
    """First port and one past the last; (0, 1) lets the kernel choose."""
    policy: tuple[tuple[str, object], ...] = ()
    """Session policy values that differ from the defaults."""
    inside: str | None = None
    """Where ledger and session actors listen for trunks; `None`: the first of `bind`."""
    ice_servers: tuple[str, ...] = ()
    turn_secret_file: str | None = None
    relay_only: bool = False
    reuse: int = 20
    """How many further sessions of its account a session actor's process may hold; 0: none."""
    vacate_below: float = 0.0
    """`PoolPolicy.vacate_below`."""
    ledger_shards: int = 1
    """Among how many ledgers the accounts are divided."""
    shard: int = 0
    """Which of them this actor is, or belongs to; pool and keeper serve all."""
    reserve: int = 16
    """`PoolPolicy.reserve_limit`, over all ledgers."""

    def __getstate__(self) -> list[object]:
        return [getattr(self, each.name) for each in fields(self)]

    def __setstate__(self, state: list[object]) -> None:
        """Take what another release wrote: fields are added at the end, with defaults."""
        for place, each in enumerate(fields(self)):
            value = state[place] if place < len(state) else each.default
            object.__setattr__(self, each.name, value)

    @property
    def media_addresses(self) -> tuple[str, ...]:
        """`bind` on the node that asks."""
        return tuple(on_this_node(each) for each in self.bind)

    @property
    def inside_address(self) -> str:
        """Where an actor on the node that asks listens for trunks and links."""
        return on_this_node(self.inside or self.bind[0])

    def turn_secret(self) -> bytes | None:
        """Read the secret shared with the TURN servers."""
        if self.turn_secret_file is None:
            return None
        return Path(self.turn_secret_file).read_bytes().strip()

    def key(self, purpose: KeyPurpose) -> bytes:
        """Derive a key from the deployment's secret."""
        return derive_key(read_secret(Path(self.secret_file)), purpose)
