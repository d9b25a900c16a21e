"""Where commands print their tables: as a terminal has room, and whole into a pipe or a file."""

from __future__ import annotations

import os

from rich.console import Console

_WHOLE = 1000
"""Columns; no row is that long, and a table takes no more than it needs."""


def table_console() -> Console:
    """A console on standard output that cuts and folds only where somebody looks at it.

    What goes into `grep` or a file is one whole line a row, unless `COLUMNS` says how wide.
    """
    found = Console()
    return found if found.is_terminal or os.environ.get("COLUMNS") else Console(width=_WHOLE)
