"""Nodes whose wall clocks a test sets, as their own processes see them."""

from __future__ import annotations

from pathlib import Path

from tests.operations.cluster import ROOT

STEPPED = Path(__file__).with_name("stepped.py")


class NodeClock:
    """This release at a place of its own, where every Python looks at a clock that can be set.

    Ray's own programs and the database keep the machine's.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        """What is in the node's `PYTHONPATH`."""
        place.mkdir()
        for each in ROOT.iterdir():
            if not each.name.startswith("."):
                (place / each.name).symlink_to(each)
        (place / "sitecustomize.py").symlink_to(STEPPED)

    def step(self, seconds: int) -> None:
        """Be wrong by so many seconds from now on."""
        (self.place / "step").write_text(str(seconds))
