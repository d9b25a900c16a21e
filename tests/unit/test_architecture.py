"""Who may import whom, and what the pure core must not use: read from the source, not from luck."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("broker", "actors", "gateway")
COMPOSITION_ROOT = "gateway/compose/"
IMPURE = {
    "asyncio",
    "time",
    "random",
    "secrets",
    "socket",
    "threading",
    "subprocess",
    "selectors",
    "uuid",
    "os",
}
MEDIA_LIBRARIES = {"aiortc", "aioice", "pylibsrtp"}
WORDS = {"budget", "config", "listener", "terms"}
"""Modules of the relay that most of it shares; they import each other only."""
BELOW: dict[str, set[str]] = {
    "wire": set(),
    "congestion": set(),
    "sdp": WORDS | {"wire"},
    "network": WORDS | {"wire"},
    "forwarding": WORDS | {"wire", "congestion", "sdp", "network"},
    "transport": WORDS | {"wire", "congestion", "sdp", "network", "forwarding"},
    "people": WORDS | {"wire", "congestion", "sdp", "network", "forwarding", "transport"},
}
"""What each package of the relay may import of it."""
DRAWERS = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}


@dataclass(frozen=True, slots=True)
class Module:
    """One source file and what it says."""

    path: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse((ROOT / self.path).read_text(encoding="utf-8"))

    def offences(self, forbidden: set[str]) -> list[str]:
        return [
            f"{self.path}:{line} imports {name}"
            for name, line in imports(self.path)
            if name.split(".")[0] in forbidden
        ]


@cache
def imports(path: str) -> tuple[tuple[str, int], ...]:
    """Return every module's full name that a file imports, with its line: read once for all."""
    found = []
    for node in ast.walk(Module(path).tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.split("/")[: -node.level] if node.level else []
            found.append((".".join([*package, *filter(None, [node.module])]), node.lineno))
    return tuple(found)


def modules(*packages: str) -> list[Module]:
    found = [
        Module(str(path.relative_to(ROOT)))
        for package in packages
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    assert found, f"there is no source under {packages}"
    return found


def test_broker_imports_only_the_standard_library_and_pydantic_for_messages() -> None:
    allowed = (set(sys.stdlib_module_names) - IMPURE) | {"broker"}
    offences = []
    for module in modules("broker"):
        here = allowed | {"pydantic"} if module.path.startswith("broker/messages/") else allowed
        offences += [
            f"{module.path}:{line} imports {name}"
            for name, line in imports(module.path)
            if name.split(".")[0] not in here
        ]
    assert offences == []


def test_broker_reads_no_clock_and_no_chance() -> None:
    clocks = {"now", "utcnow", "today"}
    offences = [
        f"{module.path}:{node.lineno} calls .{node.func.attr}()"
        for module in modules("broker")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in clocks
    ]
    assert offences == []


def test_broker_does_not_await() -> None:
    awaiting = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    offences = [
        f"{module.path}:{node.lineno}"
        for module in modules("broker")
        for node in ast.walk(module.tree)
        if isinstance(node, awaiting)
    ]
    assert offences == []


def test_gateway_knows_neither_actors_nor_ray() -> None:
    offences = [
        offence
        for module in modules("gateway")
        if not module.path.startswith(COMPOSITION_ROOT)
        for offence in module.offences({"actors", "ray"})
    ]
    assert offences == []


def test_actors_do_not_know_the_gateway() -> None:
    offences = [offence for module in modules("actors") for offence in module.offences({"gateway"})]
    assert offences == []


def test_nothing_that_runs_imports_tests_or_benchmarks() -> None:
    offences = [
        offence
        for module in modules(*PACKAGES)
        for offence in module.offences({"tests", "benchmarks"})
    ]
    assert offences == []


def touches_private(module: Module) -> bool:
    """Whether a module that imports a media library reads a private attribute not its own."""
    if not module.offences(MEDIA_LIBRARIES):
        return False
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (
            MEDIA_LIBRARIES
        ):
            if any(alias.name.startswith("_") for alias in node.names):
                return True
        elif (
            isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
        ):
            return True
    return False


def test_private_attributes_of_media_libraries_are_touched_in_one_module_of_the_relay() -> None:
    touching = [module.path for module in modules(*PACKAGES) if touches_private(module)]
    assert len(touching) <= 1, touching
    assert all(path.startswith("actors/relay/") for path in touching)


def test_the_relays_packages_import_only_what_lies_below_them() -> None:
    """For types, too: what a module names it knows."""
    relay = "actors.relay."
    found = modules("actors/relay")
    assert {module.path.split("/")[2] for module in found if module.path.count("/") > 2} == {*BELOW}
    offences = []
    for module in found:
        place, _, file = module.path.removeprefix("actors/relay/").rpartition("/")
        if not place and file.removesuffix(".py") not in WORDS:
            # What puts the packages together.
            continue
        allowed = BELOW[place] | {place} if place else WORDS
        offences += [
            f"{module.path}:{line} imports {name}"
            for name, line in imports(module.path)
            if f"{name}.".startswith(relay)
            and name.removeprefix(relay).split(".")[0] not in allowed
        ]
    assert offences == []


def test_media_libraries_stay_in_the_relay() -> None:
    offences = [
        offence
        for module in modules(*PACKAGES)
        if not module.path.startswith("actors/relay/")
        for offence in module.offences(MEDIA_LIBRARIES)
    ]
    assert offences == []


@pytest.mark.parametrize("package", [*PACKAGES, "benchmarks"])
def test_no_file_is_a_drawer(package: str) -> None:
    stems = {path.stem for path in (ROOT / package).rglob("*.py")}
    assert stems & DRAWERS == set()


def test_packages_say_what_they_own() -> None:
    for module in modules(*PACKAGES):
        if module.path.endswith("/__init__.py"):
            assert ast.get_docstring(module.tree), module.path


def test_the_top_level_holds_what_belongs_there_and_nothing_that_was_left() -> None:
    ours = {
        ".ci",
        ".git",
        ".gitignore",
        ".venv",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "actors",
        "benchmarks",
        "broker",
        "constraints.txt",
        "deploy",
        "docs",
        "gateway",
        "pyproject.toml",
        "tests",
        "widgets",
    }
    ignored = [
        line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    ]
    strangers = [
        path.name
        for path in ROOT.iterdir()
        if path.name not in ours and not any(fnmatch(path.name, rule) for rule in ignored)
    ]
    assert strangers == []
