"""`switchboard up` and `down`, on a private Ray and on an existing one."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from broker.messages import SUBPROTOCOL
from gateway.commands.deployment import Deployment
from gateway.commands.doctor import Grade, check_ray_token
from gateway.commands.probe import ray_ports
from gateway.commands.ray_environment import LOG_BACKUPS, LOG_BYTES
from gateway.commands.ray_stranger import reception
from gateway.commands.up import refuse_many_nodes, stopped
from gateway.compose import entry as compose
from gateway.compose import ray_runtime
from gateway.compose.ray_runtime import LEAVE_S
from gateway.settings import BadSettings
from tests.deployment import Deployment as Demo
from tests.ledger.certificates import make_certificate
from tests.operations.cluster import (
    JOIN,
    SESSIONS,
    SINGLES,
    WAIT_S,
    Operator,
    Process,
    RayCluster,
    until,
)
from tests.operations.test_metrics import documented
from tests.patience import PATIENCE
from tests.ports import free_port

pytestmark = pytest.mark.timeout(400 * PATIENCE)


DEAD_ACTORS = 1_000
"""Ray's own bound is a hundred times that."""
ACTORS = (*SINGLES, SESSIONS)


def actors(cluster: RayCluster, titles: tuple[str, ...] = ACTORS) -> set[int]:
    """The processes of the deployment's actors on this Ray."""
    token = str(cluster.folder / "token")
    found = set()
    for process in psutil.process_iter():
        try:
            title = " ".join(process.cmdline())
            if title.startswith(titles) and process.environ()["RAY_AUTH_TOKEN_PATH"] == token:
                found.add(process.pid)
        except (psutil.Error, KeyError):
            continue
    return found


def metrics(operator: Operator) -> str:
    return httpx.get(f"{operator.gateway}/metrics", trust_env=False, timeout=WAIT_S).text


def level(operator: Operator, name: str) -> float | None:
    """One sample of the gateway's metrics, `None` while it is absent."""
    text = metrics(operator)
    return next((float(x.split()[1]) for x in text.splitlines() if x.startswith(f"{name} ")), None)


def poison(folder: Path) -> None:
    """Put what must not be imported where a command is run."""
    (folder / "broker.py").write_text("raise ImportError('of the folder of the command')")


def test_a_private_deployment_serves_over_its_own_tls_and_ends_by_down(tmp_path: Path) -> None:
    with Operator(tmp_path) as operator:
        poison(tmp_path)
        certificate, key = make_certificate(tmp_path, "localhost")
        at = f"localhost:{operator.port}"
        words = ("--origin", f"https://{at}", "--certificate", str(certificate))
        up = operator.up(*words, "--certificate-key", str(key))
        said = json.loads(up.wait_for('"gateway"'))
        assert said == {
            "gateway": f"https://127.0.0.1:{operator.port}",
            "origin": f"https://{at}",
            "pid": up.pid,
        }
        trust = ssl.create_default_context(cafile=certificate)
        with httpx.Client(verify=trust, trust_env=False, timeout=WAIT_S) as client:
            until("ready", lambda: client.get(f"https://{at}/readyz").status_code == 200)
            assert client.get(f"https://{at}/agent").status_code == 200
        with connect(
            f"wss://{at}/v1/connect", ssl=trust, proxy=None, subprotocols=[Subprotocol(SUBPROTOCOL)]
        ) as widget:
            widget.send("no hello")
            widget.recv()
        check_private(psutil.Process(up.pid))
        again = operator.up(*words, "--certificate-key", str(key), "--port", str(free_port()))
        assert again.end() == 2
        assert "already runs here" in again.lines[-1]
        assert operator.down() == {"gateway": True, "actors": 0}
        assert up.end() == 0
        status, sentence = operator.run("down", "--data-dir", str(tmp_path / "data"))
        assert (status, len(sentence.splitlines())) == (2, 1)
        assert "Nothing runs" in sentence


