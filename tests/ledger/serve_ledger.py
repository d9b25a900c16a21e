"""A ledger in a process of its own, to be killed: database URL in, port out."""

from __future__ import annotations

import asyncio
import sys
import time

from actors.ledger import Ledger
from tests.ledger.fakes import HOST, KEY


async def main(url: str) -> None:
    ledger = Ledger(url, KEY, now_ms=lambda: int(time.time() * 1000))
    sys.stdout.write(f"{await ledger.start(HOST, 0)}\n")
    sys.stdout.flush()
    await ledger.stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
