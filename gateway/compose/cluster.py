"""A whole deployment on the Ray that this process has joined: started, looked at, ended."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import ray
from ray.exceptions import ActorUnavailableError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from broker.errors import SwitchboardError
from broker.messages.cluster.nodes import PoolLevel
from gateway.compose.actor_class import actor_class
from gateway.compose.address import LedgerAddress
from gateway.compose.keeper_host import KeeperHost
from gateway.compose.ledger_host import LedgerHost
from gateway.compose.options import (
    ACTOR_START_S,
    KEEPER_NAME,
    KEEPER_OPTIONS,
    LEDGER_NAME,
    LEDGER_OPTIONS,
    LOOK_UP_S,
    NAMESPACE,
    POOL_NAME,
    POOL_OPTIONS,
    ledger_name,
)
from gateway.compose.pool_host import PoolHost
from gateway.compose.ray_runtime import find_actors
from gateway.compose.settings import ClusterSettings
from gateway.settings import Away, BadSettings

ASK_S = 10.0
_OPTIONS = {
    "accounts_file": "--accounts",
    "bind": "--media-bind",
    "database_url": "--database",
    "ice_servers": "--turn",
    "public_url": "--origin",
}
"""Of `up`, where a setting is not called as its option."""
AGAIN_S = 0.5
"""Before an actor that Ray is starting anew is asked again."""

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The handles a command needs of a running deployment."""

    settings: ClusterSettings
    ledgers: tuple[Any, ...]
    """The actors' handles, by shard. Calls through them need no look-up: they pass while Ray's GCS
    is away."""

    @property
    def resolvers(self) -> list[Callable[[], Awaitable[tuple[str, int]]]]:
        """What finds each shard's ledger."""
        return [LedgerAddress(shard) for shard in range(len(self.ledgers))]

    async def level(self) -> PoolLevel | None:
        """How many standbys and live sessions there are; `None` while a ledger is away."""
        levels: list[PoolLevel | None] = await _each(self.ledgers, lambda each: each.level.remote())
        known = [each for each in levels if each is not None]
        return PoolLevel.of_all(known) if len(known) == len(levels) else None


async def start_cluster(settings: ClusterSettings) -> Cluster:
    """Start or adopt ledgers, pool and keeper on the Ray this process is connected to.

    Raises:
        TimeoutError: Ray did not start them in time.
        BadSettings: what is there was started with other settings, or what is new failed to start.
    """
    options: dict[str, Any] = dict(LEDGER_OPTIONS)
    if settings.database_url.startswith("sqlite"):
        # The file lies here and nowhere else, so a restart must not move its ledger.
        here = ray.get_runtime_context().get_node_id()
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(here, soft=False)
    owner = secrets.token_urlsafe(12)
    try:
        async with asyncio.timeout(ACTOR_START_S):
            ledgers = []
            for shard in range(settings.ledger_shards):
                told = replace(settings, shard=shard)
                options["name"] = ledger_name(shard)
                ledger: Any = actor_class(LedgerHost).options(**options).remote(told, owner)
                _refuse_other(await _answer(ledger.settings), told)
                ledgers.append(ledger)
            await asyncio.gather(*(_answer(ledger.address) for ledger in ledgers))
            pool: Any = actor_class(PoolHost).options(**POOL_OPTIONS).remote(settings)
            keeper: Any = actor_class(KeeperHost).options(**KEEPER_OPTIONS).remote(settings)
            await asyncio.gather(_answer(pool.start), _answer(keeper.start))
    except RayError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise BadSettings(f"Ledger or pool did not start: {reason}") from error
    return Cluster(settings, tuple(ledgers))


async def _answer(method: Any) -> Any:
    """Call an actor's method, again while Ray starts the actor anew: it may have died just now."""
    while True:
        try:
            return await method.remote()
        except ActorUnavailableError:
            await asyncio.sleep(AGAIN_S)