def check_private(up: psutil.Process) -> None:
    """Nothing of its Ray listens where others could reach it, and none takes part without a token.

    `doctor` finds whatever listens. What Ray remembers of actors that have ended is bounded, and
    what a worker may write.
    """
    family = [up, *up.children(recursive=True)]
    bound = [each for one in family for each in one.net_connections("tcp")]
    listening = [each.laddr for each in bound if each.status == psutil.CONN_LISTEN]
    assert {each.ip.removeprefix("::ffff:") for each in listening} == {"127.0.0.1"}
    assert {each.port for each in listening} - ray_ports().found == set()
    told = [one.environ() for one in family if "/gcs_server" in " ".join(one.cmdline())]
    assert [each["RAY_AUTH_MODE"] for each in told] == ["token"]
    assert [each["RAY_USAGE_STATS_ENABLED"] for each in told] == ["0"], "it reports to nobody"
    assert int(told[0]["RAY_task_events_shutdown_flush_timeout_ms"]) <= 1_000, "it ends at once"
    assert int(told[0]["RAY_maximum_gcs_destroyed_actor_cached_count"]) <= DEAD_ACTORS
    (node,) = (one.environ() for one in family if one.name() == "raylet")
    assert 0 < int(node["RAY_ROTATION_MAX_BYTES"]) <= LOG_BYTES
    assert int(node["RAY_ROTATION_BACKUP_COUNT"]) <= LOG_BACKUPS


def check_ports(cluster: RayCluster) -> bool:
    """Whether each standby listens at one port beside Ray's own, which every actor has.

    What it has counted it says on its link: it serves no metrics, and no media yet.
    """
    (pool,) = actors(cluster, SINGLES[1:2])
    standbys = actors(cluster, (SESSIONS,))
    try:
        ports = {(listening(each, "tcp"), listening(each, "udp")) for each in standbys}
    except psutil.NoSuchProcess:
        return False
    return ports == {(listening(pool, "tcp") + 1, 0)}


