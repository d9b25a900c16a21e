"""Write coturn's list of allowed peers: the media nodes, one address each, and nothing wider.

python deploy/coturn/allow.py 10.0.3.11 10.0.3.12 > /etc/coturn/media-nodes.conf
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from ipaddress import ip_address


def allowed(addresses: Iterable[str]) -> list[str]:
    """Write one `allowed-peer-ip` line for each address, in order and once.

    Raises:
        ValueError: a name or a network instead of an address, or one that no media node has.
    """
    lines: dict[str, None] = {}
    for text in addresses:
        address = ip_address(text)
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            raise ValueError(f"{text} is no address of a media node")
        lines[f"allowed-peer-ip={address}"] = None
    return list(lines)


if __name__ == "__main__":
    try:
        written = allowed(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"{error}.")
    if not written:
        sys.exit("Name the media nodes' addresses, as `switchboard up` binds or advertises them.")
    print("\n".join(written))
