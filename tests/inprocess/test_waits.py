"""Who asks waits longer than whoever is asked may take."""

from __future__ import annotations

from actors.ledger import LedgerPolicy
from gateway.settings import Limits


def test_a_gateway_waits_longer_than_its_ledger() -> None:
    limits, policy = Limits(), LedgerPolicy()
    assert limits.locate_timeout_s > policy.settle_s
    # A standby may be given at the last moment, fail, and another one be asked.
    assert limits.open_timeout_s > policy.capacity_wait_s + 2 * policy.assign_s
