"""What stands in a block of the runbook is run as it stands, but for the names of places.

CI runs what needs no deployment. The soak tests install a release, and run a whole deployment by
nothing but the runbook: started, looked at, drained, its parts replaced, backed up, ended,
restored. One command is read only, because it changes this machine's kernel.
"""

from __future__ import annotations

import asyncio
import grp
import os
import re
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest
from typer.main import get_command

from benchmarks.process import lives
from gateway.commands.command import app
from tests.chaos.town import ACCOUNTS, KEYS, People, Town, moved_to, told
from tests.ledger import postgres
from tests.ledger.certificates import make_certificate
from tests.operations.cluster import ROOT, SINGLES, Operator, Process, RayCluster, until
from tests.operations.runbook import RUNBOOK, Shell, commands_of, is_whole, sections
from tests.operations.test_deploy import options_of
from tests.patience import PATIENCE
from tests.ports import free_port

READ_ONLY = "install -m 0644 deploy/systemd/99-switchboard.conf /etc/sysctl.d/ && sysctl --system"
INSTALLS = (
    "useradd --system --home-dir /var/lib/switchboard --shell /usr/sbin/nologin switchboard",
    "install -d -o switchboard -g switchboard -m 0700 /etc/switchboard /var/lib/switchboard",
    "python3 -m venv /opt/switchboard/.venv",
    "/opt/switchboard/.venv/bin/pip install --constraint constraints.txt .",
)
GIVES = "chown -R switchboard: /etc/switchboard"
"""Those that need a machine of their own."""
TURN_GROUP = "turnserver"
"""Of Debian's coturn."""
ALONE = ["TURN", "The console"]
"""Sections whose commands need no deployment."""
OPERATED = ["Several machines", "Size", "Scale in", "Upgrade"]
KEPT = ["Back up", "Restore"]
MEASURING_S = 300.0 * PATIENCE
"""For a command that measures this machine before it says anything."""


class Install:
    """The commands of `Install` that are run here, by what they are for."""

    def __init__(self) -> None:
        own = (*INSTALLS, GIVES, READ_ONLY)
        found = [each for each in commands_of("Install") if each not in own]
        *self.secrets, self.api_key, self.doctor = found
        assert len(self.secrets) == 3


def test_every_section_with_commands_is_run_here() -> None:
    with_commands = {each for each in sections() if commands_of(each)}
    run = {"Install", "One machine", *ALONE, *OPERATED, *KEPT}
    assert with_commands == run
    assert {*INSTALLS, GIVES, READ_ONLY} <= set(commands_of("Install"))


def test_a_command_is_found_with_its_further_lines() -> None:
    text = "# One\n```\na \\\n  b\n(c &&\n d)\n```\n## Two\n```\ne\n```\n"
    assert sections(text) == ["One", "Two"]
    assert commands_of("One", text) == ["a \\\n  b", "(c &&\n d)"]
    assert commands_of("Two", text) == ["e"]
    assert not is_whole("a &&")
    with pytest.raises(ValueError, match="ends within"):
        commands_of("One", "# One\n```\n(a\n```\n")