def listening(pid: int, kind: str) -> int:
    """At how many ports a process waits for who comes."""
    waits = (psutil.CONN_LISTEN, psutil.CONN_NONE)
    bound = psutil.Process(pid).net_connections(kind)
    return len({each.laddr.port for each in bound if each.status in waits})


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A Ray that runs already."""
    with RayCluster() as running:
        yield running


@pytest.mark.soak
def test_the_demo_keeps_to_a_ray_of_its_own_where_one_runs_already(
    cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a shell in which somebody works with that Ray.
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, cluster.environment[name])
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    with Demo(tmp_path / "demo", standbys=1) as demo:
        folder = demo.folder
        assert (
            httpx.get(f"{demo.gateway}/readyz", trust_env=False, timeout=WAIT_S).status_code == 200
        )
        assert demo.processes("SessionHost")
        assert folder != cluster.folder
        assert not actors(cluster)
    assert not folder.exists()


def test_killed_and_started_again_an_existing_ray_is_left_empty_by_down(
    cluster: RayCluster, tmp_path: Path
) -> None:
    with Operator(tmp_path, cluster.environment) as operator:
        poison(tmp_path)
        first = operator.up("--address", cluster.address)
        # This Ray was started by the same versions; meanwhile the gateway starts.
        _, said = operator.run("doctor", "--json", "--address", cluster.address)
        grades = {each["name"]: each["grade"] for each in json.loads(said)}
        assert grades["ray and python of the cluster"] == grades["ray"] == "ok"
        assert grades["ray token"] == "ok", "asked without one, it refuses"
        first.wait_for('"gateway"')
        until("a standby", lambda: bool(level(operator, "switchboard_standbys")))
        assert level(operator, "switchboard_ray_log_bytes"), "of the Ray that was joined"
        until("its node's counts", lambda: "switchboard_relay_packets_total{" in metrics(operator))
        shown = set(re.findall(r"^(switchboard_\w+)", metrics(operator), re.MULTILINE))
        assert {name for name in shown if not name.endswith("_created")} - set(
            documented()
        ) == set()
        until("a standby listens at its trunk's port alone", lambda: check_ports(cluster))
        # Standbys come and go with the machine's load; the others must stay the same.
        before = actors(cluster, SINGLES)
        assert len(before) == len(SINGLES)
        first.kill_alone()
        second = operator.up("--address", cluster.address)
        other = operator.up(
            *("--address", cluster.address, "--port", str(free_port())),
            *("--data-dir", str(tmp_path / "other")),
        )
        second.wait_for('"gateway"')
        until("a standby again", lambda: bool(level(operator, "switchboard_standbys")))
        assert actors(cluster, SINGLES) == before
        assert other.end() == 2
        assert "another --database, 'sqlite:" in other.lines[-1]
        assert len(actors(cluster)) > len(SINGLES)
        ended = operator.down()
        assert ended["gateway"] is True
        assert int(str(ended["actors"])) > len(SINGLES)
        assert second.end() == 0
        until("no actor left", lambda: not actors(cluster))


@pytest.mark.soak
def test_a_gateway_whose_pool_dies_while_it_starts_waits_for_the_next(
    cluster: RayCluster, tmp_path: Path
) -> None:
    """As where every gateway is started again while the pool is gone."""
    with Operator(tmp_path, cluster.environment) as operator:
        up = operator.up("--address", cluster.address)
        up.wait_for('"gateway"')
        up.kill_alone()
        (pool,) = cluster.processes("ray::PoolHost")
        # It hears what it is asked, and does not answer.
        pool.suspend()
        again = operator.up("--address", cluster.address)
        at = {each.laddr.port for each in pool.net_connections("tcp") if each.status == "LISTEN"}

        def asked() -> bool:
            links = psutil.Process(again.pid).net_connections("tcp")
            return any(each.raddr and each.raddr.port in at for each in links)

        until("the pool is asked", asked)
        code, said = operator.run("status", "--gateway", operator.gateway)
        assert (code, "is starting waits for Ray, ledger and pool" in said) == (1, True)
        pool.kill()
        again.wait_for('"gateway"')
        until("a standby", lambda: bool(level(operator, "switchboard_standbys")))
        code, said = operator.run("status", "--gateway", operator.gateway, "--json")
        assert (code, json.loads(said)["pool"]) == (0, True)
        operator.down()
        assert again.end() == 0


@pytest.mark.soak
def test_ctrl_c_ends_a_gateway_also_while_the_gcs_is_away(
    cluster: RayCluster, tmp_path: Path
) -> None:
    (gcs,) = cluster.processes("gcs_server")
    with Operator(tmp_path, cluster.environment) as operator:
        up = operator.up("--address", cluster.address)
        up.wait_for('"gateway"')
        gcs.suspend()
        try:
            begun = time.monotonic()
            assert up.interrupt() == 0
            assert time.monotonic() - begun < 2 * LEAVE_S * PATIENCE
        finally:
            gcs.resume()
        operator.down("--address", cluster.address)
        until("no actor left", lambda: not actors(cluster))


def test_a_ray_that_does_not_let_go_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go = threading.Event()
    monkeypatch.setattr("ray.shutdown", lambda: may_go.wait(WAIT_S))
    monkeypatch.setattr(ray_runtime, "LEAVE_S", 0.05)
    compose.leave_ray()
    (leaving,) = (each for each in threading.enumerate() if each.name == "leaving-ray")
    may_go.set()
    leaving.join()


def test_an_address_at_which_no_ray_answers_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("Ray waits for minutes"))
    monkeypatch.setattr(ray_runtime, "JOIN_S", 0.0)
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(BadSettings, match=f"Nothing has answered at {nowhere} .* its head run"):
        ray_runtime.join_ray(nowhere)


def test_a_ray_whose_head_is_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(ray_runtime, "answers_tcp", lambda host, port: next(answers))
    monkeypatch.setattr(ray_runtime, "LOOK_AGAIN_S", 0.0)
    told = SimpleNamespace(address_info={"session_dir": "/session"})
    monkeypatch.setattr("ray.init", lambda **_: told)
    assert ray_runtime.join_ray("127.0.0.1:6379") == Path("/session/logs")
    assert list(answers) == []


def test_a_ray_refuses_who_comes_without_its_token(cluster: RayCluster) -> None:
    token = cluster.folder / "other"
    token.write_text("0" * 64)
    known = {x: y for x, y in cluster.environment.items() if "RAY_AUTH" not in x}
    # Ray would try for twenty seconds.
    known["RAY_gcs_server_port_wait_time_s"] = "1"
    strangers = [
        Process([sys.executable, "-c", JOIN, cluster.address], environment)
        for environment in (
            known,
            {**known, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)},
        )
    ]
    for stranger in strangers:
        assert stranger.end() != 0
        assert any("AuthenticationError" in line for line in stranger.lines)


@pytest.mark.soak
def test_a_ray_without_tokens_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RayCluster(told={"RAY_AUTH_MODE": "disabled"}) as open_to_all:
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        finding = check_ray_token(open_to_all.address, reception)
        assert finding.grade is Grade.FAILURE
        assert "serves who comes without it" in finding.found
        with Operator(tmp_path, open_to_all.environment) as operator:
            up = operator.up("--address", open_to_all.address)
            assert up.end() == 2
            assert "Ray runs the code of whoever reaches it" in up.lines[-1]


def test_sqlite_is_refused_beyond_one_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "count_nodes", lambda: 2)
    with Operator(tmp_path) as operator:
        accounts, secret = tmp_path / "accounts.toml", tmp_path / "secret"
        far = Deployment(operator.gateway, accounts, secret, database="postgresql://ledger@db/x")
        refuse_many_nodes(far)
        with pytest.raises(BadSettings, match="2 nodes and SQLite serves one"):
            refuse_many_nodes(Deployment(operator.gateway, accounts, secret))


@pytest.mark.soak
def test_two_nodes_want_another_database_and_a_network_of_their_own(tmp_path: Path) -> None:
    """A Ray of several nodes listens where others may reach it."""
    with RayCluster(many=True) as two, Operator(tmp_path, two.environment) as operator:
        two.add()
        up = operator.up("--address", two.address)
        assert up.end() == 2
        assert "2 nodes and SQLite serves one" in up.lines[-1]
        assert not actors(two)
        status, said = operator.run("doctor", "--json", "--address", two.address)
        ports = next(each for each in json.loads(said) if each["name"] == "ray ports")
        assert (status, ports["grade"]) == (1, "failure")
        assert "--cluster-network" in ports["advice"]
        own = ("--cluster-network", "0.0.0.0/0", "--cluster-network", "::/0")
        _, said = operator.run("doctor", "--json", "--address", two.address, *own)
        ports = next(each for each in json.loads(said) if each["name"] == "ray ports")
        assert ports["grade"] == "ok"


def test_a_ray_that_does_not_come_up_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(**options: object) -> None:
        raise Exception("The current node timed out during startup. This could happen because")

    monkeypatch.setattr("ray.init", too_slow)
    with pytest.raises(BadSettings) as refused:
        compose.private_ray(tmp_path, 1)
    assert str(refused.value) == (
        "Ray did not start (The current node timed out during startup); if this machine is short "
        "of memory or very busy, free some and start again."
    )


async def test_a_gateway_of_which_a_part_has_ended_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise RuntimeError("a mistake of ours")

    async with asyncio.timeout(10 * PATIENCE):
        part = asyncio.create_task(fails())
        assert await stopped(asyncio.Event(), [part])
    assert "a part of the gateway ended" in caplog.text
    with pytest.raises(RuntimeError):
        await part
    told = asyncio.Event()
    told.set()
    async with asyncio.timeout(10 * PATIENCE):
        assert not await stopped(told, [])
