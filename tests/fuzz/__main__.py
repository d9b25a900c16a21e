"""Fuzz the relay's readers with coverage as the guide: `python -m tests.fuzz -max_total_time=60`.

Arguments are libFuzzer's. Ends with 0 when nothing was found; what was found is written to a file
whose name libFuzzer prints.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    with atheris.instrument_imports(include=["actors.relay"]):
        from tests.fuzz.relay_packets import read
        from tests.fuzz.seeds import SEEDS
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([*sys.argv, folder], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
