"""What a Ray says to somebody who has not its token."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Literal

from gateway.commands import probe

Reception = Literal["refused", "served", "unknown"]
TIMEOUT_S = 30.0
# In a process of its own: Ray reads once in a process whether it has a token.
_ASK = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError
try:
    GcsClient(address=sys.argv[1]).internal_kv_get(b"switchboard", None)
except AuthenticationError:
    print("refused")
else:
    print("served")
"""


def reception(address: str) -> Reception:
    """Ask a Ray's head, `host:port`, for something without a token; takes a second or two."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or not probe.answers_tcp(host, int(port)):
        return "unknown"
    environment = {name: value for name, value in os.environ.items() if "RAY_AUTH" not in name}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _ASK, address],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return "unknown"
    match done.stdout.split()[-1:]:
        case ["refused"]:
            return "refused"
        case ["served"]:
            return "served"
        case _:
            return "unknown"