def _refuse_other(running: ClusterSettings, wanted: ClusterSettings) -> None:
    for name in (each.name for each in fields(ClusterSettings) if each.name != "standbys"):
        theirs, ours = getattr(running, name), getattr(wanted, name)
        if theirs != ours:
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise BadSettings(
                f"The deployment that runs on this Ray has another {option}, {theirs!r} and not "
                f"{ours!r}; give the same, or end it by `switchboard down` first."
            )


async def _find_ledgers() -> list[Any]:
    """Find the ledgers' actors on the Ray that was joined; none: no deployment runs there.

    Raises:
        Away: Ray does not answer.
    """
    try:
        async with asyncio.timeout(LOOK_UP_S):
            names = [name for name in await asyncio.to_thread(find_actors) if _is_ledger(name)]
            return [await asyncio.to_thread(ray.get_actor, each, NAMESPACE) for each in names]
    except (TimeoutError, ValueError, RayError) as error:
        raise Away("Ray does not answer; try again in a moment.") from error


def _is_ledger(name: str) -> bool:
    return name.startswith(LEDGER_NAME)


async def _each(ledgers: Sequence[Any], question: Callable[[Any], Awaitable[T]]) -> list[T | None]:
    """Ask all at once; `None` of one that is away."""

    async def ask(ledger: Any) -> T | None:
        try:
            async with asyncio.timeout(LOOK_UP_S):
                return await question(ledger)
        except (TimeoutError, RayError):
            return None

    return await asyncio.gather(*(ask(each) for each in ledgers))


async def ask_ledgers(question: Callable[[Any], Awaitable[T]]) -> list[T]:
    """Ask the ledgers' actors on the Ray that was joined; `question` gets the handle of each.

    Raises:
        BadSettings: there are none, or one refuses, in one sentence.
        Away: one does not answer, or cannot do it now.
    """
    ledgers = await _find_ledgers()
    if not ledgers:
        raise BadSettings("No deployment runs on this Ray.")
    try:
        async with asyncio.timeout(ASK_S):
            return [await question(each) for each in ledgers]
    except SwitchboardError as error:
        raise (Away if error.retryable else BadSettings)(error.message) from error
    except (TimeoutError, RayError) as error:
        raise Away("The ledger does not answer; try again in a moment.") from error


async def pause_openings(for_s: float) -> int | None:
    """Have the ledgers of the Ray that was joined open no session for so long, 0 for again.

    Returns how many sessions are live or being opened; `None`: one of them does not answer.

    Raises:
        Away: Ray does not answer.
    """

    async def pause(ledger: Any) -> int:
        if hasattr(ledger, "pause_openings"):
            live: int = await ledger.pause_openings.remote(for_s)
            return live
        # One of the release before goes on opening sessions, and says how many are live.
        level: PoolLevel = await ledger.level.remote()
        return level.live

    counts = await _each(await _find_ledgers(), pause)
    return None if None in counts else sum(filter(None, counts))


async def end_cluster() -> int:
    """End every actor of the deployment; returns how many there were.

    Pool first, so that nothing is refilled; then the ledgers, so that no session is handed on and
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
    return {POOL_NAME: 0, KEEPER_NAME: 1}.get(name, 2 if _is_ledger(name) else 3), name


async def stop_cluster() -> None:
    """End pool, keeper and ledgers, in this order."""
    names = [POOL_NAME, KEEPER_NAME, LEDGER_NAME]
    with suppress(TimeoutError, RayError):
        async with asyncio.timeout(LOOK_UP_S):
            found = await asyncio.to_thread(find_actors)
            names += [each for each in found if _is_ledger(each) and each != LEDGER_NAME]
    for name in names:
        try:
            async with asyncio.timeout(LOOK_UP_S):
                host = await asyncio.to_thread(ray.get_actor, name, NAMESPACE)
                await host.stop.remote()
        except (TimeoutError, ValueError, RayError) as error:
            _LOG.info("actor did not stop in order", extra={"actor": name, "error": str(error)})
