"""What an actor learns from the node it is on: its name, its label, its addresses."""

from __future__ import annotations

import ray
import ray.util

from gateway.compose.options import LABEL, NODE

NAME_DIGITS = 12


def node_name() -> str:
    """How this machine's Ray node is called in the ledger."""
    return str(ray.get_runtime_context().get_node_id())[:NAME_DIGITS]


def node_label() -> str:
    """The value of this node's Ray label `switchboard`; empty without one."""
    return str(ray.get_runtime_context().get_node_labels().get(LABEL, ""))


def on_this_node(address: str) -> str:
    if address != NODE:
        return address
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
