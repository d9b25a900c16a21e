"""Which of a deployment's ledgers an account belongs to.

All that is live of an account is in one ledger: its sessions, who waits and watches, its agents,
the processes it may reuse. So the account decides, and nothing finer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def shard_of(account_id: str, shards: int) -> int:
    """Return the account's shard, 0 to `shards` - 1: the same in every process and release."""
    if shards == 1:
        return 0
    return int.from_bytes(hashlib.sha256(account_id.encode()).digest()[:8], "big") % shards


@dataclass(frozen=True, slots=True)
class Shard:
    """One ledger's part of the accounts."""

    number: int = 0
    of: int = 1
    """How many ledgers the deployment has."""

    def has(self, account_id: str) -> bool:
        """Whether the account is this ledger's."""
        return shard_of(account_id, self.of) == self.number


WHOLE = Shard()
"""The part of a deployment's only ledger."""
