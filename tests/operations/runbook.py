"""The commands of docs/operations.md, found in its text and run as they stand there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.operations.cluster import PROGRAMS, ROOT, START_S, Process

RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def is_whole(text: str) -> bool:
    """Whether a shell reads these lines as finished commands."""
    read = subprocess.run(["bash", "-n", "-c", text], capture_output=True)
    return read.returncode == 0 and not text.rstrip().endswith("\\")


def commands_of(section: str, text: str = RUNBOOK) -> list[str]:
    """Return the commands in the blocks below a heading, each with its further lines.

    Raises:
        ValueError: there is no such heading, or a command in a block has no end.
    """
    parts = re.split(r"^(#+ .+)$", text, flags=re.MULTILINE)
    titles = [title.lstrip("# ") for title in parts[1::2]]
    found: list[str] = []
    for block in re.findall(r"^```\n(.*?)^```$", parts[2::2][titles.index(section)], re.S | re.M):
        pending = ""
        for line in block.splitlines(keepends=True):
            pending += line
            if is_whole(pending):
                found.append(pending.rstrip())
                pending = ""
        if pending:
            raise ValueError(f"A block of {section!r} ends within {pending!r}.")
    return found


def sections(text: str = RUNBOOK) -> list[str]:
    """Every heading, without its signs."""
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


class Shell:
    """An operator's shell on a machine where the runbook's places have other names.

    `places` is applied in its order, to whole words only; programs of this installation and those
    of `folder` come first.
    """

    def __init__(
        self, environment: Mapping[str, str], places: Mapping[str, str], programs: Sequence[Path]
    ) -> None:
        path = ":".join([*map(str, programs), str(PROGRAMS), environment["PATH"]])
        self.environment = {**environment, "PATH": path}
        self.places = dict(places)

    def translated(self, command: str) -> str:
        """Name this machine's places in place of the runbook's."""
        for name, here in self.places.items():
            command = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w])", lambda _, h=here: h, command)  # type: ignore[misc]
        return command

    def run(self, command: str, *, status: Sequence[int] = (0,), within: float = START_S) -> str:
        """Run one command to its end, `within` so many seconds; returns what it said.

        Raises:
            AssertionError: it ended with another status.
        """
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.translated(command)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=within,
        )
        said = (done.stdout + done.stderr).strip()
        assert done.returncode in status, f"{command}\nended with {done.returncode}: {said}"
        return said

    def begin(self, command: str) -> Process:
        """Begin one that runs on."""
        return Process(["bash", "-c", f"exec {self.translated(command)}"], self.environment)
