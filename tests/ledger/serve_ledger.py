"""A ledger in a process of its own, to be killed: database URL and shard in, port out."""

from __future__ import annotations

import asyncio
import sys
import time

from actors.ledger import Ledger
from broker.shards import Shard
from tests.ledger.fakes import HOST, KEY


async def main(url: str, shard: Shard) -> None:
    ledger = Ledger(url, KEY, now_ms=lambda: int(time.time() * 1000), shard=shard)
    sys.stdout.write(f"{await ledger.start(HOST, 0)}\n")
    sys.stdout.flush()
    await ledger.stopped.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Shard(*map(int, sys.argv[2:]))))
