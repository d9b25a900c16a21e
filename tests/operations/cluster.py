"""An existing Ray, started node by node as an operator does, each in a process group of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.patience import PATIENCE
from tests.ports import free_port

PROGRAMS = Path(sys.executable).parent
START_S = 90.0 * PATIENCE
WAIT_S = 60.0 * PATIENCE
ROOT = Path(__file__).resolve().parents[2]
SESSIONS = "ray::SessionHost"
"""The title of a session actor's process."""
SINGLES = ("ray::LedgerHost", "ray::PoolHost", "ray::KeeperHost")
"""The titles of those that a deployment with one ledger has one of, as an upgrade ends them."""
ACCOUNTS = """
[accounts.12345678]
agent_login = "token_url"
token_url = "https://crm.example.com/token"
"""

JOIN = """
import json, sys
import ray
from ray._private import state
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
"""


def until(condition: str, found: Callable[[], bool], within: float = WAIT_S) -> None:
    """Wait until a callable is true; other processes' state has no event."""
    deadline, pause = time.monotonic() + within, threading.Event()
    while not found():
        assert time.monotonic() < deadline, f"not in time: {condition}"
        pause.wait(0.2)


class Process:
    """A command in a group of its own, whose output is kept."""

    def __init__(
        self, words: list[str], environment: dict[str, str], folder: Path | None = None
    ) -> None:
        self._process = subprocess.Popen(
            words,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_for(self, text: str, timeout_s: float = START_S) -> str:
        """Wait for a line that holds `text`; returns the line."""
        with self._news:
            self._news.wait_for(lambda: self._find(text) or self._ended, timeout_s)
            found = self._find(text)
        if not found:
            self.kill()
            raise AssertionError(f"{text!r} did not come:\n" + "\n".join(self.lines))
        return found

    def interrupt(self) -> int:
        """Stop it as Ctrl-C does; returns its status."""
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(START_S)
        self._finish()
        return status

    def end(self) -> int:
        """Wait for its own end; returns its status."""
        status = self._process.wait(START_S)
        self._finish()
        return status

    def kill_alone(self) -> None:
        """Kill the command itself and nothing that it started."""
        self._process.kill()
        self._process.wait(START_S)

    def kill(self) -> None:
        """Kill it and everything below it."""
        below = []
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(self.pid).children(recursive=True)
        for each in below:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        if self._process.poll() is None:
            self._process.kill()
        psutil.wait_procs(below, START_S)
        self._process.wait(START_S)
        self._finish()

    def _finish(self) -> None:
        self._reader.join(START_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _find(self, text: str) -> str:
        return next((line for line in self.lines if text in line), "")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is: the address that it has, and the network namespace that it is in."""

    host: str = "127.0.0.1"
    namespace: str = ""
    """Of whoever starts it, where empty."""

    @property
    def command(self) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self.namespace] if self.namespace else []


HERE = Place()


class RayCluster:
    """A Ray with token authentication, of one node at first. A context manager.

    It keeps to loopback, which Ray allows a single node only: one that gets `many` listens on the
    machine's own address.
    """

    def __init__(
        self,
        *,
        label: str = "",
        slots: int = 16,
        many: bool = False,
        told: Mapping[str, str] | None = None,
        release: Path = ROOT,
        place: Place = HERE,
        memory: int | None = None,
    ) -> None:
        """`told` is what the nodes' environment has beside the operators'.

        `release` is where the first node's sources lie, `place` where that node is. `memory` is
        what Ray gives away of that node's, in bytes; `None`: as much as it finds.
        """
        self._head = label, slots, release, place, memory
        # Short: Ray puts sockets below it, whose paths may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="sb-ops-"))
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
        self.environment = {
            **os.environ,
            "COLUMNS": "200",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "PYTHONPATH": str(ROOT),
        }
        self._nodes_environment = {
            **self.environment,
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": str(int(many)),
            "RAY_raylet_start_wait_time_s": str(round(START_S)),
            **(told or {}),
        }
        self.address = f"{place.host}:{free_port()}"
        self._nodes: list[Process] = []

    def __enter__(self) -> RayCluster:
        words = ("--head", f"--port={self.address.split(':')[1]}", f"--temp-dir={self.folder}")
        self._add(words, *self._head)
        return self

    def add(
        self,
        *,
        label: str = "",
        slots: int = 16,
        release: Path = ROOT,
        place: Place = HERE,
        memory: int | None = None,
    ) -> Process:
        """Start a further node; returns its command, whose death is the node's."""
        return self._add((f"--address={self.address}",), label, slots, release, place, memory)

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self) -> None:
        """End every node, and whatever runs on it; harmless when they have ended."""
        for node in reversed(self._nodes):
            node.kill()

    def processes(self, title: str) -> list[psutil.Process]:
        """Every process below a node whose command line holds `title`."""
        found = []
        for node in self._nodes:
            with suppress(psutil.Error):
                for process in psutil.Process(node.pid).children(recursive=True):
                    with suppress(psutil.Error):
                        if title in " ".join(process.cmdline()):
                            found.append(process)
        return found

    def ask(self, expression: str) -> Any:
        """Evaluate an expression over Ray's `state` where this Ray is joined: a process of its own.

        That takes two seconds of a processor.
        """
        done = subprocess.run(
            [sys.executable, "-c", f"{JOIN}print(json.dumps({expression}))", self.address],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    def release_of(self, node: str) -> Path:
        """Where the sources of a node lie, by its name in the ledger."""
        (raylet,) = (
            each for each in self.processes(f"--node-id={node}") if each.name() == "raylet"
        )
        return Path(raylet.environ()["PYTHONPATH"])

    def _add(
        self,
        words: tuple[str, ...],
        label: str,
        slots: int,
        release: Path,
        place: Place,
        memory: int | None,
    ) -> Process:
        node = Process(
            [
                *place.command,
                str(PROGRAMS / "ray"),
                "start",
                *words,
                "--block",
                f"--node-ip-address={place.host}",
                "--num-cpus=2",
                "--object-store-memory=80000000",
                *([] if memory is None else [f"--memory={memory}"]),
                f'--resources={{"media_slot": {slots}}}',
                *([f"--labels=switchboard={label}"] if label else []),
                "--disable-usage-stats",
                *(["--include-dashboard=false"] if "--head" in words else []),
            ],
            {**self._nodes_environment, "PYTHONPATH": str(release)},
        )
        self._nodes.append(node)
        node.wait_for("Ray runtime started.")
        return node


class Operator:
    """Somebody with a shell in a folder of their own: accounts, a secret, and `switchboard`."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._begun: list[Process] = []
        self.environment = environment or {**os.environ, "COLUMNS": "200"}
        self.port = free_port()
        self.gateway = f"http://127.0.0.1:{self.port}"
        (folder / "accounts.toml").write_text(ACCOUNTS)
        secret = folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(32))

    def up(self, *words: str) -> Process:
        """Begin `switchboard up`."""
        options = {
            "--origin": self.gateway,
            "--port": str(self.port),
            "--accounts": str(self.folder / "accounts.toml"),
            "--secret-file": str(self.folder / "secret"),
            "--data-dir": str(self.folder / "data"),
            "--standbys": "1",
        }
        for name, value in zip(words[::2], words[1::2], strict=True):
            options[name] = value
        flat = [word for pair in options.items() for word in pair]
        command = [*self._program(), "up", "--json", *flat]
        self._begun.append(Process(command, self.environment, self.folder))
        return self._begun[-1]

    def __enter__(self) -> Operator:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind, whatever failed."""
        for each in self._begun:
            each.kill()

    def run(self, *words: str) -> tuple[int, str]:
        """Run another command; returns its status and what it said."""
        done = self._run(*words)
        return done.returncode, (done.stdout + done.stderr).strip()

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._program(), *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=START_S,
        )

    def _program(self) -> list[str]:
        """`switchboard` as it is installed, or that of the other release this shell is given.

        What is installed names a module that another release may not have, or have elsewhere.
        """
        sources = Path(self.environment.get("PYTHONPATH", ROOT))
        if sources.resolve() == ROOT:
            return [str(PROGRAMS / "switchboard")]
        project = tomllib.loads((sources / "pyproject.toml").read_text())["project"]
        module, function = project["scripts"]["switchboard"].split(":")
        return [sys.executable, "-c", f"from {module} import {function}; {function}()"]

    def down(self, *words: str) -> dict[str, object]:
        """Run `switchboard down --json`, which must succeed."""
        done = self._run("down", "--json", "--data-dir", str(self.folder / "data"), *words)
        assert done.returncode == 0, done.stdout + done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer
