"""What each of our Ray actors is told when it is composed, without Ray."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.exceptions import ActorUnavailableError

import actors.keeper
import actors.ledger
import actors.pool
from broker.keys import KeyPurpose
from gateway.commands import logs
from gateway.compose import cluster, keeper_host, pool_host, session_host
from gateway.compose.actor_class import actor_class
from gateway.compose.keeper_host import KeeperHost
from gateway.compose.ledger_host import LedgerHost
from gateway.compose.options import KEEPER_NAME, LEDGER_NAME, POOL_NAME
from gateway.compose.pool_host import PoolHost
from gateway.compose.session_host import SessionHost
from gateway.compose.settings import ClusterSettings
from gateway.links.trunk_tls import TrunkTls, trunk_tls
from gateway.settings import BadSettings

HERE = "0" * 56
"""A node of Ray, by its id."""


def told(folder: Path, database_url: str = "sqlite:///none") -> ClusterSettings:
    """What `up` tells every actor, with a secret in this folder."""
    secret = folder / "secret"
    secret.touch(mode=0o600)
    secret.write_text("0" * 64)
    return ClusterSettings(str(secret), database_url, "https://x", standbys=1)


class Recorder:
    """Stands for what a host hosts; remembers how its links are encrypted."""

    tls: list[object]

    def __init__(self, *_: object, tls: object, **__: object) -> None:
        self.tls.append(tls)
        self.stopped = asyncio.Event()

    async def start(self, *_: object) -> int:
        return 1

    async def close(self) -> None:
        pass


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """How links are encrypted, of all that is composed from now on."""
    Recorder.tls = []
    for module, name in (
        (actors.ledger, "Ledger"),
        (actors.keeper, "Keeper"),
        (actors.pool, "Pool"),
    ):
        monkeypatch.setattr(module, name, Recorder)
    for module in (keeper_host, pool_host, session_host):
        monkeypatch.setattr(module, "node_name", lambda: "here")
    monkeypatch.setattr(session_host, "node_label", lambda: "")
    monkeypatch.setattr(pool_host, "list_nodes", lambda: [])
    monkeypatch.setattr(logs, "configure", lambda: None)
    return Recorder.tls


def of(settings: ClusterSettings) -> TrunkTls:
    return trunk_tls(settings.key(KeyPurpose.TRUNK))


async def test_the_ledger_encrypts_its_links(tmp_path: Path, recorded: list[object]) -> None:
    settings = told(tmp_path)
    host = LedgerHost(settings)
    await host.address()
    await host.stop()
    assert recorded == [of(settings)]


@pytest.mark.parametrize("kind", [KeeperHost, PoolHost])
async def test_keeper_and_pool_encrypt_their_link(
    tmp_path: Path, recorded: list[object], kind: type[KeeperHost | PoolHost]
) -> None:
    settings = told(tmp_path)
    host = kind(settings)
    await host.start()
    await host.stop()
    assert recorded == [of(settings)]


async def test_a_session_actor_encrypts_its_links_and_is_lonely_after_ten_seconds(
    tmp_path: Path, recorded: list[object]
) -> None:
    settings = told(tmp_path)
    config = session_host.succession_of(settings)._config
    assert config.tls is of(settings)
    assert config.lonely_s == 10.0


class Composed:
    """Stands for an actor's class and its handle at Ray; remembers the options it was made with."""

    def __init__(
        self,
        options: dict[str, dict[str, Any]],
        *,
        deaths: int = 0,
        runs: ClusterSettings | None = None,
    ) -> None:
        """`deaths` is how often each call finds the actor being started anew; `runs` are the
        settings of one that runs already."""
        self._made = options
        self._runs = runs
        self._told: ClusterSettings | None = None
        self._calls = Counter[str]()
        self._deaths = deaths

    def options(self, **options: Any) -> Composed:
        self._made[options["name"]] = options
        return self

    def remote(self, settings: ClusterSettings, *owner: str) -> Composed:
        self._told = self._runs or settings
        return self

    def __getattr__(self, method: str) -> SimpleNamespace:
        async def answer() -> ClusterSettings | None:
            self._calls[method] += 1
            if self._calls[method] <= self._deaths:
                raise ActorUnavailableError("it is being restarted", None)
            return self._told

        return SimpleNamespace(remote=answer)


