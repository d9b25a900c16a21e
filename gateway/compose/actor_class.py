"""How a host becomes an actor's class of Ray's."""

from __future__ import annotations

import inspect
from typing import Any

import ray
from ray.util.tracing import tracing_helper


def actor_class(host: type) -> Any:
    """Make a host an actor's class that Ray stores by the host's name, and by nothing of its body.

    What it stores it starts actors from for as long as they are restarted, on nodes of another
    release, too. By itself it wraps each method for its own tracing, and stores a reference to it
    by name: an actor whose class lost a private method between two releases never came back.
    """
    if not tracing_helper._is_tracing_enabled():
        for _, method in inspect.getmembers(host, inspect.isfunction):
            # By this mark Ray knows what it has wrapped already, and leaves it.
            method.__ray_tracing_wrapped__ = True  # type: ignore[attr-defined]
    return ray.remote(host)
