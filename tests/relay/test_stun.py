"""Checks with attributes that the relay does not know, by a reader and a writer of its own.

RFC 8489 §14: below 0x8000 an attribute must be comprehended, from there on it may be ignored.
"""

from __future__ import annotations

import hmac
import struct
from typing import NamedTuple

import pytest

from tests.patience import until

from .client import CraftedClient
from .conftest import Call, StartCall
from .stranger import Stranger, echo

USERNAME, INTEGRITY, ERROR, UNKNOWN, MAPPED = 0x0006, 0x0008, 0x0009, 0x000A, 0x0020
PRIORITY, USE_CANDIDATE, CONTROLLING = 0x0024, 0x0025, 0x802A
REQUEST, INDICATION, SUCCESS, FAILURE = 0x0001, 0x0011, 0x0101, 0x0111

Attributes = list[tuple[int, bytes]]


class Message(NamedTuple):
    kind: int
    transaction: bytes
    attributes: dict[int, bytes]


def _packed(attributes: Attributes) -> bytes:
    return b"".join(
        struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)
        for kind, value in attributes
    )


def _proof(message: bytes, password: str) -> bytes:
    """MESSAGE-INTEGRITY's value: of all before it, as if it were the last (RFC 8489 §14.5)."""
    head = message[:2] + struct.pack("!H", len(message) - 20 + 24) + message[4:]
    return hmac.digest(password.encode(), head, "sha1")


def written(
    kind: int,
    transaction: bytes,
    attributes: Attributes,
    password: str,
    behind: Attributes | None = None,
) -> bytes:
    """Write a message; what is `behind` its proof is not authenticated."""
    message = struct.pack("!HHI", kind, 0, 0x2112A442) + transaction + _packed(attributes)
    message += _packed([(INTEGRITY, _proof(message, password)), *(behind or [])])
    return message[:2] + struct.pack("!H", len(message) - 20) + message[4:]


def read(data: bytes, password: str) -> Message:
    """Read a message that carries the right proof."""
    kind, length, _, transaction = struct.unpack_from("!HHI12s", data)
    assert length + 20 == len(data)
    found: dict[int, bytes] = {}
    position = 20
    while position < len(data):
        attribute, size = struct.unpack_from("!HH", data, position)
        value = data[position + 4 : position + 4 + size]
        if attribute == INTEGRITY:
            assert value == _proof(data[:position], password)
        found[attribute] = value
        position += 4 + size + (-size & 3)
    assert INTEGRITY in found
    return Message(kind, transaction, found)


def check(client: CraftedClient, unknown: list[int], behind: list[int]) -> bytes:
    name = f"{client.remote.ufrag}:{client.own.ufrag}".encode()
    attributes = [
        (USERNAME, name),
        *((kind, b"odd") for kind in unknown),
        (PRIORITY, bytes(4)),
        (CONTROLLING, bytes(8)),
        (USE_CANDIDATE, b""),
    ]
    last = [(kind, b"") for kind in behind]
    return written(REQUEST, b"transaction!", attributes, client.remote.password, last)


@pytest.mark.parametrize(
    ("unknown", "behind", "told"),
    [
        ([0x7777], [], [0x7777]),
        ([0x7777, 0xC057, 0x0030], [0x7778], [0x7777, 0x0030]),
        # Before the proof alone it would be one of RFC 8489's that RFC 5389 did not know.
        ([0x001C], [], [0x001C]),
        ([0x8888, 0xC057], [], None),
        ([], [0x001C, 0x7777], None),
    ],
)
async def test_a_check_that_cannot_be_comprehended_is_told_why_and_has_no_effect(
    call: Call, unknown: list[int], behind: list[int], told: list[int] | None
) -> None:
    """RFC 8489 §6.3.1, once the proof holds; whoever is refused is heard no more than before."""
    ada = CraftedClient(call.relay, "ada")
    call.clients.append(ada)
    await ada.open()
    ada.negotiate()
    stranger = await Stranger().open()
    stranger.send(check(ada, unknown, behind), call.relay.port)
    await until(lambda: stranger.received)
    answer = read(stranger.received[0], ada.remote.password)
    assert answer.transaction == b"transaction!"
    ice = call.relay.transports["ada-1"].ice
    if told is None:
        assert (answer.kind, MAPPED in answer.attributes) == (SUCCESS, True)
        assert len(ice.addresses) == 1
    else:
        assert answer.kind == FAILURE
        assert answer.attributes[ERROR][:4] == bytes((0, 0, 4, 20))
        assert answer.attributes[UNKNOWN] == struct.pack(f"!{len(told)}H", *told)
        assert (ice.addresses, ice.wanted) == ([], None)
    stranger.close()


async def test_who_has_no_proof_is_not_told_what_is_comprehended(call: Call) -> None:
    ada = await call.join("ada")
    stranger = await Stranger().open()
    drops = call.relay.transports["ada-1"].intake.drops
    forged = check(ada, [0x7777], [])
    stranger.send(forged[:-1] + bytes([forged[-1] ^ 1]), call.relay.port)
    await until(lambda: drops.unproved == 1)
    await echo(ada)
    assert not stranger.received
    stranger.close()


async def test_an_answer_that_cannot_be_comprehended_moves_nothing(start_call: StartCall) -> None:
    """RFC 8489 §6.3.3; the relay's own check is still under way then."""
    # The relay's patience of two seconds does not end while its clock stands.
    call = await start_call(clock=lambda: 1000.0)
    ben = await call.join("ben")
    ben.nominates = False
    ice = call.relay.transports["ben-1"].ice
    selected = ice.selected
    other = await Stranger().open()
    other.send(ben.check(nominate=True), call.relay.port)
    await until(lambda: other.received and other.received[-1][:2] == b"\x00\x01")
    asked = read(other.received[-1], ben.own.password)

    def answer(unknown: Attributes) -> bytes:
        return written(SUCCESS, asked.transaction, unknown, ben.own.password)

    other.send(answer([(0x7777, b"odd")]), call.relay.port)
    other.send(ben.check(nominate=False), call.relay.port)
    await until(lambda: len(other.received) == 3)
    assert ice.selected is selected
    other.send(answer([(0x8888, b"odd")]), call.relay.port)
    await until(lambda: ice.selected is not selected)
    other.close()


async def test_an_indication_of_a_peer_is_no_strangers(call: Call) -> None:
    """RFC 8445 §11: it keeps a path alive, and asks for nothing."""
    ada, stranger = await call.join("ada"), await Stranger().open()
    ada.stop_checking()
    await echo(ada)
    address, before = call.relay.transports["ada-1"].ice.addresses[0], call.relay.dropped_strangers
    heard = address.heard
    indication = struct.pack("!HHI", INDICATION, 0, 0x2112A442) + b"transaction!"
    ada.send(indication)
    stranger.send(indication, call.relay.port)
    await until(lambda: call.relay.dropped_strangers > before)
    # It was read before the stranger's, and is no proof of anybody.
    assert address.heard == heard
    await echo(ada)
    assert call.relay.dropped_strangers == before + 1
    assert not stranger.received
    stranger.close()
