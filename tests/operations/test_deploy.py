"""What lies in deploy/ is what its readers expect: KubeRay, Ray, coturn, systemd, this command."""

from __future__ import annotations

import gzip
import json
import os
import re
import runpy
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import typer
import yaml  # type: ignore[import-untyped]

from gateway.commands import doctor, probe
from gateway.commands.command import app
from gateway.commands.drain import GRACE_S, read_seconds
from gateway.commands.ray_environment import LOG_BACKUPS, LOG_BYTES
from gateway.settings import Limits
from tests.coturn import SHIPPED, program, written
from tests.operations.cluster import until
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CRD = ROOT.parent / "shared" / "kuberay" / "ray.io_rayclusters.crd.yaml.gz"
RAY_CLUSTER = yaml.safe_load((DEPLOY / "kubernetes" / "raycluster.yaml").read_text())
ROTATION = {
    "RAY_ROTATION_MAX_BYTES": str(LOG_BYTES),
    "RAY_ROTATION_BACKUP_COUNT": str(LOG_BACKUPS),
}
COTURN = SHIPPED / "turnserver.conf"
FOLDERS = (("RuntimeDirectory", "/run"), ("StateDirectory", "/var/lib"))
"""What a unit makes, and where."""


def closed(schema: Any) -> Any:
    """Make Kubernetes' schema one that refuses unknown fields, as its API server does."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {name: closed(each) for name, each in schema.items() if name != "format"}
    properties = schema.get("properties")
    keeps = schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(properties, dict) and "type" in schema and not keeps:
        made.setdefault("additionalProperties", False)
    return made


def check_structure(cluster: Any) -> None:
    """What must hold with or without KubeRay's schema."""
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    spec = cluster["spec"]
    assert spec["authOptions"]["mode"] == "token"
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for group in groups:
        assert group["template"]["spec"]["containers"][0]["image"]
        assert group["template"]["spec"]["automountServiceAccountToken"] is False
    assert "media_slot" not in str(spec["headGroupSpec"])
    assert "media_slot" in spec["workerGroupSpecs"][0]["rayStartParams"]["resources"]


def test_the_ray_cluster_fits_kuberay(
    record_property: Callable[[str, object], None],
) -> None:
    check_structure(RAY_CLUSTER)
    if not CRD.exists():
        record_property("note", "KubeRay's schema is absent: only the structure was checked.")
        return
    definition = yaml.safe_load(gzip.decompress(CRD.read_bytes()))
    (version,) = (each for each in definition["spec"]["versions"] if each["name"] == "v1")
    schema = closed(version["schema"]["openAPIV3Schema"])
    # The API server fills these; the CRD describes them in part.
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.Draft202012Validator(schema).validate(RAY_CLUSTER)
    misspelt = yaml.safe_load((DEPLOY / "kubernetes" / "raycluster.yaml").read_text())
    misspelt["spec"]["workerGroupSpecs"][0]["minReplica"] = 1
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        jsonschema.Draft202012Validator(schema).validate(misspelt)


def test_the_cluster_file_fits_ray() -> None:
    found = find_spec("ray")
    assert found is not None
    assert found.origin is not None
    schema = json.loads((Path(found.origin).parent / "autoscaler" / "ray-schema.json").read_text())
    text = (DEPLOY / "ray" / "cluster.yaml").read_text()
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(text))
    misspelt = yaml.safe_load(text.replace("max_workers", "max_worker"))
    with pytest.raises(jsonschema.ValidationError, match="max_worker"):
        jsonschema.Draft7Validator(schema).validate(misspelt)


def verified(folder: Path, change: Callable[[str], str]) -> tuple[int, str]:
    """Let systemd read the units with programs that there are; its status and what it says."""
    names = []
    for path in (DEPLOY / "systemd").glob("*.service"):
        text = re.sub(r"/opt/switchboard/\.venv/bin/\w+", "/bin/true", path.read_text())
        names.append(folder / path.name)
        names[-1].write_text(change(text))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names],
        capture_output=True,
        text=True,
        timeout=60 * PATIENCE,
    )
    return done.returncode, done.stdout + done.stderr


