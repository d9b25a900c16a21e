"""Telling an actor that what it holds is not its any more."""

from __future__ import annotations

from typing import ClassVar

from actors.chores import Chores
from actors.ledger.standbys import Actor
from actors.link import call
from broker.errors import SwitchboardError
from broker.messages.cluster.base import ClusterMessage, Done


class SessionStop(ClusterMessage):
    """Ledger to actor: drop everything and exit; journal nothing."""

    method: ClassVar[str] = "session.stop"
    session_id: str | None = None


def stop(chores: Chores, actor: Actor) -> None:
    """Ask an actor to stop, and cut its link after a second whatever it says."""
    if chores.start(_stop(actor)) is None:
        actor.end.link.abort()


async def _stop(actor: Actor) -> None:
    try:
        await call(actor.end, SessionStop(session_id=actor.session_id), Done, timeout_s=1.0)
    except (SwitchboardError, ValueError):
        pass  # It is gone, or it is not listening; the epoch fences it either way.
    finally:
        actor.end.link.abort()