@pytest.mark.parametrize(
    ("database_url", "stays"),
    [("sqlite:////data/ledger.sqlite3", True), ("postgresql://ledger@db/switchboard", False)],
)
async def test_a_ledger_on_sqlite_stays_on_the_node_that_has_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str, stays: bool
) -> None:
    made: dict[str, dict[str, Any]] = {}
    here = SimpleNamespace(get_node_id=lambda: HERE)
    joined = SimpleNamespace(get_runtime_context=lambda: here)
    monkeypatch.setattr(cluster, "actor_class", lambda host: Composed(made))
    monkeypatch.setattr(cluster, "ray", joined)
    await cluster.start_cluster(told(tmp_path, database_url))
    assert set(made) == {LEDGER_NAME, POOL_NAME, KEEPER_NAME}
    bound = made[LEDGER_NAME].get("scheduling_strategy")
    where = None if bound is None else (bound.node_id, bound.soft)
    assert where == ((HERE, False) if stays else None), "wherever else, it had no file"
    assert "scheduling_strategy" not in made[POOL_NAME] | made[KEEPER_NAME]


async def test_what_ray_is_starting_anew_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = SimpleNamespace(get_node_id=lambda: HERE)
    monkeypatch.setattr(cluster, "actor_class", lambda host: Composed({}, deaths=2))
    monkeypatch.setattr(cluster, "ray", SimpleNamespace(get_runtime_context=lambda: here))
    monkeypatch.setattr(cluster, "AGAIN_S", 0.0)
    settings = told(tmp_path)
    assert (await cluster.start_cluster(settings)).settings == settings


async def test_another_deployment_is_refused_by_the_option_that_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = told(tmp_path, "postgresql://ledger@db/switchboard")
    wanted = {
        "--origin, 'https://x' and not 'https://y'": replace(runs, public_url="https://y"),
        "--reserve, 16 and not 3": replace(runs, reserve=3),
    }
    for said, settings in wanted.items():
        monkeypatch.setattr(cluster, "actor_class", lambda host: Composed({}, runs=runs))
        with pytest.raises(BadSettings, match=f"runs on this Ray has another {said}; give the"):
            await cluster.start_cluster(settings)


@pytest.mark.parametrize("host", [LedgerHost, PoolHost, KeeperHost, SessionHost])
def test_what_ray_stores_of_a_host_names_none_of_its_methods(host: type) -> None:
    """Ray starts actors from it in processes of another release, which has other methods."""
    kind = actor_class(host).__ray_metadata__.modified_class
    stored: bytes = cloudpickle.dumps(kind)  # type: ignore[no-untyped-call]
    assert host.__qualname__.encode() in stored
    methods = [name for name, _ in inspect.getmembers(host, inspect.isfunction)]
    assert "__init__" in methods
    assert [name for name in methods if f"{host.__qualname__}.{name}".encode() in stored] == []


STORED: dict[type, str] = {
    LedgerHost: "address settings level nodes drain undrain stop _watch",
    PoolHost: "start stop _start _watch_places _places _start_standby",
    KeeperHost: "start stop _watch _changed_at _begin",
    SessionHost: "start live",
}
"""What a release named that still stored methods: without one of them its actor, ended in an
upgrade, never comes back. Of private ones those that are used no more do nothing."""


@pytest.mark.parametrize("host", STORED)
def test_every_method_that_a_release_before_stored_is_still_there(host: type) -> None:
    lost = [name for name in STORED[host].split() if not inspect.isfunction(getattr(host, name, 0))]
    assert lost == []
