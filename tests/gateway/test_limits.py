"""Rates, with time given."""

from __future__ import annotations

import pytest

from gateway.limits import AddressLimits, TokenBucket


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(2.0, 3.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_reserving_says_how_long_to_wait() -> None:
    bucket = TokenBucket(10.0, 1.0)
    assert bucket.reserve(0.0) == 0.0
    assert bucket.reserve(0.0) == pytest.approx(0.1)
    assert bucket.reserve(0.0) == pytest.approx(0.2)
    assert bucket.reserve(0.3) == pytest.approx(0.0)


def test_addresses_do_not_hold_one_another_back() -> None:
    limits = AddressLimits(60.0, 1.0)
    assert limits.take("a", 0.0)
    assert not limits.take("a", 0.0)
    assert limits.take("b", 0.0)


def test_the_longest_unseen_address_is_forgotten_first() -> None:
    limits = AddressLimits(0.6, 1.0, keys=2)
    for key in ("a", "b", "a", "c"):
        limits.take(key, 0.0)
    assert len(limits) == 2
    assert not limits.take("a", 0.0)
    assert limits.take("b", 0.0)
