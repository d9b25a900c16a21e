"""A trunk on which nobody joins: what is asked of a session without being somebody in it."""

from __future__ import annotations

import secrets

from broker.messages.cluster.trunk import Location, Principal, TrunkHello
from broker.words import Role, Surface
from gateway.links.dial import End, dial


async def dial_as_nobody(location: Location, key: bytes, gateway_id: str, timeout_s: float) -> End:
    """Connect to a session's actor for calls only. The caller closes the end.

    Raises:
        Unavailable: nobody there (`session_away`).
        SwitchboardError: the actor's refusal.
    """
    hello = TrunkHello(
        session_id=location.session_id,
        epoch=location.epoch,
        connection_id=secrets.token_urlsafe(12),
        gateway_id=gateway_id,
        principal=Principal(role=Role.SUPERVISOR, account_id=location.account_id),
        surface=Surface.AGENT_FRAME,
        visible=False,
        backend=True,
    )
    end, _ = await dial(
        location.host,
        location.port,
        key,
        hello.to_bytes(),
        timeout_s=timeout_s,
        prepare=lambda end: None,
    )
    return end
