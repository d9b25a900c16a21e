"""`switchboard doctor`: each finding says what to do, and what fails sets the exit status."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from gateway.commands import doctor, probe, ray_stranger
from gateway.commands.command import app
from gateway.commands.doctor import Finding, Grade, Plan
from gateway.compose import entry as compose
from tests.operations.cluster import until

RUNNER = CliRunner()


@pytest.fixture
def stun_port() -> Iterator[int]:
    """A server that answers one STUN binding request."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            request, address = server.recvfrom(1500)
            server.sendto(b"\x01\x01\x00\x00" + request[4:20], address)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize(
    ("check", "grade"),
    [
        (lambda: doctor.check_python((3, 10)), Grade.FAILURE),
        (lambda: doctor.check_python((3, 11)), Grade.OK),
        (lambda: doctor.check_ray_version("2.59.1"), Grade.FAILURE),
        (lambda: doctor.check_ray_version("3.0.0"), Grade.FAILURE),
        (lambda: doctor.check_ray_version("2.60.0"), Grade.OK),
        (lambda: doctor.check_buffers("receive", None), Grade.WARNING),
        (lambda: doctor.check_buffers("receive", 212_992), Grade.FAILURE),
        (lambda: doctor.check_buffers("receive", 2 * 1024 * 1024), Grade.OK),
        (lambda: doctor.check_buffers("send", None), Grade.WARNING),
        (lambda: doctor.check_buffers("send", 212_992), Grade.WARNING),
        (lambda: doctor.check_buffers("send", 2 * 1024 * 1024), Grade.OK),
        (lambda: doctor.check_descriptors(1_024), Grade.FAILURE),
        (lambda: doctor.check_descriptors(20_000), Grade.WARNING),
        (lambda: doctor.check_descriptors(65_536), Grade.OK),
        (lambda: doctor.check_descriptors(-1), Grade.OK),
        (lambda: doctor.check_clock(None), Grade.WARNING),
        (lambda: doctor.check_clock(5), Grade.WARNING),
        (lambda: doctor.check_clock(0), Grade.OK),
        (lambda: doctor.check_gateway_port("203.0.113.7", 8787), Grade.FAILURE),
        (lambda: doctor.check_gateway_port("127.0.0.1", 0), Grade.OK),
        (lambda: doctor.check_database("postgresql://nobody@127.0.0.1:9/none"), Grade.FAILURE),
        (lambda: doctor.check_turn("turn:127.0.0.1:9"), Grade.FAILURE),
        (lambda: doctor.check_turn("http://127.0.0.1"), Grade.FAILURE),
    ],
)
def test_what_is_not_well_says_what_to_do(check: Callable[[], Finding], grade: Grade) -> None:
    finding = check()
    assert finding.grade is grade
    assert bool(finding.advice) == (grade is not Grade.OK)


def test_media_ports_carry_datagrams_or_say_why_not() -> None:
    (well,) = doctor.check_media(["127.0.0.1"], (0, 1))
    assert well.grade is Grade.OK
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        (ill,) = doctor.check_media(["127.0.0.1"], (port, port + 1))
    assert ill.grade is Grade.FAILURE
    assert str(port) in ill.found


def test_a_turn_server_that_answers_is_well(stun_port: int) -> None:
    assert doctor.check_turn(f"turn:127.0.0.1:{stun_port}").grade is Grade.OK


def test_a_database_that_answers_is_well(tmp_path: Path) -> None:
    assert doctor.check_database(f"sqlite:///{tmp_path / 'l.sqlite3'}").grade is Grade.OK


def listening_at(*ports: int) -> Callable[[], probe.RayPorts]:
    return lambda: probe.RayPorts(frozenset(ports))


def test_a_ray_port_that_answers_beyond_loopback_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        # Loopback stands for an address of this machine that others can reach.
        plan = Plan(address=f"127.0.0.1:{port}")
        checks = doctor.check_ray(
            plan, listening_at(), lambda: ["127.0.0.1"], lambda address: "refused"
        )
        seen = {x.name: x for x in checks}
        assert seen["ray ports"].grade is Grade.FAILURE
        assert f"{port} on 127.0.0.1" in seen["ray ports"].found
        assert {seen["ray"].grade, seen["ray token"].grade} == {Grade.OK}
        own = Plan(cluster_networks=("127.0.0.0/8",))
        (inside,) = doctor.check_ray(own, listening_at(port), lambda: ["127.0.0.1"])
        assert inside.grade is Grade.OK
        (nowhere,) = doctor.check_ray(Plan(), listening_at(port), lambda: [])
        assert nowhere.grade is Grade.OK
        # A gateway's process has joined Ray; its own port is for everybody.
        gateway = Plan(port=port)
        (edge,) = doctor.check_ray(gateway, listening_at(port), lambda: ["127.0.0.1"])
        assert (edge.grade, edge.found) == (Grade.OK, "none found")


