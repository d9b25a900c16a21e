"""The composition root: the one module that imports both sides and wraps them in Ray.

Every actor's options, name and namespace stand here. No id of a person or account and no secret
appears in a name, an argument or a runtime environment, because Ray's dashboard and logs show
them: actors read the deployment's secret from a file only its owner can read.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import ray.actor
import ray.util
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from broker.errors import ErrorCode, Unavailable
from broker.keys import KeyPurpose, derive_key
from broker.messages.cluster import LinkHello, PoolLevel
from gateway.deployment import NODE
from gateway.settings import BadSettings

if TYPE_CHECKING:
    from actors.keeper import Keeper
    from actors.ledger import Ledger
    from actors.pool import Pool
    from actors.session.actor import SessionActor

_LOG = logging.getLogger(__name__)

NAMESPACE = "switchboard"
LEDGER_NAME = "ledger"
POOL_NAME = "pool"
KEEPER_NAME = "keeper"
SESSION_PREFIX = "session-"
"""A session actor's name goes on with chance: it is how `down` finds those that are detached."""
MEDIA_SLOT = "media_slot"
ACTOR_START_S = 60.0
LOOK_UP_S = 3.0

LEDGER_OPTIONS = {
    "name": LEDGER_NAME,
    "namespace": NAMESPACE,
    "lifetime": "detached",
    "get_if_exists": True,
    "max_restarts": -1,
    "num_cpus": 0.05,
    "memory": 200 * 1024 * 1024,
}
POOL_OPTIONS = {
    "name": POOL_NAME,
    "namespace": NAMESPACE,
    "lifetime": "detached",
    "get_if_exists": True,
    "max_restarts": -1,
    "num_cpus": 0.05,
    "memory": 120 * 1024 * 1024,
}
KEEPER_OPTIONS = {**POOL_OPTIONS, "name": KEEPER_NAME}
# Without num_cpus a custom resource would take a whole CPU for life; without any resource an
# actor lands anywhere and tells the autoscaler nothing.
SESSION_OPTIONS = {
    "namespace": NAMESPACE,
    "lifetime": "detached",
    "max_restarts": 0,
    "num_cpus": 0.01,
    "memory": 100 * 1024 * 1024,
    "resources": {MEDIA_SLOT: 1},
}


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What every actor of a deployment is told. Holds paths, never secrets."""

    secret_file: str
    database_url: str
    """SQLAlchemy URL; a PostgreSQL one must name its password by `PGPASSFILE`, not in itself."""
    public_url: str
    standbys: int
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

    @property
    def media_addresses(self) -> tuple[str, ...]:
        """`bind` on the node that asks."""
        return tuple(_on_this_node(each) for each in self.bind)

    @property
    def inside_address(self) -> str:
        """Where an actor on the node that asks listens for trunks and links."""
        return _on_this_node(self.inside or self.bind[0])

    def turn_secret(self) -> bytes | None:
        """Read the secret shared with the TURN servers."""
        if self.turn_secret_file is None:
            return None
        return Path(self.turn_secret_file).read_bytes().strip()

    def key(self, purpose: KeyPurpose) -> bytes:
        """Derive a key from the deployment's secret."""
        return derive_key(read_secret(Path(self.secret_file)), purpose)


def read_secret(path: Path) -> bytes:
    """Read the deployment's secret: at least 32 bytes, in a file nobody else may read.

    Raises:
        ValueError: too short, or readable by others; the sentence says what to do.
    """
    if path.stat().st_mode & 0o077:
        raise ValueError(f"Others can read {path}; run `chmod 600` on it.")
    secret = path.read_bytes().strip()
    if len(secret) < 32:
        raise ValueError(f"The secret in {path} is shorter than 32 bytes.")
    return secret


def steady_clock() -> Callable[[], int]:
    """Return a clock of wall milliseconds that does not step when the machine's clock does."""
    start_ms = time.time_ns() // 1_000_000 - time.monotonic_ns() // 1_000_000
    return lambda: start_ms + time.monotonic_ns() // 1_000_000


