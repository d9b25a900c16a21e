"""What holds for every test: its category, and what a unit test must not touch.

The category is the first folder below `tests/`; `-m browser` runs that folder's. Unit tests are
pure: in them Ray does not start and sockets do not connect, bind or send.

Run by two workers (`-n 2 --dist loadscope --no-loadscope-reorder`), one takes what wants the
machine: calls between browsers, clusters, floods and clocks, so that there is one of each at a
time. The other takes the rest, one category after another. Last come browser tests without a call,
file by file, and of the last file test by test: whichever worker is free takes the next, so that
neither waits for the other.
`Division` says which tests stay together; a run in which two workers had some of what stays alone
fails.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.patience import PATIENCE

# httpcore looks for sniffio several times in each request, and Python for its files each time anew:
# a tenth of what a widget that connects costs here. With `None` the import fails at once.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

# How long an example takes says more of what else the machine does than of the example.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")

HERE = Path(__file__).parent
BESIDE = (
    *("unit", "contract", "fuzz", "actors", "pool", "gateway", "ledger", "inprocess"),
    *("chaos", "operations", "benchmarks", "relay", "browser"),
)
"""Categories that run beside others, in this order; each stays together, but for browsers."""
ALONE = ("chaos", "integration", "operations", "installation", "benchmarks", "relay", "browser")
"""Categories that stay together, run in this order; a call between browsers keeps both processors
busy, so it is last."""
ALONE_OF: Mapping[str, frozenset[str]] = {
    "chaos": frozenset(
        {
            *("burst", "full_node", "head", "killed_processes", "leaving_nothing", "networks"),
            *("nodes", "partition", "reserve", "soak", "two_clusters", "two_releases", "upgrade"),
            "vacated_node",
        }
    ),
    "operations": frozenset({"database", "ray_logs", "runbook", "units", "up"}),
    "benchmarks": frozenset(
        {
            *("adapter", "appends", "beside", "census", "foreign", "guard", "harness"),
            *("interrupt", "lifecycle", "media", "media_load", "short", "target", "videoroom"),
        }
    ),
    "relay": frozenset(
        {"floods", "in_chromium", "in_firefox", "in_namespaces", "switching", "turn"}
    ),
    "browser": frozenset(
        {
            *("agent_proofs", "conversations", "device_change", "devices", "eight", "embedding"),
            *("firefox", "groups", "hosts", "join", "keyboard", "launcher", "offline"),
            *("resuming", "sdk_ids", "session", "showing"),
        }
    ),
}
"""The files that want the machine, of categories in which others do not: what starts Ray, measures,
floods, or brings browsers together. All else of these computes, runs on virtual time, or waits for
what happens."""
LAST = "tests/browser/test_units.py"
"""The last file in order. Its tests take a second and share a page that is quickly made."""
LONG_S = 300.0 * PATIENCE
"""What a test may take of the categories whose first tests start Ray, a deployment or a browser."""
ALONE_AT: set[str] = set()
"""The workers of pytest-xdist that had tests of `ALONE`."""
FORBIDDEN_SOCKET_CALLS = ("bind", "connect", "connect_ex", "sendto")


def category(path: Path) -> str | None:
    """Name the folder of tests that a test file lies in."""
    inside = path.relative_to(HERE).parts
    return inside[0] if len(inside) > 1 else None


def alone(nodeid: str) -> bool:
    """Whether a test is one of those that want the machine."""
    _, name, file, *_ = nodeid.split("::")[0].split("/")
    if name in ALONE_OF:
        return file.removeprefix("test_").removesuffix(".py") in ALONE_OF[name]
    return name in ALONE


def turn(item: pytest.Item) -> int:
    """Return when a test has its turn: what comes first is given out first, the longer part."""
    name = category(item.path) or ""
    return ALONE.index(name) if alone(item.nodeid) else len(ALONE) + BESIDE.index(name)


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
        if name in ALONE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LONG_S))
    items.sort(key=turn)


class Division(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests of a category, and of those that run alone, to one worker; of browser tests
    without a call those of a file, and of the last file each by itself."""

    def _split_scope(self, nodeid: str) -> str:
        if alone(nodeid):
            return "alone"
        file = nodeid.split("::")[0]
        if file == LAST:
            return nodeid
        _, name, *_ = file.split("/")
        return file if name == "browser" else name


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Division:
    return Division(config, log)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    worker = getattr(report, "node", None)
    if worker is not None and alone(report.nodeid):
        ALONE_AT.add(worker.gateway.id)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if len(ALONE_AT) > 1:
        raise pytest.UsageError("What wants the machine was divided between two workers.")


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