class Locked(psutil.Process):
    """A process whose sockets only another user may see."""

    def net_connections(self, kind: str = "inet") -> list[Any]:
        raise psutil.AccessDenied(self.pid)


def test_a_ray_process_that_may_not_be_read_is_no_process_without_ports() -> None:
    with subprocess.Popen(["ray::IDLE", "60"], executable="/bin/sleep") as process:
        try:
            one = Locked(process.pid)
            until("the title", lambda: one.cmdline()[:1] == ["ray::IDLE"])
            seen = probe.ray_ports([one, psutil.Process()])
        finally:
            process.kill()
    assert seen.unread == 1
    (finding,) = doctor.check_ray(Plan(), lambda: seen, lambda: [])
    assert finding.grade is Grade.WARNING
    assert "another user's" in finding.found


def test_a_ray_without_tokens_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    plan = Plan(address="127.0.0.1:9")
    seen = {x.name: x.grade for x in doctor.check_ray(plan, listening_at(), lambda: [])}
    assert seen["ray"] is seen["ray token"] is Grade.FAILURE


@pytest.mark.parametrize("differs", ["", "Ray", "Python"])
def test_a_machine_must_have_the_ray_and_the_python_of_the_cluster(
    monkeypatch: pytest.MonkeyPatch, differs: str
) -> None:
    there = {"Ray": metadata.version("ray"), "Python": platform.python_version()}
    if differs:
        there[differs] = "0.1.2"
    monkeypatch.setattr(compose, "versions_at", lambda address: tuple(there.values()))
    finding = doctor.check_same_versions("127.0.0.1:9")
    assert finding.grade is (Grade.FAILURE if differs else Grade.OK)
    assert ("0.1.2 " in f"{finding.found} ") is bool(differs)
    assert bool(finding.advice) is bool(differs)


@pytest.mark.parametrize(
    ("said", "grade"),
    [("refused", Grade.OK), ("served", Grade.FAILURE), ("unknown", Grade.WARNING)],
)
def test_a_ray_that_wants_no_token_fails_whatever_stands_here(
    monkeypatch: pytest.MonkeyPatch, said: ray_stranger.Reception, grade: Grade
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    finding = doctor.check_ray_token("10.0.3.10:6379", lambda address: said)
    assert (finding.grade, bool(finding.advice)) == (grade, grade is not Grade.OK)
    assert ray_stranger.reception("127.0.0.1:9") == "unknown"


def test_logs_of_ray_are_weighed_and_must_be_rotated(tmp_path: Path) -> None:
    (tmp_path / "worker-ab-01-7.out").write_bytes(bytes(3_000_000))
    well = doctor.check_ray_logs(probe.RayNode(tmp_path, rotates=True))
    assert (well.grade, well.found) == (Grade.OK, "3 MB in 1 files")
    ill = doctor.check_ray_logs(probe.RayNode(tmp_path, rotates=False))
    assert ill.grade is Grade.WARNING
    assert "RAY_ROTATION_MAX_BYTES=" in ill.advice
    os.truncate(tmp_path / "worker-ab-01-7.out", doctor.RAY_LOGS_BYTES + 1)
    much = doctor.check_ray_logs(probe.RayNode(tmp_path, rotates=True))
    assert (much.grade, bool(much.advice)) == (Grade.WARNING, True)


def test_turn_urls_are_read() -> None:
    parse = probe.TurnServer.parse
    assert parse("turn:t.example.com") == probe.TurnServer("t.example.com", 3478, True)
    assert parse("turns:t.example.com") == probe.TurnServer("t.example.com", 5349, False)
    assert parse("turn:[::1]:99?transport=tcp") == probe.TurnServer("::1", 99, False)


def test_the_command_fails_when_a_check_fails() -> None:
    words = ["doctor", "--json", "--port", "0", "--turn", "turn:127.0.0.1:9"]
    result = RUNNER.invoke(app, words)
    grades = {each["name"]: each["grade"] for each in json.loads(result.output)}
    assert result.exit_code == 1
    assert grades["turn turn:127.0.0.1:9"] == "failure"
    looked_at = {"python", "ray version", "receive buffers", "send buffers", "open files", "clock"}
    assert looked_at | {"database"} <= set(grades)
    table = RUNNER.invoke(app, words[:1] + words[2:], env={"COLUMNS": "160"}).output
    assert "Start coturn" in table