class LedgerAddress:
    """Finds the ledger: where it was, then by asking Ray, since a restart may have moved it."""

    def __init__(self) -> None:
        self._known: tuple[str, int] | None = None
        self._trust = False

    async def __call__(self) -> tuple[str, int]:
        """Return host and port. Raises Unavailable when Ray does not answer either."""
        if self._known is not None and self._trust:
            self._trust = False
            return self._known
        try:
            async with asyncio.timeout(LOOK_UP_S):
                ledger = await asyncio.to_thread(ray.get_actor, LEDGER_NAME, NAMESPACE)
                self._known = await ledger.address.remote()
        except (TimeoutError, ValueError, RayError) as error:
            if self._known is None:
                raise Unavailable(ErrorCode.LEDGER_AWAY, "The ledger cannot be found.") from error
        self._trust = True
        assert self._known is not None
        return self._known


class LedgerHost:
    """The ledger in a Ray actor."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._ledger: Ledger | None = None
        self._address: tuple[str, int] | None = None
        self._starting = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    async def address(self) -> tuple[str, int]:
        """Start it if this process is new, and say where it listens."""
        async with self._starting:
            if self._address is None:
                from actors.ledger import Ledger, LedgerPolicy

                settings = self._settings
                self._ledger = Ledger(
                    settings.database_url,
                    settings.key(KeyPurpose.TRUNK),
                    now_ms=steady_clock(),
                    policy=LedgerPolicy(session=dict(settings.policy)),
                )
                host = settings.inside_address
                self._address = (host, await self._ledger.start(host, 0))
                self._watching = asyncio.create_task(self._watch(self._ledger))
        return self._address

    async def settings(self) -> ClusterSettings:
        """What it was started with: who adopts it must want the same."""
        return self._settings

    async def level(self) -> PoolLevel:
        """How many standbys and live sessions there are."""
        if self._ledger is None:
            return PoolLevel(standbys=0, live=0, queued=0)
        return self._ledger.level()

    async def stop(self) -> None:
        """Close the database in order."""
        if self._watching is not None:
            self._watching.cancel()
        if self._ledger is not None:
            await self._ledger.close()

    async def _watch(self, ledger: Ledger) -> None:
        """End the process when another ledger took the term: Ray then starts a new one."""
        await ledger.stopped.wait()
        _LOG.error("the ledger lost its term")
        os._exit(1)


class PoolHost:
    """The pool in a Ray actor. It starts by itself, also when Ray has restarted it."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._pool: Pool | None = None
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def start(self) -> None:
        """Wait until it keeps standbys."""
        await self._starting

    async def stop(self) -> None:
        """Start no more standbys."""
        await self._starting
        if self._pool is not None:
            await self._pool.close()

    async def _start(self) -> None:
        from actors.pool import Pool, PoolPolicy

        self._pool = Pool(
            self._start_standby,
            LedgerAddress(),
            self._settings.key(KeyPurpose.TRUNK),
            LinkHello(kind="pool", member_id=secrets.token_urlsafe(12), node=node_name()),
            policy=PoolPolicy(target=self._settings.standbys),
        )
        await self._pool.start()

    async def _start_standby(self) -> None:
        options = {**SESSION_OPTIONS, "name": SESSION_PREFIX + secrets.token_hex(8)}
        host: Any = ray.remote(SessionHost).options(**options).remote(self._settings)
        try:
            async with asyncio.timeout(ACTOR_START_S):
                await host.start.remote()
        except BaseException:
            ray.kill(host)
            raise
        # Runs until the session is over; the actor then exits, whether or not this pool lives.
        host.live.remote()


