"""A machine of its own, as far as what runs on it can see: booted by systemd, with its own network.

It has this machine's programs and sources. What it writes goes into memory and is gone with it, and
so is whatever it started. This needs root, systemd, and a kernel with cgroups of version 2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil

from tests.operations.cluster import Process, until
from tests.packages import installed
from tests.patience import PATIENCE
from tests.relay.namespaces import Namespace

SYSTEMD = Path("/usr/lib/systemd/systemd")
RUN_S = 120.0 * PATIENCE
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENTER = """
echo $$ > "$1/cgroup.procs"
exec ip netns exec "$2" unshare --mount --pid --fork --kill-child --cgroup --uts \
  bash -euc "$3" boot "$4"
"""
BOOT = f"""
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$1"
cd "$1"
mkdir own work root
mount -t overlay -o "lowerdir=/,upperdir=$1/own,workdir=$1/work" machine root
cd root
# What boots a real machine: nothing of this one is to be mounted, cleaned or started there.
: > etc/fstab
ln -s /dev/null etc/systemd/system/systemd-tmpfiles-setup.service
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mkdir before
pivot_root . before
umount --lazy before
exec env -i PATH={PATH} container=tests {SYSTEMD} --unit=sysinit.target
"""


def cgroups() -> Path:
    """Where the cgroups of version 2 are."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and options.split(",")[0] == "rw":
            return Path(place)
    raise AssertionError("a machine needs cgroups of version 2, to be written")


class Machine:
    """One machine in a network namespace; `folder` is an empty one for its own files.

    A context manager: it has booted when it is entered, and nothing of it is left afterwards.
    """

    def __init__(self, folder: Path, network: Namespace) -> None:
        self._folder = folder
        self._network = network
        self._cgroup = cgroups() / network.name

    def __enter__(self) -> Machine:
        assert os.geteuid() == 0, "a machine needs root"
        installed("systemd", lambda: SYSTEMD if SYSTEMD.exists() else None)
        self._folder.mkdir()
        self._cgroup.mkdir()
        words = [str(self._cgroup), self._network.name, BOOT, str(self._folder)]
        self._process = Process(["bash", "-euc", ENTER, "enter", *words], dict(os.environ))
        try:
            until("it has booted", self._has_booted)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        self.run(f'mkdir -p "$(dirname {path})" && cat > {path}', said=text)

    def run(self, command: str, *, said: str = "", status: int | None = 0) -> str:
        """Run a command there as root; returns what it printed. `status`: any, where `None`."""
        (init,) = self._started()
        entered = ["nsenter", f"--target={init.pid}", "--mount", "--uts", "--pid", "--cgroup"]
        done = subprocess.run(
            [*entered, "--net", "bash", "-euo", "pipefail", "-c", command],
            input=said,
            env={"PATH": PATH},
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )
        printed = (done.stdout + done.stderr).strip()
        assert status in (None, done.returncode), f"{command}\n{done.returncode}: {printed}"
        return printed

    def shows(self, unit: str) -> Mapping[str, str]:
        """What systemd says of a unit, by property."""
        lines = self.run(f"systemctl show {unit}").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def _has_booted(self) -> bool:
        if not self._started():
            return False
        return self.run("systemctl is-active sysinit.target", status=None) == "active"

    def _started(self) -> list[psutil.Process]:
        """Its first process, once there is one; for this machine one of many."""
        try:
            return psutil.Process(self._process.pid).children()
        except psutil.NoSuchProcess:
            raise AssertionError("\n".join(self._process.lines)) from None

    def _end(self) -> None:
        self._process.kill()
        for folder in sorted(self._cgroup.rglob("*/"), reverse=True):
            if folder.is_dir():
                folder.rmdir()
        self._cgroup.rmdir()
        shutil.rmtree(self._folder, ignore_errors=True)
