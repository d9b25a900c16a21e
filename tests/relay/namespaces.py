"""Network namespaces: lines and addresses of a test's own, of which the machine sees nothing."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.patience import PATIENCE

_CLONE_NEWNET = 0x40000000
_PREFIX = "switchboard"


@dataclass(frozen=True, slots=True)
class Namespace:
    """One network namespace; `namespace` makes and deletes it."""

    name: str

    def ip(self, *words: str) -> None:
        _run("ip", "-n", self.name, *words)

    def tc(self, *words: str) -> None:
        _run("tc", "-n", self.name, *words)

    def forward(self) -> None:
        """Pass on what comes by one line and is for another."""
        with self.inside():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def has(self, discipline: str) -> bool:
        """Whether the kernel has a queueing discipline, which `tc` may then put on a line.

        Raises:
            AssertionError: it may have it, but `tc` failed for another reason.
        """
        try:
            self.tc("qdisc", "add", "dev", "lo", "root", discipline, "limit", "1000")
        except AssertionError as error:
            if "qdisc kind is unknown" in str(error):
                return False
            raise
        self.tc("qdisc", "delete", "dev", "lo", "root")
        return True

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make sockets in the namespace from this thread; they stay there."""
        libc = ctypes.CDLL(None, use_errno=True)
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            if libc.setns(there, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")
            yield
        finally:
            libc.setns(own, _CLONE_NEWNET)
            os.close(own)
            os.close(there)


@contextmanager
def namespace(purpose: str) -> Iterator[Namespace]:
    """Make a network namespace with loopback; it needs root, and fails saying so."""
    assert os.geteuid() == 0, "a network namespace needs root"
    for left in Path("/run/netns").glob(f"{_PREFIX}-*"):
        # A run that was killed could not tidy up.
        if not Path("/proc", left.name.split("-")[1]).exists():
            _run("ip", "netns", "delete", left.name)
    made = Namespace(f"{_PREFIX}-{os.getpid()}-{purpose}")
    _run("ip", "netns", "add", made.name)
    try:
        made.ip("link", "set", "lo", "up")
        yield made
    finally:
        _run("ip", "netns", "delete", made.name)


def link(near: Namespace, far: Namespace, number: int) -> None:
    """Lay a line between two namespaces: 10.77.NUMBER.1 is its near end, 10.77.NUMBER.2 its far.

    Its devices are called `line-NUMBER` at both ends.
    """
    device = f"line-{number}"
    near.ip("link", "add", device, "type", "veth", "peer", "name", device, "netns", far.name)
    for end, host in ((near, 1), (far, 2)):
        end.ip("address", "add", f"10.77.{number}.{host}/24", "dev", device)
        end.ip("link", "set", device, "up")


@contextmanager
def two_lines() -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces with two lines between them.

    The second is a way to the near end's one address, 10.77.1.1, too, if the first is gone.
    """
    with namespace("near") as near, namespace("far") as far:
        for number in (1, 2):
            link(near, far, number)
        far.ip("route", "add", "10.77.1.1", "via", "10.77.2.1", "metric", "500")
        yield near, far


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=10 * PATIENCE)
    assert done.returncode == 0, f"{' '.join(command)} failed: {done.stderr.strip()}"
