"""What a gateway takes notice of in the messages of an attached widget; the others pass unread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from broker.errors import Malformed
from broker.messages import decode_client_message
from broker.messages.client import ConnectionPing, EngagementUpdate, SurfaceUpdate
from gateway.connections.unattached import PONG, Client, elsewhere
from gateway.refusals import refused

if TYPE_CHECKING:
    from gateway.connections.steward import Steward

_HEAD_BYTES = 96
"""How much of a message is looked at for its type."""
_PING, _SURFACE, _ENGAGEMENT = b'"connection.ping"', b'"surface.update"', b'"engagement.update"'


def concerns_gateway(data: bytes) -> bool:
    """Whether a message must be looked at before it goes to the session."""
    # Asked of every message: written out it takes half of what a loop over the three does.
    head = data[:_HEAD_BYTES]
    return _PING in head or _SURFACE in head or _ENGAGEMENT in head


class Overheard:
    """Keeps up what a connection stands for, while its widget talks to a session."""

    def __init__(self, client: Client, steward: Steward) -> None:
        self._client = client
        self._steward = steward

    def keeps(self, data: bytes) -> bool:
        """Note what the gateway must know; True when the message goes no further."""
        if not concerns_gateway(data):
            return False
        standing = self._client.standing
        assert standing is not None
        try:
            message = decode_client_message(data)
        except Malformed:
            return False
        match message:
            case ConnectionPing():
                self._client.put(PONG)
                return True
            case SurfaceUpdate():
                standing.visible = message.visible
                self._steward.wake(register=True)
            case EngagementUpdate() if standing.is_ours(message.engagement):
                standing.ids = message.engagement
                self._steward.wake(register=True)
            case EngagementUpdate():
                self._client.put(refused(elsewhere(), None))
                return True
            case _:
                pass
        return False
