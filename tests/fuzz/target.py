"""One fuzz target: `python -m tests.fuzz.target readers|relay FOLDER`, and libFuzzer's arguments.

What it begins with is written into the folder. Ends with 0 when nothing was found; what was found
is written to a file whose name libFuzzer prints.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris


def main() -> None:
    program, name, folder, *arguments = sys.argv
    with atheris.instrument_imports(include=["actors.relay"]):
        from tests.fuzz import relay_datagrams, relay_packets
        from tests.fuzz.seeds import SEEDS
    targets = {
        "readers": (relay_packets.read, SEEDS),
        "relay": (relay_datagrams.Repertoire().play, relay_datagrams.seeds()),
    }
    target, seeds = targets[name]
    for number, seed in enumerate(seeds):
        (Path(folder) / str(number)).write_bytes(seed)
    atheris.Setup([program, *arguments, folder], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
