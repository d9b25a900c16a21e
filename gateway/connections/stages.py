"""Where a widget's connection stands, and which steps between stages exist."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """The life of a connection."""

    GREETING = "greeting"
    """Nothing proved yet, or its proof is being looked at."""
    WAITING = "waiting"
    """A consumer (or a guest before the trunk): may be rung, and nothing else."""
    IDLE = "idle"
    """An agent's widget without a session."""
    ATTACHED = "attached"
    """A trunk carries its messages to a session."""
    MOVING = "moving"
    """The trunk broke; the session's actor is being looked for."""
    CLOSED = "closed"


STEPS: dict[Stage, frozenset[Stage]] = {
    Stage.GREETING: frozenset({Stage.WAITING, Stage.IDLE, Stage.ATTACHED, Stage.CLOSED}),
    Stage.WAITING: frozenset({Stage.ATTACHED, Stage.CLOSED}),
    Stage.IDLE: frozenset({Stage.ATTACHED, Stage.CLOSED}),
    Stage.ATTACHED: frozenset({Stage.MOVING, Stage.WAITING, Stage.IDLE, Stage.CLOSED}),
    Stage.MOVING: frozenset({Stage.ATTACHED, Stage.WAITING, Stage.IDLE, Stage.CLOSED}),
    Stage.CLOSED: frozenset(),
}

UNATTACHED = frozenset({Stage.WAITING, Stage.IDLE})
