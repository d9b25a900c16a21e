"""STUN as an ICE-lite agent needs it (RFC 8489, RFC 8445 §7).

`request_name` looks at the user name before anything else is spent on a datagram; aioice's codec
does the rest. Its parser raises `ValueError` and `struct.error` on hostile bytes, caught here.
"""

from __future__ import annotations

import ipaddress
import struct
import sys
from types import ModuleType
from typing import Final

# All of aioice comes with its codec, and with its mDNS all of dnspython: 46 modules in each session
# actor. A lite agent looks no candidate up, so aioice finds an empty module in place of that one.
_mdns = ModuleType("aioice.mdns")
_mdns.__dict__["MDnsProtocol"] = object
sys.modules.setdefault(_mdns.__name__, _mdns)

from aioice import stun  # noqa: E402

_COOKIE: Final = b"\x21\x12\xa4\x42"
_BINDING_REQUEST: Final = b"\x00\x01"
_BINDING_RESPONSE: Final = b"\x01\x01"
_BINDING_INDICATION: Final = b"\x00\x11"
_USERNAME: Final = 0x0006
_MESSAGE_INTEGRITY: Final = 0x0008
_UNKNOWN_ATTRIBUTES: Final = 0x000A
_OPTIONAL: Final = 0x8000
"""Attributes from here on may be ignored by who does not know them (RFC 8489 §14)."""
_MOST_BYTES: Final = 548
"""A check is about 100 bytes; RFC 8489 §6.1 asks senders to stay below this."""
_PRIORITY: Final = 126 << 24 | 65535 << 8 | 255
_ROLE_CONFLICT: Final = 487
_UNKNOWN_ATTRIBUTE: Final = 420


def _packed(kinds: list[int]) -> bytes:
    return struct.pack(f"!{len(kinds)}H", *kinds)


def _unpacked(value: bytes) -> list[int]:
    return list(struct.unpack(f"!{len(value) // 2}H", value))


# The one attribute of RFC 8489 for Binding that aioice has no name for (§14.13).
_entry = (_UNKNOWN_ATTRIBUTES, "UNKNOWN-ATTRIBUTES", _packed, _unpacked)
stun.ATTRIBUTES_BY_TYPE[_entry[0]] = stun.ATTRIBUTES_BY_NAME[_entry[1]] = _entry


def is_response(data: bytes) -> bool:
    """Tell a Binding success response from everything else."""
    return data[:2] == _BINDING_RESPONSE and data[4:8] == _COOKIE and len(data) <= _MOST_BYTES


def is_indication(data: bytes) -> bool:
    """Tell a Binding indication, which keeps a path alive and asks for nothing (RFC 8445 §11)."""
    return data[:2] == _BINDING_INDICATION and data[4:8] == _COOKIE and len(data) <= _MOST_BYTES


def request_name(data: bytes) -> bytes | None:
    """Return the local half of a Binding request's user name; None when it is not one."""
    size = len(data)
    if (
        size < 24
        or size > _MOST_BYTES
        or data[:2] != _BINDING_REQUEST
        or data[4:8] != _COOKIE
        or (data[2] << 8 | data[3]) + 20 != size
    ):
        return None
    position = 20
    while position + 4 <= size:
        length = data[position + 2] << 8 | data[position + 3]
        if data[position] << 8 | data[position + 1] == _USERNAME:
            local, colon, _ = data[position + 4 : position + 4 + length].partition(b":")
            return local if colon else None
        position += 4 + length + (-length & 3)
    return None


def parse(data: bytes, password: bytes) -> stun.Message | None:
    """Return the message if it is well formed and carries a correct MESSAGE-INTEGRITY."""
    try:
        message = stun.parse_message(data)
        return message if message.check_message_integrity(password) else None
    except (ValueError, struct.error):
        return None


def unknown_attributes(data: bytes) -> list[int]:
    """Return the kinds of a parsed message that must be comprehended and are not (RFC 8489 §6.3).

    What follows MESSAGE-INTEGRITY is not authenticated, and counts for nothing (§14.5).
    """
    unknown: list[int] = []
    position = 20
    while position + 4 <= len(data):
        kind, length = struct.unpack_from("!HH", data, position)
        if kind == _MESSAGE_INTEGRITY:
            break
        if kind < _OPTIONAL and kind not in stun.ATTRIBUTES_BY_TYPE and kind not in unknown:
            unknown.append(kind)
        position += 4 + length + (-length & 3)
    return unknown


def is_nomination(message: stun.Message) -> bool:
    return "USE-CANDIDATE" in message.attributes


def has_role_conflict(message: stun.Message) -> bool:
    """Tell whether the peer believes it is controlled too; a lite agent always is."""
    return "ICE-CONTROLLED" in message.attributes


def success(message: stun.Message, host: str, port: int, password: bytes) -> bytes:
    """Answer a request; v4-mapped addresses are unmapped, the client knows itself as IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=message.transaction_id,
        attributes={"XOR-MAPPED-ADDRESS": (str(address), port)},
    )
    response.add_message_integrity(password)
    return bytes(response)


def role_conflict(message: stun.Message, password: bytes) -> bytes:
    """Answer a request of a peer that must take the controlling role (RFC 8445 §7.3.1.1)."""
    return _error(message, password, {"ERROR-CODE": (_ROLE_CONFLICT, "Role Conflict")})


def not_comprehended(message: stun.Message, unknown: list[int], password: bytes) -> bytes:
    """Answer a request with attributes that nobody here comprehends (RFC 8489 §6.3.1)."""
    code = (_UNKNOWN_ATTRIBUTE, "Unknown Attribute")
    return _error(message, password, {"ERROR-CODE": code, "UNKNOWN-ATTRIBUTES": unknown})


def _error(message: stun.Message, password: bytes, attributes: dict[str, object]) -> bytes:
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.ERROR,
        transaction_id=message.transaction_id,
        attributes=attributes,
    )
    response.add_message_integrity(password)
    return bytes(response)


def check(username: str, password: bytes, transaction_id: bytes, tie_breaker: int) -> bytes:
    """Make the relay's own Binding request: does media sent there come to who asked for it?"""
    request = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        transaction_id=transaction_id,
        attributes={
            "USERNAME": username,
            "PRIORITY": _PRIORITY,
            "ICE-CONTROLLED": tie_breaker,
        },
    )
    request.add_message_integrity(password)
    return bytes(request)


def transaction_of(data: bytes) -> bytes:
    return data[8:20]
