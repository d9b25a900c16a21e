"""How ids of the two host SDKs are compared (`sdk-reference` §3): trimmed strings, always."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[.:]")


def normal_id(value: object) -> str | None:
    """Return an id as a trimmed string; `None` for what is no id (missing, empty, a boolean)."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text or None


def normal_agent_id(value: object) -> str | None:
    """Return the last part of an agent id: `7`, `"7"`, `acc.7` and `acc:7` are one agent."""
    text = normal_id(value)
    return None if text is None else _SEPARATORS.split(text)[-1] or None


def same_agent(one: object, other: object) -> bool:
    """Whether two spellings name the same agent; unknown is nobody's equal."""
    left, right = normal_agent_id(one), normal_agent_id(other)
    return left is not None and left == right


def engagement_keys(*candidates: object) -> tuple[str, ...]:
    """Return the distinct keys a window can be matched by, in order of preference."""
    seen: dict[str, None] = {}
    for candidate in candidates:
        key = normal_id(candidate)
        if key is not None:
            seen[key] = None
    return tuple(seen)
