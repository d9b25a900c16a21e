"""Any other server as a peer, by one file.

Run as a program the file starts the server, or only knows where one is: it prints
`{"ready": true, "port": n}` or `"address": "..."`, and ends when its standard input closes. Its
function `load`, where it has one, makes the load that speaks the server's protocol (`Load` in
`benchmarks.load`); without one the scenario's own load is used, and the file translates.
"""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from benchmarks.process import Child

if TYPE_CHECKING:
    from benchmarks.load import Load

NAMED = ("janus", "none")


def peer_named(text: str) -> str:
    """Take a peer from the command line: Janus, none, or the file of an adapter."""
    if text in NAMED or Path(text).is_file():
        return text
    raise argparse.ArgumentTypeError(f"{text} is neither of {', '.join(NAMED)} nor a file")


def adapter_named(text: str) -> str:
    """Take an adapter's file from the command line."""
    if Path(text).is_file():
        return text
    raise argparse.ArgumentTypeError(f"{text} is no file")


def name_of(file: str) -> str:
    """Return what an adapter's server is called in a report."""
    return Path(file).stem


def address_of(server: Child) -> str:
    """Return where a server said that it is."""
    said = server.ready
    return str(said["address"]) if "address" in said else f"http://127.0.0.1:{said['port']}"


def maker_in(file: str) -> Callable[..., Load] | None:
    """Return the function `load` of an adapter; `None` when the scenario's own will do."""
    return cast("Callable[..., Load] | None", runpy.run_path(file).get("load"))