class KeeperHost:
    """The keeper in a Ray actor. It starts by itself, also when Ray has restarted it."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._keeper: Keeper | None = None
        self._starting = asyncio.get_running_loop().create_task(self._start())

    async def start(self) -> None:
        """Wait until it looks after the ledger."""
        await self._starting

    async def stop(self) -> None:
        """End what it was sending; the next keeper sends it again."""
        await self._starting
        if self._keeper is not None:
            await self._keeper.close()

    async def _start(self) -> None:
        from actors.keeper import Keeper

        self._keeper = Keeper(
            LedgerAddress(),
            self._settings.key(KeyPurpose.TRUNK),
            LinkHello(kind="keeper", member_id=secrets.token_urlsafe(12), node=node_name()),
            now_ms=steady_clock(),
        )
        await self._keeper.start()


class SessionHost:
    """One session actor in a Ray actor: a standby, then a session, then gone."""

    def __init__(self, settings: ClusterSettings) -> None:
        self._settings = settings
        self._actor: SessionActor | None = None
        self._over = asyncio.Event()

    async def start(self) -> str:
        """Enlist as a standby; returns the member id."""
        from actors.relay import RelayConfig
        from actors.session.actor import SessionActor
        from actors.session.config import SessionConfig

        settings = self._settings
        self._actor = SessionActor(
            SessionConfig(
                node=node_name(),
                trunk_key=settings.key(KeyPurpose.TRUNK),
                trunk_host=settings.inside_address,
                public_url=settings.public_url,
                ice_servers=settings.ice_servers,
                turn_secret=settings.turn_secret(),
                relay_only=settings.relay_only,
                relay=RelayConfig(
                    bind=settings.media_addresses,
                    advertise=settings.advertise,
                    ports=range(*settings.media_ports),
                ),
            ),
            LedgerAddress(),
            now_ms=steady_clock(),
            on_over=self._over.set,
        )
        await self._actor.start()
        # What lives from here to the end of the process need not be looked at by the collector.
        gc.collect()
        gc.freeze()
        return self._actor.member_id

    async def live(self) -> None:
        """Wait for the end of the session, then end the process."""
        await self._over.wait()
        if self._actor is not None:
            await self._actor.close()
        ray.actor.exit_actor()  # type: ignore[no-untyped-call]


def _on_this_node(address: str) -> str:
    if address != NODE:
        return address
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def node_name() -> str:
    """How this machine's Ray node is called in the ledger."""
    return str(ray.get_runtime_context().get_node_id())[:12]


@dataclass(frozen=True, slots=True)
class Cluster:
    """The handles a command needs of a running deployment."""

    settings: ClusterSettings
    resolve_ledger: Callable[[], Awaitable[tuple[str, int]]]
    ledger: Any
    """The actor's handle. Calls through it need no look-up: they pass while Ray's GCS is away."""

    async def level(self) -> PoolLevel | None:
        """How many standbys and live sessions there are; `None` while the ledger is away."""
        try:
            async with asyncio.timeout(LOOK_UP_S):
                level: PoolLevel = await self.ledger.level.remote()
                return level
        except (TimeoutError, RayError):
            return None


async def start_cluster(settings: ClusterSettings) -> Cluster:
    """Start or adopt ledger, pool and keeper on the Ray this process is connected to.

    Raises:
        TimeoutError: Ray did not start them in time.
        BadSettings: what is there was started with other settings, or what is new failed to start.
    """
    options: dict[str, Any] = dict(LEDGER_OPTIONS)
    if settings.database_url.startswith("sqlite"):
        # The file lies here and nowhere else, so a restart must not move its ledger.
        here = ray.get_runtime_context().get_node_id()
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(here, soft=False)
    try:
        async with asyncio.timeout(ACTOR_START_S):
            ledger: Any = ray.remote(LedgerHost).options(**options).remote(settings)
            _refuse_other(await ledger.settings.remote(), settings)
            await ledger.address.remote()
            pool: Any = ray.remote(PoolHost).options(**POOL_OPTIONS).remote(settings)
            keeper: Any = ray.remote(KeeperHost).options(**KEEPER_OPTIONS).remote(settings)
            await asyncio.gather(pool.start.remote(), keeper.start.remote())
    except RayError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise BadSettings(f"Ledger or pool did not start: {reason}") from error
    return Cluster(settings, LedgerAddress(), ledger)


def _refuse_other(running: ClusterSettings, wanted: ClusterSettings) -> None:
    for each in fields(ClusterSettings):
        if each.name != "standbys" and getattr(running, each.name) != getattr(wanted, each.name):
            raise BadSettings(
                f"A deployment with another {each.name} runs on this Ray; give the same, or end "
                "it by `switchboard down` first."
            )


