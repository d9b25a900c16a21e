"""One widget connection, at the actor's end of its trunk."""

from __future__ import annotations

from actors.link import ListenedEnd
from broker.close_codes import CloseCode
from broker.messages.cluster.trunk import TrunkClose
from broker.tracing import CONTEXT
from broker.trunk import Frame
from broker.words import Surface

UNSENT_LIMIT_BYTES = 1024 * 1024


class Connection:
    """Sends to one widget through its trunk.

    Overflow: what is not yet on its way is bounded by `UNSENT_LIMIT_BYTES`; beyond it the
    connection is closed with 4429 and may resume. Only rosters may be skipped, for a newer one.
    Closed by the session (`close`) or from the far side (`on_lost` of the trunk).
    """

    def __init__(
        self,
        connection_id: str,
        trunk: ListenedEnd,
        surface: Surface,
        visible: bool,
        widget_id: str | None = None,
        attempt: int = 0,
        former_widget_id: str | None = None,
    ) -> None:
        self.connection_id = connection_id
        self.widget_id = widget_id or connection_id
        """The widget behind it, which keeps its id when it comes back."""
        self.former_widget_id = former_widget_id
        """That of its page before it was reloaded, or of the page that it was copied from."""
        self.attempt = attempt
        """Higher than that of every earlier connection of its widget's page."""
        self.surface = surface
        self.visible = visible
        self.malformed = 0
        """Messages that could not be read so far."""
        self.ringing = False
        """Whether this surface shows the open invitation."""
        self.current = False
        """Whether it has been brought up to date; what is told before that is part of it."""
        self.catching_up = False
        """Whether it waits for what it missed: nothing may overtake that."""
        self.trouble: str | None = None
        """What this surface said stands between the person and taking part."""
        self.answered = False
        """Whether the invitation was answered on this surface."""
        self.trace: str | None = None
        """What its next message belongs to."""
        self._trunk = trunk
        self._latest: bytes | None = None
        trunk.on_drained = self._on_drained

    def note(self, method: str, payload: bytes) -> None:
        """Take a gateway's notice; what is not known is left alone."""
        if method == CONTEXT:
            self.trace = payload.decode()

    def send(self, message: bytes) -> None:
        """Send one encoded message; a connection too slow for that is closed."""
        link = self._trunk.link
        # A transport that is not full is asked nothing: its bound is far below this one.
        if not link.writable and link.unsent_bytes > UNSENT_LIMIT_BYTES:
            self.close(CloseCode.TOO_FAST_OR_SLOW, "too_slow")
            return
        if self._latest is not None:
            # A roster that waits goes first: what comes later must not be overtaken by it.
            self._on_drained(self._trunk)
        link.send(Frame.MESSAGE, message)

    def send_latest(self, message: bytes) -> None:
        """Send now, or once the connection can take it unless a newer one came meanwhile."""
        link = self._trunk.link
        if link.writable:
            self._latest = None
            link.send(Frame.MESSAGE, message)
        else:
            self._latest = message

    def close(
        self, code: int, reason: str, *, to_waiting: bool = False, last: bytes | None = None
    ) -> None:
        """End the connection with a last message; `to_waiting` keeps the widget's WebSocket."""
        end = TrunkClose(
            code=code,
            reason=reason,
            last=None if last is None else last.decode(),
            to_waiting=to_waiting,
        )
        self._trunk.link.send(Frame.CLOSE, end.to_bytes())
        self._trunk.close()

    def _on_drained(self, _trunk: object) -> None:
        latest, self._latest = self._latest, None
        if latest is not None:
            self._trunk.link.send(Frame.MESSAGE, latest)
