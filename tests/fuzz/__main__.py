"""Fuzz what reads the network, with coverage as the guide: `python -m tests.fuzz`.

For half a minute the relay's readers, for another a whole relay (`tests.fuzz.target`). Ends with 0
when nothing was found and enough was tried.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile

SECONDS = 30
LEAST_RUNS = {"readers": 3_000, "relay": 150}
"""In that time. A tenth of what a machine does that has everything else to do first: fewer mean
that the target hardly ran."""
_DONE = re.compile(rb"^Done (\d+) runs in \d+ second.*$", re.MULTILINE)


def main() -> int:
    for name, least in LEAST_RUNS.items():
        arguments = [f"-max_total_time={SECONDS}", "-artifact_prefix=artifacts/"]
        with tempfile.TemporaryDirectory() as folder:
            ended = subprocess.run(
                [sys.executable, "-m", "tests.fuzz.target", name, folder, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        done = _DONE.search(ended.stdout)
        if ended.returncode or done is None:
            sys.stdout.buffer.write(ended.stdout)
            return 1
        print(f"{done[0].decode()}, {name}", flush=True)
        if int(done[1]) < least:
            print(f"That is not enough: {least} at least.")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