@pytest.mark.parametrize("command", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_the_runbook_gives_commands_only_options_that_they_take(command: str) -> None:
    text = RUNBOOK.replace("\\\n", " ")
    given = {
        option
        for line in re.findall(rf"switchboard {command}\b([^`\n]*)", text)
        for option in re.findall(r"--[a-z][\w-]*", line)
    }
    # Those with commands of their own are named only.
    known = set() if command in {"records", "webhooks"} else options_of(command)
    assert given - known == set()


def shell_of(folder: Path, environment: dict[str, str], **places: str) -> Shell:
    """A shell whose configuration, backups and programs lie below a folder."""
    for name in ("etc/switchboard", "etc/coturn", "backup", "programs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    environment = {**environment, "XDG_STATE_HOME": str(folder / "state")}
    own = {
        "/etc/switchboard": str(folder / "etc" / "switchboard"),
        "/etc/coturn": str(folder / "etc" / "coturn"),
        "/etc/turnserver.conf": str(folder / "etc" / "turnserver.conf"),
        "/backup": str(folder / "backup"),
        "/var/lib/switchboard": str(folder / "var" / "lib" / "switchboard"),
    }
    return Shell(environment, {**places, **own}, [folder / "programs"])


def test_what_needs_no_deployment_does_what_it_says(tmp_path: Path) -> None:
    # Who is not root can give a file to a group of their own only.
    group = TURN_GROUP if os.geteuid() == 0 else grp.getgrgid(os.getegid()).gr_name
    places = {f"-g {TURN_GROUP}": f"-g {group}"}
    shell = shell_of(tmp_path, dict(os.environ), **places)
    etc = tmp_path / "etc"
    install = Install()
    for command in install.secrets:
        shell.run(command)
    # Debian ships a file there that everybody may read.
    (etc / "turnserver.conf").write_text("of the package")
    files = ("secret", "ray-token", "pgpass")
    modes = {stat.S_IMODE((etc / "switchboard" / name).stat().st_mode) for name in files}
    assert modes == {0o600}
    said = shell.run(install.api_key)
    assert re.search(r"shown only now: swk_backend_\S+\n", said)
    assert "[[accounts.12345678.api_keys]]" in said
    for section in ALONE:
        said = "\n".join(shell.run(command) for command in commands_of(section))
    assert len(said.splitlines()) == 2, "the token of an operator and its id"
    coturn = (etc / "turnserver.conf").read_text()
    secret = (etc / "switchboard" / "turn-secret").read_text().strip()
    assert coturn.endswith(
        f"allowed-peer-ip=10.0.3.11\nallowed-peer-ip=10.0.3.12\nstatic-auth-secret={secret}\n"
    )
    found = (etc / "turnserver.conf").stat()
    assert (stat.S_IMODE(found.st_mode), grp.getgrgid(found.st_gid).gr_name) == (0o640, group)


@pytest.mark.soak
@pytest.mark.timeout(400 * PATIENCE)
def test_one_machine_is_run_and_backed_up_as_it_is_written(tmp_path: Path) -> None:
    port = free_port()
    places = {
        "https://video.example.com": f"https://localhost:{port}",
        "0.0.0.0": "127.0.0.1",
        "443": str(port),
        "203.0.113.20": "127.0.0.1",
    }
    shell = shell_of(tmp_path, dict(os.environ), **places)
    etc = tmp_path / "etc" / "switchboard"
    certificate, key = make_certificate(tmp_path, "localhost")
    certificate.rename(etc / "certificate.pem")
    key.rename(etc / "key.pem")
    (etc / "accounts.toml").write_text(ACCOUNTS)
    for command in Install().secrets:
        shell.run(command)
    (start,) = commands_of("One machine")
    up = shell.begin(start)
    try:
        address = f"https://localhost:{port}"
        with httpx.Client(verify=False, trust_env=False) as client:

            def ready() -> bool:
                try:
                    return client.get(f"{address}/readyz").is_success
                except httpx.TransportError:
                    return False

            until("the gateway is ready", ready)
        _, sqlite = commands_of("Back up")
        shell.run(sqlite)
        with sqlite3.connect(tmp_path / "backup" / "ledger.sqlite3") as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert copy.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
        copy.close()
    finally:
        status = up.interrupt()
    assert status == 0, "\n".join(up.lines)
    database = tmp_path / "var" / "lib" / "switchboard" / "ledger.sqlite3"
    database.write_bytes(b"lost")
    database.with_name("ledger.sqlite3-wal").write_bytes(b"of the one before")
    for command in commands_of("Restore")[2:]:
        shell.run(command)
    with closing(sqlite3.connect(database)) as restored:
        assert restored.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert restored.execute("SELECT count(*) FROM terms").fetchone() == (1,)


ELSEWHERE = """
cp -a /etc {folder}/etc && mkdir {folder}/lib {folder}/opt
mount --bind {folder}/etc /etc && mount --bind {folder}/lib /var/lib
mount --bind {folder}/opt /opt && cd {folder}/copy
"""
"""A machine's own places, for who runs this and what they start: needs root."""
LOOKS = """
runuser -u switchboard -- /opt/switchboard/.venv/bin/switchboard doctor --help > /dev/null
runuser -u switchboard -- cat /etc/switchboard/secret
stat --format '%U %a' /etc/switchboard /etc/switchboard/secret /var/lib/switchboard
"""


@pytest.mark.soak
@pytest.mark.timeout(600 * PATIENCE)
def test_a_release_is_installed_as_it_is_written(tmp_path: Path) -> None:
    """On what looks like another machine: nothing of this one is changed."""
    folder = tmp_path / "machine"
    folder.mkdir()
    subprocess.run(["git", "clone", "--quiet", ROOT, folder / "copy"], check=True)
    commands = [each for each in commands_of("Install") if each != READ_ONLY]
    commands = commands[: commands.index(GIVES) + 1]
    script = "\n".join([ELSEWHERE.format(folder=folder), *commands, LOOKS])
    users = Path("/etc/passwd").read_text()
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-euo", "pipefail", "-c", script],
        # The system's Python: any user may run it.
        env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=600 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    *_, secret, etc, file, state = done.stdout.splitlines()
    assert (etc, file, state) == ("switchboard 700", "switchboard 600", "switchboard 700")
    assert re.fullmatch("[0-9a-f]{64}", secret)
    assert Path("/etc/passwd").read_text() == users


PKILL = """#!/bin/bash
# As pkill, among the processes of this test's Ray only: others may run on the machine.
for pid in $(pgrep "${{@:2}}"); do
  if tr '\\0' '\\n' < /proc/$pid/environ | grep -qxF 'RAY_AUTH_TOKEN_PATH={token}'; then
    kill "$1" "$pid"
  fi
done
"""


class Written:
    """A deployment on two Ray nodes with PostgreSQL, started by what the runbook says."""

    def __init__(self, folder: Path, cluster: RayCluster, database: postgres.Server) -> None:
        self.added = [cluster.add(slots=8, label="eu")]
        etc = folder / "etc" / "switchboard"
        etc.mkdir(parents=True)
        self.operator = Operator(etc, cluster.environment)
        (etc / "accounts.toml").write_text(ACCOUNTS)
        places = {
            "HEAD:6379": cluster.address,
            "10.0.3.10:6379": cluster.address,
            "https://video.example.com": self.operator.gateway,
            "postgresql://switchboard@db.example.internal/switchboard": f"{database.url}/postgres",
            "10.0.3.0/24": "127.0.0.0/8",
            "10.0.3.11": "127.0.0.1",
            "8787": str(self.operator.port),
        }
        self.shell = shell_of(folder, cluster.environment, **places)
        pkill = folder / "programs" / "pkill"
        pkill.write_text(PKILL.format(token=cluster.environment["RAY_AUTH_TOKEN_PATH"]))
        pkill.chmod(0o755)
        self.install = Install()
        for command in self.install.secrets:
            self.shell.run(command)
        self.start, self.status, self.top = commands_of("Several machines")
        self.up = self.begin()
        self.town = Town(cluster, self.operator, self.added, database, 1, (), [self.up])

    def begin(self) -> Process:
        """Start the gateway by the runbook, and wait until it takes widgets."""
        up = self.shell.begin(self.start)
        up.wait_for(self.operator.gateway)
        self.shell.run(self.status)
        return up

    def replaced(self) -> None:
        """Start the gateway again after its end."""
        assert self.up.end() == 0, "\n".join(self.up.lines)
        self.up = self.town.ups[0] = self.begin()

    def is_full(self) -> bool:
        """Whether every node has a standby."""
        found = self.town.nodes()
        return len(found) == 2 and all(node["standbys"] for node in found)


def has_ended(process: psutil.Process) -> bool:
    return not lives(process)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    with (
        closing(postgres.Server()) as database,
        RayCluster(slots=8, label="eu", many=True) as cluster,
    ):
        database.start()
        made = Written(tmp_path, cluster, database)
        try:
            yield made
        finally:
            made.up.kill()


@pytest.mark.soak
@pytest.mark.timeout(600 * PATIENCE)
async def test_a_deployment_is_operated_as_it_is_written(written: Written) -> None:
    town, shell = written.town, written.shell
    found = await asyncio.to_thread(shell.run, written.install.doctor, status=(0, 1))
    assert re.search(r"database\W+ok", found), found
    (size,) = commands_of("Size")
    await asyncio.to_thread(shell.run, written.top)
    await asyncio.to_thread(shell.run, size, within=MEASURING_S)
    await asyncio.to_thread(until, "a standby on each node", written.is_full)

    people = People(town)
    agent, consumer = await people.talking()
    shell.places["NODE"] = (await asyncio.to_thread(town.node_of_session))["node"]
    nodes, drain, undrain = commands_of("Scale in")
    assert shell.places["NODE"] in await asyncio.to_thread(shell.run, nodes)
    assert "1 sessions were moved away" in await asyncio.to_thread(shell.run, drain)
    await moved_to((agent, consumer), 2)
    await asyncio.to_thread(shell.run, undrain)
    for command, title in zip(commands_of("Upgrade"), SINGLES, strict=True):
        (before,) = town.cluster.processes(title)
        await asyncio.to_thread(shell.run, command)
        await asyncio.to_thread(until, f"{title} has ended", partial(has_ended, before))
    await agent.insist("guest.invite")
    await agent.insist("session.end")
    await consumer.expect("session.ended")
    for widget in (agent, consumer):
        await widget.close()
    await people.close()

    path = f"sessions/{people.session_id}"
    record = await asyncio.to_thread(told, town.operator.gateway, path, KEYS["eastern"])
    assert "guest.invited" in [event["type"] for event in record["events"]]
    dump, _ = commands_of("Back up")
    down, restore, *_ = commands_of("Restore")
    await asyncio.to_thread(shell.run, dump)
    database = shell.places["postgresql://switchboard@db.example.internal/switchboard"]
    await asyncio.to_thread(shell.run, down)
    await postgres.execute(database, "TRUNCATE journal, sessions CASCADE")
    await asyncio.to_thread(shell.run, restore)
    await asyncio.to_thread(written.replaced)
    again = await asyncio.to_thread(told, town.operator.gateway, path, KEYS["eastern"])
    assert again == record
    await asyncio.to_thread(shell.run, down)
    assert await asyncio.to_thread(written.up.end) == 0
