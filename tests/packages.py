"""Debian's packages that tests need beside Python's: installed where that may be done."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.patience import PATIENCE

Found = TypeVar("Found")
_INSTALL_S = 300 * PATIENCE


def installed(package: str, find: Callable[[], Found | None]) -> Found:
    """Return what `find` finds of a package, installing that if need be; fail without it."""
    found = find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            subprocess.run(
                ["apt-get", "-qq", *words],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                check=True,
                timeout=_INSTALL_S,
                capture_output=True,
            )
        found = find()
    if found is None:
        pytest.fail(f"{package} is needed (Debian and Ubuntu: apt-get install {package}).")
    return found
