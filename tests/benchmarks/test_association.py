"""Two far ends that meet without sockets: either may be the one who begins the handshake."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from benchmarks.media.association import Association, Certificate, Keys
from benchmarks.media.remote import Remote
from tests.patience import PATIENCE

PROFILE = "SRTP_AEAD_AES_128_GCM"
CLIENT, SERVER = "passive", "active"
"""What the other side's description says where one begins the handshake oneself, or waits."""


class End(Association):
    """Hands what it sends to the other end in the loop's next turn."""

    def __init__(self) -> None:
        super().__init__(Certificate(PROFILE))
        self.other: End | None = None
        self.given: list[Keys] = []

    def send(self, data: bytes | memoryview) -> None:
        if self.other is not None:
            asyncio.get_running_loop().call_soon(self.other.receive, bytes(data))

    def keyed(self, keys: Keys) -> None:
        self.given.append(keys)


def pair() -> tuple[End, End]:
    one, other = End(), End()
    one.other, other.other = other, one
    for near, far, setup in ((one, other, CLIENT), (other, one, SERVER)):
        own = far.own
        near.remote = Remote(own.ufrag, own.password, own.fingerprint, setup, ("192.0.2.1", 9))
    return one, other


async def test_both_get_the_same_keys_the_other_way_round() -> None:
    one, other = pair()
    await asyncio.gather(one.associate(10 * PATIENCE), other.associate(10 * PATIENCE))
    assert one.keys is not None
    assert other.keys is not None
    assert (one.keys.outbound, one.keys.inbound) == (other.keys.inbound, other.keys.outbound)
    assert one.keys.outbound != one.keys.inbound
    assert one.keys.profile == other.keys.profile == PROFILE.encode()
    assert (one.given, other.given) == ([one.keys], [other.keys])
    assert one.mapped == ("192.0.2.1", 9)


async def test_a_check_without_the_password_finds_no_answer_and_is_not_counted() -> None:
    one, other = pair()
    one.receive(other.check(password="x" * 32))
    one.receive(other.check())
    await asyncio.sleep(0)
    assert (one.checks_received, other.checks_answered) == (1, 1)


async def test_whoever_shows_another_certificate_than_was_described_gets_no_keys() -> None:
    one, other = pair()
    own = replace(other.own, fingerprint=Certificate().fingerprint)
    one.remote = Remote(own.ufrag, own.password, own.fingerprint, CLIENT, ("192.0.2.1", 9))
    waiting = asyncio.create_task(other.associate(10 * PATIENCE))
    with pytest.raises(ConnectionError):
        await one.associate(10 * PATIENCE)
    assert one.given == []
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_where_nobody_answers_it_is_given_up() -> None:
    one, _ = pair()
    one.other = None
    with pytest.raises(TimeoutError):
        await one.associate(0.05)
