"""What holds for every test: its category, and what a unit test must not touch.

The category is the first folder below `tests/`; `-m browser` runs that folder's. Unit tests are
pure: in them Ray does not start and sockets do not connect, bind or send.

Run by two workers (`-n 2 --dist loadgroup --loadscope-reorder`), one takes what wants the machine:
browsers, clusters, floods and clocks, so that there is one of each at a time. The other takes the
rest, one category after another. pytest-xdist gives out the largest group of tests first, and all
of a group to one worker: what wants the machine begins at once because it is the largest.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tests.patience import PATIENCE

# httpcore looks for trio several times in each request, and Python for its files each time anew: an
# eighth of what a widget that connects costs here. With `None` the import fails at once.
sys.modules.setdefault("trio", None)  # type: ignore[arg-type]

HERE = Path(__file__).parent
BESIDE = ("unit", "contract", "fuzz", "actors", "pool", "gateway", "ledger")
"""Categories that run beside others; each is a group of its own."""
ALONE = ("chaos", "integration", "operations", "installation", "relay", "benchmarks", "browser")
"""Categories that are one group, run in this order; a browser keeps both processors busy, so it is
last."""
FORBIDDEN_SOCKET_CALLS = ("bind", "connect", "connect_ex", "sendto")


def category(path: Path) -> str | None:
    """Name the folder of tests that a test file lies in."""
    inside = path.relative_to(HERE).parts
    return inside[0] if len(inside) > 1 else None


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("timeout") is None:
        # What no test may take, as long as what it waits for; before pytest-timeout reads it.
        config.option.timeout = float(config.getini("timeout")) * PATIENCE
    for folder in sorted(HERE.iterdir()):
        if folder.is_dir() and folder.name.isidentifier():
            config.addinivalue_line("markers", f"{folder.name}: tests of tests/{folder.name}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = category(item.path)
        if name not in (*BESIDE, *ALONE):
            raise pytest.UsageError(f"{item.path} lies in no category that conftest.py names.")
        item.add_marker(name)
        item.add_marker(pytest.mark.xdist_group("alone" if name in ALONE else name))
    items.sort(key=lambda item: (*BESIDE, *ALONE).index(category(item.path) or ""))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests noted (`record_property("note", ...)`): what they could not check here."""
    for report in terminalreporter.getreports("passed"):
        for name, note in report.user_properties:
            if name == "note":
                terminalreporter.write_line(f"{report.nodeid}: {note}")


def refuse(*args: object, **kwargs: object) -> NoReturn:
    raise AssertionError("A unit test must not start Ray or use a socket.")


@pytest.fixture(autouse=True)
def pure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep Ray and the network out of unit tests."""
    if category(request.path) != "unit":
        return
    for name in FORBIDDEN_SOCKET_CALLS:
        monkeypatch.setattr(socket.socket, name, refuse)
    if "ray" in sys.modules:
        monkeypatch.setattr(sys.modules["ray"], "init", refuse)
    else:
        # `None` makes the import fail: importing Ray costs a unit run a second for nothing.
        monkeypatch.setitem(sys.modules, "ray", None)
