"""Which calls of our own Python a step makes: what can be counted where time cannot be trusted."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[1]
OURS = tuple(str(ROOT / folder) for folder in ("broker", "actors", "gateway"))


def calls_of(step: Callable[[], object]) -> Counter[str]:
    """Return each function of Python that a step called, in any module, and how often.

    Those of ours have their module's path before their name, others only their file's name.
    """
    found: Counter[str] = Counter()

    def note(frame: FrameType, what: str, argument: object) -> None:
        if what == "call":
            code = frame.f_code
            path = Path(code.co_filename)
            ours = str(path).startswith(OURS)
            module = str(path.relative_to(ROOT)) if ours else path.name
            found[f"{module} {code.co_qualname}"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        step()
    finally:
        sys.setprofile(before)
    return found


def ours(calls: Mapping[str, int]) -> int:
    """Count the calls of our own functions."""
    return sum(count for name, count in calls.items() if "/" in name)


def named(calls: Mapping[str, int], name: str) -> int:
    """Count the calls of the functions of this name, wherever they are."""
    return sum(count for called, count in calls.items() if called.endswith(f" {name}"))