def test_systemd_takes_the_units(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    if shutil.which("systemd-analyze") is None:
        record_property("note", "systemd is absent: the units were read as text only.")
        return
    assert verified(tmp_path, lambda text: text) == (0, "")
    _, said = verified(tmp_path, lambda text: text.replace("LimitNOFILE", "LimitNOFILES"))
    assert said.count("LimitNOFILES") == 3


def test_a_unit_waits_for_no_folder_that_nobody_makes_and_never_gives_up() -> None:
    """`ReadWritePaths` of a folder that is missing keeps a unit from starting (systemd.exec(5))."""
    units = {path.name: path.read_text() for path in (DEPLOY / "systemd").glob("*.service")}
    assert len(units) == 3
    makes = {
        name: {f"{below}/{folder}" for kind, below in FOLDERS for folder in given(text, kind)}
        for name, text in units.items()
    }
    for name, text in units.items():
        # What it is started after has made its own by then.
        before = (given(text, "After") & set(units)) | {name}
        there = set().union(*(makes[each] for each in before))
        assert "/var/lib/switchboard" in there, name
        assert given(text, "ReadWritePaths") <= there, name
        assert given(text, "StartLimitIntervalSec") == {"0"}, name


def test_on_one_machine_each_unit_outlasts_those_that_need_it() -> None:
    """systemd stops in the opposite order: a drain asks the head, and a gateway leaves Ray."""
    after = {
        path.stem.removeprefix("switchboard-"): given(path.read_text(), "After")
        for path in (DEPLOY / "systemd").glob("*.service")
    }
    head, node = (f"switchboard-ray-{each}.service" for each in ("head", "node"))
    assert {name: each & {head, node} for name, each in after.items()} == {
        "ray-head": set(),
        "ray-node": {head},
        "gateway": {head, node},
    }


def given(unit: str, name: str) -> set[str]:
    """The words that a unit gives to a setting."""
    return set(" ".join(re.findall(rf"^{name}=(.*)$", unit, re.M)).split())


def test_every_node_is_told_of_niceness_of_the_length_of_logs_and_to_report_nothing() -> None:
    """By itself Ray runs workers at niceness 15, rotates no log of theirs and reports its usage."""
    starting = [
        path
        for path in DEPLOY.rglob("*")
        if path.is_file() and "RAY_USAGE_STATS_ENABLED" in path.read_text()
    ]
    assert len(starting) == 4
    for path in starting:
        text = path.read_text()
        told = {
            name: re.findall(rf"{name}(?:=|, value: \")(\d+)\b", text)
            for name in ("RAY_worker_niceness", "RAY_USAGE_STATS_ENABLED", *ROTATION)
        }
        nodes = text.count("RAY_USAGE_STATS_ENABLED")
        assert told == {
            name: [value] * nodes
            for name, value in {
                "RAY_worker_niceness": "0",
                "RAY_USAGE_STATS_ENABLED": "0",
                **ROTATION,
            }.items()
        }, path.name


def test_a_lost_ledger_takes_no_gateway_down_and_a_lost_head_forgets_nothing() -> None:
    """A liveness probe that asks for more than the process has ended whole fleets."""
    spec = RAY_CLUSTER["spec"]
    containers = spec["workerGroupSpecs"][0]["template"]["spec"]["containers"]
    (gateway,) = (each for each in containers if each["name"] == "gateway")
    probes = [gateway[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")]
    assert probes == ["/healthz", "/readyz"]
    assert spec["gcsFaultToleranceOptions"]["redisAddress"]


def test_whatever_starts_a_process_lets_it_have_two_descriptors_for_each_widget() -> None:
    starting = [*DEPLOY.glob("systemd/*.service"), *DEPLOY.glob("ray/*.yaml")]
    assert len(starting) == 4
    for path in starting:
        limits = re.findall(r"(?:LimitNOFILE=|ulimit -n )(\d+)", path.read_text())
        assert limits, path.name
        for limit in limits:
            assert int(limit) >= 2 * Limits().connections, path.name


def test_what_ray_remembers_of_ended_actors_is_bounded_wherever_it_begins() -> None:
    """Each session that had a process of its own leaves one."""
    heads = [
        path
        for path in DEPLOY.rglob("*")
        if path.is_file() and re.search(r"--head\b|^  headGroupSpec:", path.read_text(), re.M)
    ]
    assert len(heads) == 3
    for path in heads:
        bound = re.findall(
            r"RAY_maximum_gcs_destroyed_actor_cached_count(?:=|, value: \")(\d+)", path.read_text()
        )
        assert [int(each) <= 1_000 for each in bound] == [True], path.name


def options_of(command: str) -> set[str]:
    """The options that one of our commands takes."""
    group = typer.main.get_command(app)
    found = group.commands[command]  # type: ignore[attr-defined]
    return {name for each in found.params for name in each.opts}


def test_manifests_and_units_give_up_only_options_that_it_takes() -> None:
    known = options_of("up")
    containers = RAY_CLUSTER["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"]
    (gateway,) = (each for each in containers if each["name"] == "gateway")
    given = {each.partition("=")[0] for each in gateway["args"]}
    unit = (DEPLOY / "systemd" / "switchboard-gateway.service").read_text()
    (started,) = re.findall(r"^ExecStart=((?:.*\\\n)*.*)$", unit, re.MULTILINE)
    given |= set(re.findall(r"--[\w-]+", started))
    assert len(given) > 8
    assert given - known == set()


def test_a_node_is_drained_before_it_stops_and_given_the_time() -> None:
    template = RAY_CLUSTER["spec"]["workerGroupSpecs"][0]["template"]["spec"]
    (worker,) = (each for each in template["containers"] if each["name"] == "ray-worker")
    hook = worker["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert any(each["name"] == "POD_IP" for each in worker["env"])
    unit = (DEPLOY / "systemd" / "switchboard-ray-node.service").read_text()
    (stop,) = re.findall(r"^ExecStop=((?:.*\\\n)*.*)$", unit, re.MULTILINE)
    (allowed,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    for command, limit_s in (
        (hook, template["terminationGracePeriodSeconds"]),
        (stop, int(allowed)),
    ):
        assert "switchboard drain" in command
        assert set(re.findall(r"--[\w-]+", command)) - options_of("drain") == set()
        (deadline,) = re.findall(r"--deadline (\S+)", command)
        assert read_seconds(deadline) + GRACE_S < limit_s


def test_old_logs_are_removed_where_the_units_let_ray_write_them() -> None:
    units = [path.read_text() for path in (DEPLOY / "systemd").glob("*ray*.service")]
    folders = {folder for unit in units for folder in re.findall(r"--temp-dir=(\S+)", unit)}
    text = (DEPLOY / "systemd" / "switchboard-ray.tmpfiles.conf").read_text()
    (rule,) = [line.split() for line in text.splitlines() if not line.startswith("#")]
    # `e` empties by age whatever the pattern finds (tmpfiles.d(5)); `m` is the time of writing.
    assert (len(units), rule) == (2, ["e", rule[1], "-", "-", "-", "m:7d"])
    assert {rule[1]} == {f"{folder}/session_*/logs" for folder in folders}


def test_the_kernels_limits_are_raised_as_doctor_wants_them() -> None:
    lines = (DEPLOY / "systemd" / "99-switchboard.conf").read_text().splitlines()
    told = dict(line.split(" = ") for line in lines if not line.startswith("#"))
    receive, send = (int(told.pop(f"net.core.{each}_max")) for each in ("rmem", "wmem"))
    found = doctor.check_buffers("receive", receive), doctor.check_buffers("send", send)
    assert [each.grade for each in found] == [doctor.Grade.OK] * 2
    assert told == {}


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*")), ids=lambda path: path.name)
def test_no_secret_lies_in_deploy(path: Path) -> None:
    if path.is_file() and path.suffix != ".pyc":
        text = path.read_text()
        assert not re.search(r"^\s*static-auth-secret|[0-9a-f]{64}|://\w+:[^$@\s]+@", text, re.M)


def test_ray_is_started_with_tokens_and_never_on_every_address() -> None:
    files = [*DEPLOY.glob("ray/*"), *DEPLOY.glob("systemd/*ray*.service")]
    assert len(files) == 3
    for path in files:
        text = path.read_text()
        assert text.count("RAY_AUTH_MODE=token") >= text.count("ray start --")
        assert "0.0.0.0" not in text
        assert "dashboard-host" not in text


@pytest.mark.parametrize(
    "peer",
    [
        "0.0.0.1",
        "10.0.3.11",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "fec0::1",
    ],
)
def test_coturn_denies_what_is_private(peer: str) -> None:
    address = ip_address(peer)
    for denied in re.findall(r"^denied-peer-ip=(\S+)$", COTURN.read_text(), re.MULTILINE):
        first, _, last = denied.partition("-")
        low, high = ip_address(first), ip_address(last or first)
        if low.version == address.version and int(low) <= int(address) <= int(high):
            return
    pytest.fail(f"{peer} is not denied")


def test_coturn_is_told_the_media_nodes_and_nothing_wider() -> None:
    allowed = runpy.run_path(str(DEPLOY / "coturn" / "allow.py"))["allowed"]
    assert allowed(["10.0.3.11", "fd00::1", "10.0.3.11"]) == [
        "allowed-peer-ip=10.0.3.11",
        "allowed-peer-ip=fd00::1",
    ]
    for wrong in ("10.0.0.0/8", "127.0.0.1", "0.0.0.0", "media-1", "224.0.0.1"):
        with pytest.raises(ValueError, match=re.escape(wrong)):
            allowed([wrong])


def given_to_coturn(folder: Path) -> str | None:
    """Give a folder to Debian's user of coturn, and its files as the runbook does; returns as whom
    to run it. Only root can."""
    if os.geteuid() != 0:
        return None
    user = "turnserver"
    shutil.chown(folder, user, user)
    for path in folder.iterdir():
        path.chmod(0o640)
        shutil.chown(path, "root", user)
    return user


def test_coturn_takes_the_configuration(tmp_path: Path) -> None:
    """As its own user, who reads nothing that is not given to it."""
    with (
        tempfile.TemporaryDirectory(prefix="coturn-") as folder,
        (tmp_path / "said").open("w") as said,
    ):
        made = written(Path(folder), "only-of-this-test", nodes=["10.0.3.11"])
        user = given_to_coturn(Path(folder))
        process = subprocess.Popen(
            [program(), "-c", str(made.path), "--log-file=stdout"],
            stdout=said,
            stderr=subprocess.STDOUT,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        try:
            until("coturn listens", lambda: probe.answers_tcp("127.0.0.1", made.port))
        finally:
            process.terminate()
            process.wait(10 * PATIENCE)
    text = (tmp_path / "said").read_text().lower()
    assert "bad configuration" not in text
    assert "unknown" not in text