def join_ray(address: str) -> None:
    """Connect to an existing Ray, of which this machine must be a node.

    Raises:
        BadSettings: it cannot be joined, in one sentence.
    """
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError, ConnectionError, RayError) as error:
        first = str(error).strip().splitlines()[0]
        raise BadSettings(f"The Ray at {address} cannot be joined: {first}") from error


def count_nodes() -> int:
    """How many nodes of the Ray that this process has joined are alive."""
    return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]


def find_actors() -> list[str]:
    """Name the deployment's actors on the Ray that this process has joined."""
    named: list[Any] = ray.util.list_named_actors(all_namespaces=True)
    return sorted(each["name"] for each in named if each["namespace"] == NAMESPACE)


async def running_level() -> PoolLevel | None:
    """Ask the ledger of the Ray that was joined; `None` when there is none or it is away."""
    try:
        async with asyncio.timeout(LOOK_UP_S):
            ledger: Any = await asyncio.to_thread(ray.get_actor, LEDGER_NAME, NAMESPACE)
            level: PoolLevel = await ledger.level.remote()
            return level
    except (TimeoutError, ValueError, RayError):
        return None


async def end_cluster() -> int:
    """End every actor of the deployment; returns how many there were.

    Pool first, so that nothing is refilled; then the ledger, so that no session is handed on and
    uses up its takeovers; then sessions and standbys. What was acknowledged is in the database.

    Raises:
        TimeoutError: some are still there.
    """
    await stop_cluster()
    ended: set[str] = set()
    async with asyncio.timeout(ACTOR_START_S):
        # Ray forgets a name when its process is gone; a start that was under way appears late.
        while names := await asyncio.to_thread(find_actors):
            for name in sorted(names, key=_end_order):
                ended.add(name)
                with suppress(ValueError, RayError):
                    ray.kill(await asyncio.to_thread(ray.get_actor, name, NAMESPACE))
            await asyncio.sleep(0.1)
    return len(ended)


def _end_order(name: str) -> tuple[int, str]:
    return {POOL_NAME: 0, KEEPER_NAME: 1, LEDGER_NAME: 2}.get(name, 3), name


async def stop_cluster() -> None:
    """End pool, sessions and ledger, in this order."""
    for name in (POOL_NAME, KEEPER_NAME, LEDGER_NAME):
        try:
            async with asyncio.timeout(LOOK_UP_S):
                host = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
                await host.stop.remote()
        except (TimeoutError, ValueError, RayError) as error:
            _LOG.info("actor did not stop in order", extra={"actor": name, "error": str(error)})


def private_ray(folder: Path, media_slots: int) -> None:
    """Start a Ray of our own on loopback, separate from any other on this machine.

    `folder` is that of `ray_environment.private_folder`, entered before Ray was imported.

    Raises:
        BadSettings: Ray did not start, in one sentence.
    """
    try:
        ray.init(
            address="local",
            namespace=NAMESPACE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            num_cpus=max(2, os.cpu_count() or 2),
            resources={MEDIA_SLOT: float(media_slots)},
            object_store_memory=80 * 1024 * 1024,
            _temp_dir=str(folder),
            _node_ip_address="127.0.0.1",
        )
    except (OSError, RuntimeError, ValueError, ConnectionError, RayError) as error:
        first = str(error).strip().splitlines()[0]
        raise BadSettings(f"Ray did not start: {first}") from error


def stop_ray() -> None:
    """End the private Ray and every process it started; harmless when there is none."""
    ray.shutdown()


async def ask_database(url: str) -> float | None:
    """Ask the ledger's database for its time, in seconds since 1970; `None` for SQLite.

    Raises:
        SQLAlchemyError, OSError, ValueError: it does not answer, or is none.
    """
    import sqlalchemy as sa

    from actors.ledger.database import Database

    database = Database(url)
    try:
        async with asyncio.timeout(LOOK_UP_S), database.read() as connection:
            if database.is_sqlite:
                await connection.execute(sa.text("SELECT 1"))
                return None
            asked = sa.text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
            return float(await connection.scalar(asked))
    finally:
        await database.close()
